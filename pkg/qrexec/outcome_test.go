package qrexec_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

func TestEveryEndHasItsCauseAndNextStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		outcome qrexec.Outcome
		cause   string
		says    []string
	}{
		{"refused", qrexec.Outcome{Code: 126}, "refused", []string{
			"dom0 refused", "qubes-policy-editor 30-splitvault", "qubes.Ssh * work @anyvm ask target=vault default_target=vault", "qubes-qrexec-policy-daemon",
		}},
		{"no service", qrexec.Outcome{Code: 127}, "no-service", []string{"vault has no service qubes.Ssh", "install splitvault in its template", "restart vault"}},
		{"qrexec problem", qrexec.Outcome{Code: 125}, "qrexec-problem", []string{"could not start qubes.Ssh in vault", "journalctl -b -t qrexec-agent"}},
		{"target went down", qrexec.Outcome{Code: 255}, "broken", []string{"the connection broke", "vault shut down"}},
		{"no agent here", qrexec.Outcome{Code: 1}, "no-connection", []string{"systemctl status qubes-qrexec-agent", "in vault look at: journalctl -b -t splitvault-ssh-guard"}},
		{"bad request", qrexec.Outcome{Code: 2}, "usage", []string{"4.2", "in vault look at: journalctl -b -t splitvault-ssh-guard"}},
		{"guard failed", qrexec.Outcome{Code: 13}, "service-failed", []string{"exit code 13", "in vault look at: journalctl -b -t splitvault-ssh-guard"}},
		{"killed remote", qrexec.Outcome{Code: 137}, "service-failed", []string{"exit code 137"}},
		{"ended well, without a word", qrexec.Outcome{}, "no-answer", []string{"vault ended without a whole answer", "splitvault-ssh-guard"}},
		{"somebody killed the client", qrexec.Outcome{Code: -1, Signal: syscall.SIGKILL}, "client-killed", []string{"signal 9"}},
		{"we ended the client: its signal is no news", qrexec.Outcome{Code: -1, Signal: syscall.SIGTERM, Stopped: true}, "no-answer", []string{"without a whole answer"}},
		{"not waited for", qrexec.Outcome{Code: -1, Err: errors.New("wait: gone")}, "client-error", []string{"wait: gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.outcome.Cause(); got != tt.cause {
				t.Errorf("cause %q, want %q", got, tt.cause)
			}
			tt.outcome.Message = "untrusted words of the vault"
			text := tt.outcome.Explain("work", "vault", "qubes.Ssh+card")
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}
			for _, bad := range []string{"%!", "\n", "untrusted", "VAULT", "THISQUBE", "+card"} {
				if strings.Contains(text, bad) {
					t.Errorf("%q contains %q", text, bad)
				}
			}
		})
	}
}

func TestExplainNamesWhatItDoesNotKnowInCapitals(t *testing.T) {
	t.Parallel()
	text := qrexec.Outcome{Code: 126}.Explain("", qrexec.Default, "qubes.Ssh")
	if want := "qubes.Ssh * THISQUBE @anyvm ask target=VAULT default_target=VAULT"; !strings.Contains(text, want) {
		t.Errorf("%q does not say %q", text, want)
	}
}

func TestExplainNamesTheGuardOfTheService(t *testing.T) {
	t.Parallel()
	for service, guard := range map[qrexec.Service]string{
		"qubes.Ssh": "ssh-guard", "qubes.SshAgent+x": "ssh-guard", "qubes.Clefsign+account_list": "clef-guard", "pass.GetField+a__b": "pass-guard",
	} {
		if text := (qrexec.Outcome{}).Explain("work", "vault", service); !strings.Contains(text, "-t splitvault-"+guard) {
			t.Errorf("%s: %q", service, text)
		}
	}
}
