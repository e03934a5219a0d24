package qrexec_test

import (
	"strings"
	"testing"
)

// BenchmarkCall measures one call from the start of the client to its end. The
// real thing, over a socket vchan on two cores: 14-18 ms for an executable, 8-10 ms
// for a socket service, 14 ms for a refusal.
func BenchmarkCall(b *testing.B) {
	for _, tt := range []struct {
		service string
		code    int
	}{{"executable", 0}, {"socket", 0}, {"refused", 126}} {
		b.Run(tt.service, func(b *testing.B) {
			l := newBench(b)
			l.policy("executable * work vault allow", "socket * work vault allow")
			l.serve("executable", `read line; echo "$line"`)
			l.socketService("socket", echoAll)
			for b.Loop() {
				cmd := l.Command(b.Context(), "work", "vault", tt.service)
				cmd.Stdin = strings.NewReader("x\n")
				if code := exitCode(b, cmd.Run()); code != tt.code {
					b.Fatalf("exit %d", code)
				}
			}
		})
	}
}
