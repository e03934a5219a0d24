package consentd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

// vault is a vault of a certain age, with or without a graphical session to come.
func vault(t *testing.T, age time.Duration, coming bool, screen func() consent.Screen) *Person {
	t.Helper()
	since := time.Now().Add(-age)
	runtime := t.TempDir()
	return &Person{
		Times: DefaultTimes(), Log: quiet(),
		Getenv: func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": runtime}[name] },
		Session: Session{
			Environment: func(context.Context) (consent.Screen, time.Time, error) { return screen(), since, nil },
			Coming:      func(context.Context) bool { return coming },
		},
	}
}

func none() consent.Screen { return consent.Screen{} }

// A vault without a session says so at once; one that is just starting and will have
// one is waited for, half a minute and no more.
func TestHowLongASessionIsWaitedFor(t *testing.T) {
	for name, row := range map[string]struct {
		age    time.Duration
		coming bool
		want   time.Duration
	}{
		"headless":              {time.Second, false, 0},
		"up for long":           {time.Hour, true, 0},
		"just starting, broken": {time.Second, true, guiTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := vault(t, row.age, row.coming, none).screen(t.Context(), consent.Screen{})
				if took := time.Since(start); !errors.Is(err, prompt.ErrNoDisplay) || took < row.want || took > row.want+time.Second {
					t.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}

// The client goes while the session is waited for: nothing waits on.
func TestWaitingForASessionEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		p := vault(t, time.Second, true, none)
		if reason := p.Ask(ctx, consent.Screen{}, request("work", "a", 0)); reason != consent.Withdrawn || time.Since(start) > 4*time.Second {
			t.Errorf("after %v: %q", time.Since(start), reason)
		}
	})
}

// asked is a Program that tells where it was to ask.
type asked struct{ where []consent.Screen }

func (a *asked) Ask(_ context.Context, env prompt.Environment, _ prompt.Question) (prompt.Answer, error) {
	a.where = append(a.where, env.Screen)
	return prompt.Answer{Choice: prompt.Deny}, nil
}

// Each prompt takes the display of its own moment: the session's, else the guard's.
func TestTheDisplayIsTakenForEachPrompt(t *testing.T) {
	dir, err := os.MkdirTemp("", "way") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := func(name string) consent.Screen {
		path := filepath.Join(dir, name)
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return consent.Screen{Wayland: path}
	}
	first, second, guards := socket("1"), socket("2"), socket("3")
	screens := []consent.Screen{first, second, {Wayland: filepath.Join(dir, "gone")}}
	n := 0
	program := &asked{}
	p := vault(t, time.Hour, true, func() consent.Screen { return screens[n] })
	p.Program = program
	for n = range screens {
		if reason := p.Ask(t.Context(), guards, request("work", "a", 0)); reason != consent.Denied {
			t.Errorf("prompt %d: %q", n, reason)
		}
	}
	want := []consent.Screen{first, second, guards}
	if len(program.where) != len(want) {
		t.Fatalf("asked at %v", program.where)
	}
	for i := range want {
		if program.where[i] != want[i] {
			t.Errorf("prompt %d at %v, want %v", i, program.where[i], want[i])
		}
	}
}
