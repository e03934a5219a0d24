package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const agentSocket = "/run/user/1000/ssh/S.ssh-agent"

type sshSession struct {
	namespace string
	conn      net.Conn
	agent     agent.ExtendedAgent
	key       ssh.PublicKey
}

func newSSH(namespace string) func() session {
	return func() session { return &sshSession{namespace: namespace} }
}

func (s *sshSession) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

func (s *sshSession) open() error {
	if s.conn != nil {
		return s.conn.SetDeadline(time.Now().Add(patience))
	}
	conn, err := net.DialTimeout("unix", agentSocket, patience)
	if err != nil {
		return err
	}
	s.conn, s.agent = conn, agent.NewClient(conn)
	return conn.SetDeadline(time.Now().Add(patience))
}

// request signs a file, lists, or tries what is forbidden: to sign something else, and
// to remove all keys.
func (s *sshSession) request(i int) (string, error) {
	if err := s.open(); err != nil {
		return "ssh-connect", err
	}
	if s.key == nil {
		keys, err := s.agent.List()
		if err != nil {
			return "ssh-list", err
		}
		if len(keys) != 1 || keys[0].Type() != ssh.KeyAlgoED25519 {
			return "ssh-list", fmt.Errorf("%w: %d keys", errWrong, len(keys))
		}
		if s.key, err = ssh.ParsePublicKey(keys[0].Blob); err != nil {
			return "ssh-list", fmt.Errorf("%w: %w", errWrong, err)
		}
	}
	switch i % kinds {
	case 5:
		_, err := s.agent.Sign(s.key, []byte("what is no file"))
		return "ssh-forbidden", refusal(err, "raw data is signed")
	case 7:
		return "ssh-forbidden", refusal(s.agent.RemoveAll(), "all keys are removed")
	}
	return s.sign(i)
}

// refusal is the outcome of what the agent must refuse: that, or a broken connection.
func refusal(err error, wrong string) error {
	switch {
	case err == nil:
		return fmt.Errorf("%w: %s", errWrong, wrong)
	case strings.Contains(err.Error(), "client error"): // as package agent words it
		return err
	}
	return nil
}

func (s *sshSession) sign(i int) (string, error) {
	data := fileSignature(s.namespace, i)
	sig, err := s.agent.Sign(s.key, data)
	if s.namespace == "asked" { // by nobody who would answer
		return "ssh-asked", refusal(err, "signed without a yes")
	}
	if err != nil {
		return "ssh-sign", err
	}
	key, ok := s.key.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)
	if !ok || !ed25519.Verify(key, data, sig.Blob) {
		return "ssh-sign", fmt.Errorf("%w: the signature is void", errWrong)
	}
	return "ssh-sign", nil
}

// fileSignature is what ssh-keygen -Y sign has signed (PROTOCOL.sshsig).
func fileSignature(namespace string, i int) []byte {
	hash := sha512.Sum512(fmt.Append(nil, i))
	var b bytes.Buffer
	b.WriteString("SSHSIG")
	for _, field := range [][]byte{[]byte(namespace), nil, []byte("sha512"), hash[:]} {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(field))))
		b.Write(field)
	}
	return b.Bytes()
}
