package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const (
	clefURL = "http://127.0.0.1:8550" // the relay's in work, Clef's own in the vault
	netURL  = "http://127.0.0.1:8551" // clef-net's
	account = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
)

var isSignature = regexp.MustCompile(`^"0x[0-9a-f]{130}"$`)

type clefSession struct {
	url    string
	client *http.Client
}

func newClef(url string) func() session {
	return func() session {
		return &clefSession{url, &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}}
	}
}

func (s *clefSession) close() { s.client.CloseIdleConnections() }

// request lists, signs, or tries what is forbidden: a method that no rule has, and a
// page that is not on the list.
func (s *clefSession) request(i int) (string, error) {
	switch i % kinds {
	case 3:
		return s.forbidden("account_signTransaction", "", `[{"from":"`+account+`","to":"`+account+`","value":"0x1","gas":"0x5208","maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1","nonce":"0x0","chainId":"0x539","input":"0x"}]`)
	case 5:
		return s.forbidden("account_list", "https://evil.example", `[]`)
	case 1, 7, 9:
		result, err := s.ask("account_signData", "", fmt.Sprintf(`["text/plain","%s","0x%08x"]`, account, i))
		if err == nil && !isSignature.MatchString(result) {
			err = fmt.Errorf("%w: a signature is %.60s", errWrong, result)
		}
		return "clef-sign", err
	}
	result, err := s.ask("account_list", "", `[]`)
	if err == nil && result != `["`+account+`"]` {
		err = fmt.Errorf("%w: the accounts are %.60s", errWrong, result)
	}
	return "clef-list", err
}

func (s *clefSession) forbidden(method, origin, params string) (string, error) {
	result, err := s.ask(method, origin, params)
	if err == nil {
		return "clef-forbidden", fmt.Errorf("%w: %s gives %.60s", errWrong, method, result)
	}
	return "clef-forbidden", nil
}

var errRefused = errors.New("refused")

func (s *clefSession) ask(method, origin, params string) (string, error) {
	r, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var reply struct {
		Result, Error json.RawMessage
		ID            int
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s", errRefused, response.Status)
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.ID != 1 && reply.Error == nil {
		return "", fmt.Errorf("%w: the answer is %.80q", errWrong, body)
	}
	if reply.Error != nil {
		return "", fmt.Errorf("%w: %s", errRefused, reply.Error)
	}
	return strings.ToLower(string(reply.Result)), nil
}
