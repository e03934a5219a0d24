package auditlog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/journal"
)

func TestExposureNamesWhatAQubeGotAndNothingElse(t *testing.T) {
	t.Parallel()
	event := func(minute int, qube, level, message string, pairs ...string) auditlog.Event {
		e := auditlog.Event{
			Time: time.Date(2026, 11, 22, 3, minute, 0, 0, time.Local), Level: level, Message: message,
			Fields: map[string]string{journal.Qube: qube},
		}
		for i := 0; i < len(pairs); i += 2 {
			e.Fields[pairs[i]] = pairs[i+1]
		}
		return e
	}
	login := []string{
		journal.Service, "qubes.Ssh", journal.Verdict, "allow", journal.Key, "SHA256:a", journal.Purpose, `"login"`, journal.User, `"git"`,
		journal.Host, `"github.com"`, journal.Trust, "believed", journal.Conn, "17",
	}
	x := auditlog.Expose([]auditlog.Event{
		event(0, "other", "info", "signed", journal.Verdict, "allow", journal.Key, "SHA256:other"),
		event(1, "work", "info", audit.MessageListed, journal.Key, "SHA256:a SHA256:b"),
		event(2, "work", "info", "signed", login...),
		event(9, "work", "info", "signed", append(slices.Clip(login), journal.Conn, "18")...),
		event(10, "work", "info", audit.MessageListed, journal.Key, "SHA256:b"),
		event(11, "work", "warning", "request denied", journal.Verdict, "deny", journal.Key, "SHA256:denied"),
		event(12, "work", "error", "request failed", journal.Verdict, "allow", journal.Key, "SHA256:failed"),
		event(13, "work", "info", "field sent", journal.Service, "pass.GetField", journal.Verdict, "ask", journal.Entry, `"mail"`, journal.Field, `"password"`),
		event(14, "work", "warning", audit.MessageSuppressed, journal.Count, "12"),
		event(15, "work", "info", audit.MessageListed, journal.Count, "3"),
		event(16, "work", "info", "call closed", journal.Count, "1"),
	}, "work")
	if len(x.Shown) != 2 || len(x.Used) != 2 || x.Refused != 1 || x.Suppressed != 12 || x.Unnamed != 1 {
		t.Errorf("%+v", x)
	}
	if keys, entries := x.Rotate(); strings.Join(keys, " ") != "SHA256:a" || strings.Join(entries, " ") != `"mail"` {
		t.Errorf("to rotate: %v, %v", keys, entries)
	}
	var b strings.Builder
	err := x.WriteText(&b, func(f string) string { return map[string]string{"SHA256:a": "me@laptop"}[f] })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"reaches back to 2026-11-22 03:00:00",
		"  SHA256:b\n    2 times, 2026-11-22 03:01:00 to 2026-11-22 03:10:00\n",
		`  qubes.Ssh login user "git" host "github.com" (believed) key SHA256:a (me@laptop)` + "\n    2 times, 2026-11-22 03:02:00 to 2026-11-22 03:09:00\n",
		`  pass.GetField entry "mail" field "password"` + "\n    once",
		"12 that the log only counts",
		"Change what these entries hold",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	for _, never := range []string{"SHA256:other", "SHA256:denied", "SHA256:failed"} {
		if strings.Contains(b.String(), never) {
			t.Errorf("%q is in\n%s", never, &b)
		}
	}
}

// What the guards of Clef and pass log is told in their words, and what to do
// differs: an account's signature can be used later, a one-time code cannot.
func TestExposureOfClefAndPass(t *testing.T) {
	t.Parallel()
	got := func(message string, pairs ...string) auditlog.Event {
		e := auditlog.Event{
			Time: time.Date(2026, 11, 22, 3, 0, 0, 0, time.Local), Level: "info", Message: message,
			Fields: map[string]string{journal.Qube: "work", journal.Verdict: "allow"},
		}
		for i := 0; i < len(pairs); i += 2 {
			e.Fields[pairs[i]] = pairs[i+1]
		}
		return e
	}
	const account = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	x := auditlog.Expose([]auditlog.Event{
		got(audit.MessageListed, journal.Key, account, journal.Count, "1"),
		got("signed", journal.Service, "qubes.Clefsign", journal.Method, "account_signTypedData", journal.Key, account, journal.Origin, `"https://app.example.org"`),
		got("entry sent", journal.Service, "pass.GetPassword", journal.Method, "show", journal.Entry, `"work/mail"`),
		got("code sent", journal.Service, "pass.GetField", journal.Method, "otp", journal.Entry, `"work/bank"`, journal.Field, `"otp"`),
	}, "work")
	keys, entries := x.Rotate()
	if !slices.Equal(keys, []string{account}) || !slices.Equal(entries, []string{`"work/mail"`}) {
		t.Errorf("to rotate: %v, %v", keys, entries)
	}
	var b strings.Builder
	if err := x.WriteText(&b, func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"accounts it was shown:\n  " + account + "\n",
		`  qubes.Clefsign account_signTypedData origin "https://app.example.org" key ` + account + "\n",
		`  pass.GetPassword show entry "work/mail"` + "\n",
		`  pass.GetField otp entry "work/bank" field "otp"` + "\n",
		"end the approvals of these accounts",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}

func TestDisposablesAreSaidToShareNames(t *testing.T) {
	t.Parallel()
	for qube, want := range map[string]bool{"disp12": true, "disp": false, "disp-web": false, "display": false, "work": false} {
		if auditlog.IsDisposable(qube) != want {
			t.Errorf("%s: %v", qube, !want)
		}
	}
}
