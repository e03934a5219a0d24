package qrexec_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

func TestParseQubeName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   string
		ok   bool
	}{
		{"plain", "work", true},
		{"all that dom0 admits", "Work-2_b.c", true},
		{"31 bytes", strings.Repeat("a", 31), true},
		{"dom0 may call, too", "dom0", true},
		{"32 bytes", strings.Repeat("a", 32), false},
		{"empty", "", false},
		{"begins with a digit", "2work", false},
		{"an option", "-h", false},
		{"a keyword", "@default", false},
		{"a path", "a/b", false},
		{"newline at the end", "work\n", false},
		{"zero byte", "work\x00", false},
		{"space", "work vault", false},
		{"another alphabet", "wörk", false},
		{"looks the same (Cyrillic)", "w\u043erk", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := qrexec.ParseQubeName(tt.in)
			if tt.ok && (err != nil || string(got) != tt.in) || !tt.ok && !errors.Is(err, qrexec.ErrName) {
				t.Errorf("ParseQubeName(%q) = %q, %v", tt.in, got, err)
			}
		})
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]qrexec.Target{"": qrexec.Default, "@default": qrexec.Default, "vault": "vault"} {
		if got, err := qrexec.ParseTarget(in); got != want || err != nil {
			t.Errorf("ParseTarget(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"@anyvm", "@dispvm", "-x", "vault ", "$default"} {
		if got, err := qrexec.ParseTarget(in); !errors.Is(err, qrexec.ErrName) {
			t.Errorf("ParseTarget(%q) = %q, %v, want ErrName", in, got, err)
		}
	}
}

func TestParseService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   string
		ok   bool
	}{
		{"without argument", "qubes.Ssh", true},
		{"with argument", "qubes.Ssh+card", true},
		{"plus in the argument", "pass.ListPasswords+work+", true},
		{"255 bytes", "x+" + strings.Repeat("a", 253), true},
		{"256 bytes, on the way to wedging the agent", "x+" + strings.Repeat("a", 254), false},
		{"empty", "", false},
		{"no service", "+card", false},
		{"what dom0 would turn into an underscore", "qubes.Ssh+a/b", false},
		{"space", "qubes.Ssh card", false},
		{"zero byte", "qubes.Ssh\x00", false},
		{"newline", "qubes.Ssh\n", false},
		{"high byte", "qubes.Ssh+\xff", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := qrexec.ParseService(tt.in)
			if tt.ok && (err != nil || string(got) != tt.in) || !tt.ok && !errors.Is(err, qrexec.ErrName) {
				t.Errorf("ParseService(%q) = %q, %v", tt.in, got, err)
			}
		})
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"work", "", "@default", "qubes.Ssh+card", "-h", "a\n", "w\u043erk", "x+\xff", strings.Repeat("a", 256)} {
		f.Add(s)
	}
	qube := regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9_.-]{0,30}\z`)
	service := regexp.MustCompile(`\A[A-Za-z0-9_.-][A-Za-z0-9_.+-]{0,254}\z`)
	f.Fuzz(func(t *testing.T, untrusted string) {
		if got, err := qrexec.ParseQubeName(untrusted); (err == nil) != qube.MatchString(untrusted) || err == nil && string(got) != untrusted {
			t.Errorf("ParseQubeName(%q) = %q, %v", untrusted, got, err)
		}
		if got, err := qrexec.ParseService(untrusted); (err == nil) != service.MatchString(untrusted) || err == nil && string(got) != untrusted {
			t.Errorf("ParseService(%q) = %q, %v", untrusted, got, err)
		}
		if got, err := qrexec.ParseTarget(untrusted); err == nil && got != qrexec.Default && !qube.MatchString(string(got)) {
			t.Errorf("ParseTarget(%q) = %q", untrusted, got)
		}
	})
}

func TestCallerFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                 string
		qube, full, argument string
		want                 qrexec.Caller // zero: an error
	}{
		{"no argument", "work", "qubes.Ssh", "", qrexec.Caller{Qube: "work", Service: "qubes.Ssh"}},
		{"empty argument, as newer qrexec writes it", "work", "qubes.Ssh+", "", qrexec.Caller{Qube: "work", Service: "qubes.Ssh"}},
		{"argument", "work", "qubes.Ssh+card", "card", qrexec.Caller{Qube: "work", Service: "qubes.Ssh", Argument: "card"}},
		{"plus in the argument", "work", "a+b+c", "b+c", qrexec.Caller{Qube: "work", Service: "a", Argument: "b+c"}},
		{"an option as argument is the service's business", "work", "a+--help", "--help", qrexec.Caller{Qube: "work", Service: "a", Argument: "--help"}},
		{"not started by qrexec", "", "", "", qrexec.Caller{}},
		{"no qube", "", "qubes.Ssh", "", qrexec.Caller{}},
		{"no service", "work", "", "", qrexec.Caller{}},
		{"service without name", "work", "+card", "card", qrexec.Caller{}},
		{"argument of another call", "work", "qubes.Ssh+card", "other", qrexec.Caller{}},
		{"argument not told", "work", "qubes.Ssh+card", "", qrexec.Caller{}},
		{"argument out of nowhere", "work", "qubes.Ssh", "card", qrexec.Caller{}},
		{"path in the argument", "work", "qubes.Ssh+../x", "../x", qrexec.Caller{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{
				"QREXEC_REMOTE_DOMAIN": tt.qube, "QREXEC_SERVICE_FULL_NAME": tt.full, "QREXEC_SERVICE_ARGUMENT": tt.argument,
			}
			got, err := qrexec.CallerFrom(func(key string) string { return env[key] })
			if got != tt.want || (err == nil) != (tt.want.Qube != "") {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
			if err != nil && !errors.Is(err, qrexec.ErrName) {
				t.Errorf("error %v, want ErrName", err)
			}
		})
	}
}
