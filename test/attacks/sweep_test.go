package attacks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// result is what the sender reports of one connection; see its command.
type result struct {
	Answers [][]byte `json:"answers"`
	Err     string   `json:"err"`
}

// converse sends messages over many connections from the attacker's qube.
func (w *world) converse(t *testing.T, way way, connections [][][]byte) []result {
	t.Helper()
	input, err := json.Marshal(connections)
	must(t, err)
	command := append([]string{"sender"}, way.command...)
	if path, ok := strings.CutPrefix(way.command[len(way.command)-1], "UNIX-CONNECT:"); ok {
		command = []string{"sender", "-socket", path}
	}
	cmd := w.work.Command(t.Context(), machine.AsUser, command...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("sender: %v: %s", err, &stderr)
	}
	var results []result
	must(t, json.Unmarshal(stdout.Bytes(), &results))
	if len(results) != len(connections) {
		t.Fatalf("%d results of %d connections", len(results), len(connections))
	}
	return results
}

// everyType: of all messages there are, with an empty, a short and a long body,
// only the list of keys is answered by anything but a failure. The real agent
// behind it all stays as it is.
func (w *world) everyType(t *testing.T) {
	bodies := [][]byte{nil, []byte("12345678"), bytes.Repeat([]byte{0, 0, 0, 9}, 1000)}
	var connections [][][]byte
	for kind := range 256 {
		var messages [][]byte
		for _, body := range bodies {
			messages = append(messages, message(byte(kind), body))
		}
		connections = append(connections, messages)
	}
	w.through(t, func() { w.agent(t) }, func(t *testing.T, way way) {
		for kind, r := range w.converse(t, way, connections) {
			if len(r.Answers) != len(bodies) || r.Err != "" {
				t.Errorf("type %d: %d answers, %s", kind, len(r.Answers), r.Err)
			}
			for i, answer := range r.Answers {
				if kind == list && i == 0 && answer[0] == listAnswer {
					continue
				}
				if !bytes.Equal(answer, []byte{failure}) {
					t.Errorf("type %d with a body of %d bytes: answer %.40x", kind, len(bodies[i]), answer)
				}
			}
		}
	})
}

// recorded replays what real clients have sent, to a vault that has none of
// their keys: each request is answered.
func (w *world) recorded(t *testing.T) {
	var connections [][][]byte
	var kinds [][]byte
	open := map[string]int{}
	for _, r := range agenttest.Vectors(t, "../../pkg/sshagent/testdata/ssh-agent-frames.jsonl") {
		if r.Reply {
			continue
		}
		name := fmt.Sprint(r.Case, r.Conn)
		i, ok := open[name]
		if !ok {
			i = len(connections)
			open[name] = i
			connections, kinds = append(connections, nil), append(kinds, nil)
		}
		connections[i] = append(connections[i], r.Frame.Bytes())
		kinds[i] = append(kinds[i], byte(r.Frame.Type()))
	}
	// Whatever a person may allow is allowed.
	fresh := func() {
		w.agent(t)
		w.rules(t, openRules+`purpose = ["login", "forwarded-login", "sshsig:*", "certificate", "hostkey", "raw"]`)
	}
	w.through(t, fresh, func(t *testing.T, way way) {
		for i, r := range w.converse(t, way, connections) {
			if len(r.Answers) != len(connections[i]) || r.Err != "" {
				t.Errorf("connection %d: %d answers to %d requests, %s", i, len(r.Answers), len(connections[i]), r.Err)
			}
			for j, answer := range r.Answers {
				want := map[byte]byte{extension: success, list: listAnswer, sign: failure}[kinds[i][j]]
				if answer[0] != want {
					t.Errorf("connection %d, message %d: answer %d, want %d", i, kinds[i][j], answer[0], want)
				}
			}
		}
	})
}

// blobOf is the key of a line of ssh-add -L.
func blobOf(t *testing.T, line string) []byte {
	t.Helper()
	blob, err := base64.StdEncoding.DecodeString(strings.Fields(line)[1])
	must(t, err)
	return blob
}
