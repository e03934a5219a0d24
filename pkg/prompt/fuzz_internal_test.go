package prompt

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"
)

// Whatever zenity prints, its only yes is a label and 1.
func FuzzZenityOutput(f *testing.F) {
	for _, s := range []string{"", "Deny\n", "Allow once\n", "Allow for 5 minutes\n", "Allow once\n\n", "yes"} {
		f.Add(s, "", 1, true)
		f.Add(s, "Gtk-WARNING **: cannot open display: ", 0, false)
	}
	f.Fuzz(func(t *testing.T, stdout, stderr string, code int, lasting bool) {
		q := Question{Qube: "work"}
		if lasting {
			q.Remember = 5 * time.Minute
		}
		choice, err := q.zenityChoice(ended{stdout, stderr, code})
		if (choice == None) != (err != nil) {
			t.Fatalf("choice %d with error %v", choice, err)
		}
		yes := choice == Once || choice == Lasting
		said := stdout == "Allow once\n" || lasting && stdout == "Allow for 5 minutes\n"
		if yes != (said && code == 1) {
			t.Fatalf("%q with %d is %d", stdout, code, choice)
		}
	})
}

// Whatever a pinentry says, its only yes is the answer "not confirmed" to the
// question, after everything before was answered by OK.
func FuzzPinentryOutput(f *testing.F) {
	const greeting = "OK Pleased to meet you\n" + "OK\nOK\nOK\nOK\n"
	for _, s := range []string{"OK\n", "ERR 83886194 Not confirmed <Pinentry>\n", "ERR 83886179 cancelled\n", "S BUTTON_INFO close\nOK\n", "D x\nOK\n", "ERR x\n", ""} {
		f.Add(greeting + s)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		// One byte at a time: what comes before its question is another matter.
		out := bufio.NewReaderSize(&slow{strings.NewReader(untrusted)}, maxOutput)
		choice, err := dialogue(io.Discard, out, Question{Qube: "work", Lines: nil})
		if (choice == None) != (err != nil) {
			t.Fatalf("choice %d with error %v", choice, err)
		}
		if choice == Lasting {
			t.Fatal("a pinentry offers no lasting answer")
		}
		if choice != Once {
			return
		}
		lines := strings.Split(untrusted, "\n")
		answers := 0
		for _, line := range lines {
			word, rest, _ := strings.Cut(line, " ")
			switch word {
			case "S", "#":
				continue
			case "OK":
				if answers++; answers > 5 {
					t.Fatalf("%q is a yes", untrusted)
				}
				continue
			case "ERR":
				if code, _ := parseError(rest); answers != 5 || code != assuanNotConfirmed {
					t.Fatalf("%q is a yes", untrusted)
				}
				return
			}
			t.Fatalf("%q is a yes", untrusted)
		}
	})
}

type slow struct{ r io.Reader }

func (s *slow) Read(p []byte) (int, error) { return s.r.Read(p[:min(1, len(p))]) }
