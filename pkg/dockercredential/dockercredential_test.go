package dockercredential

import (
	"errors"
	"strings"
	"testing"
)

func TestServers(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"https://index.docker.io/v1/":       "index.docker.io",
		"registry.example.com:5000":         "registry.example.com:5000",
		"Registry.example.com/path":         "registry.example.com",
		"http://localhost:5000":             "localhost:5000",
		"https://user@registry.example.com": "registry.example.com",
	} {
		if got, ok := Host(server); got != want || !ok {
			t.Errorf("%q: got %q", server, got)
		}
	}
	for _, server := range []string{"https://", "://", "https://a b/", "%"} {
		if got, ok := Host(server); ok {
			t.Errorf("%q: got %q", server, got)
		}
	}
}

// The layout that `docker-credential-pass` has, read as it is.
func TestEntriesOfDockersOwnHelper(t *testing.T) {
	t.Parallel()
	const server = "https://index.docker.io/v1/"
	name := Directory(server) + "alice"
	if want := "docker-credential-helpers/aHR0cHM6Ly9pbmRleC5kb2NrZXIuaW8vdjEv/alice"; name != want {
		t.Errorf("got %q, want %q", name, want)
	}
	if got, user, ok := ServerOf(name); got != server || user != "alice" || !ok {
		t.Errorf("got %q, %q", got, user)
	}
	for _, name := range []string{"x/y", "docker-credential-helpers/%%/x", "docker-credential-helpers/aHR0", "docker-credential-helpers/aHR0/", ""} {
		if got, user, ok := ServerOf(name); ok {
			t.Errorf("%q: got %q, %q", name, got, user)
		}
	}
}

func TestWhatDockerSays(t *testing.T) {
	t.Parallel()
	if got, err := ReadServer(strings.NewReader(" https://x/v1/ \n")); got != "https://x/v1/" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ReadServer(strings.NewReader(" \n")); !errors.Is(err, ErrNoServer) {
		t.Errorf("got %v", err)
	}
	want := Credentials{"https://x/", "alice", "a\"b\n"}
	if got, err := ReadCredentials(strings.NewReader(`{"ServerURL":"https://x/","Username":"alice","Secret":"a\"b\n"}`)); got != want || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for in, want := range map[string]error{
		`{"Username":"a"}`: ErrNoServer, `{"ServerURL":"x"}`: ErrNoUsername, `nonsense`: nil, ``: nil,
		`{"ServerURL":"` + strings.Repeat("x", maxInput) + `"}`: nil,
	} {
		if got, err := ReadCredentials(strings.NewReader(in)); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%.30q: got %+v, %v", in, got, err)
		}
	}
	var b strings.Builder
	if err := Write(&b, Credentials{"https://x/", "a", "<&>"}); err != nil || b.String() != `{"ServerURL":"https://x/","Username":"a","Secret":"<&>"}`+"\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}
