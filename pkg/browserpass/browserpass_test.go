package browserpass

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/secret"
)

// vault is a fake one, which notes what it is asked for.
type vault struct {
	entries map[string]map[string]string
	asked   []string
	fail    error
}

func (v *vault) Names(context.Context) ([]string, error) {
	v.asked = append(v.asked, "list")
	return []string{"example.com/alice", "github.com", "work/deep/x.org"}, v.fail
}

func (v *vault) Field(_ context.Context, name entryname.Name, field entryname.Field) (*secret.Buffer, error) {
	v.asked = append(v.asked, string(name)+" "+string(field))
	value, found := v.entries[string(name)][string(field)]
	if !found || v.fail != nil {
		return nil, v.fail
	}
	b := &secret.Buffer{}
	_, err := b.Write([]byte(value))
	return b, err
}

func (v *vault) Insert(_ context.Context, name entryname.Name, content []byte) error {
	v.asked = append(v.asked, "insert "+string(name)+" "+string(content))
	return v.fail
}

func frame(text string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// ask returns the answer's text and the exit code.
func ask(t *testing.T, v *vault, raw string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	code, err := Serve(t.Context(), v, strings.NewReader(raw), &out)
	if err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	if len(b) < 4 || int(binary.LittleEndian.Uint32(b)) != len(b)-4 {
		t.Fatalf("the answer is no frame: %q", b)
	}
	return string(b[4:]), code
}

// hostile settings name programs and paths.
const settings = `"settings":{"gpgPath":"/tmp/evil","stores":{"default":{"id":"default","name":"pass","path":"/etc","settings":{"gpgPath":"/tmp/evil"}}}}`

func TestTheProtocolByteForByte(t *testing.T) {
	t.Parallel()
	v := &vault{entries: map[string]map[string]string{
		"github.com": {"password": "hunter2", "login": "alice", "url": "https://github.com"},
		"bare.org":   {"password": " p w "},
		"field.org":  {"password": "login: x", "login": "bob"},
		"html.org":   {"password": "<&>\"\\"},
	}}
	for _, tt := range []struct {
		request, want string
		code          int
	}{
		{
			`{"action":"configure","defaultStoreSettings":{},"settings":{"gpgPath":null,"stores":{}}}`,
			`{"data":{"defaultStore":{"path":"the vault of splitvault","settings":"{}"},"storeSettings":{}},"status":"ok","version":3001002}`, 0,
		},
		{`{"action":"list",` + settings + `}`, `{"data":{"files":{"default":["example.com/alice.gpg","github.com.gpg","work/deep/x.org.gpg"]}},"status":"ok","version":3001002}`, 0},
		{
			`{"action":"list","settings":{"stores":{"b1":{"path":"/x"},"a2":{"path":"/y"}}}}`,
			`{"data":{"files":{"a2":["example.com/alice.gpg","github.com.gpg","work/deep/x.org.gpg"]}},"status":"ok","version":3001002}`, 0,
		},
		{`{"action":"tree",` + settings + `}`, `{"data":{"directories":{"default":["example.com","work","work/deep"]}},"status":"ok","version":3001002}`, 0},
		{
			`{"action":"fetch","storeId":"default","file":"github.com.gpg",` + settings + `}`,
			`{"data":{"contents":"hunter2\nlogin: alice\nurl: https://github.com\n"},"status":"ok","version":3001002}`, 0,
		},
		{`{"action":"fetch","file":"bare.org.gpg"}`, `{"data":{"contents":" p w \n"},"status":"ok","version":3001002}`, 0},
		{`{"action":"fetch","file":"field.org.gpg"}`, `{"data":{"contents":"password: login: x\nlogin: bob\n"},"status":"ok","version":3001002}`, 0},
		{`{"action":"echo","echoResponse":{"a":[1,"x"]}}`, `{"a":[1,"x"]}`, 0},
		{`{"action":"echo"}`, `null`, 0},
		{
			`{"action":"fetch","file":"github.com"}`,
			`{"code":23,"params":{"action":"fetch","message":"the file has no .gpg at its end"},"status":"error","version":3001002}`, 23,
		},
		{
			`{"action":"fetch","file":"none.gpg"}`,
			`{"code":24,"params":{"action":"fetch","message":"no password that this qube may have"},"status":"error","version":3001002}`, 24,
		},
		{
			`{"action":"delete","file":"github.com.gpg"}`,
			`{"code":30,"params":{"action":"delete","message":"the vault's entries are removed in the vault, not from this qube"},"status":"error","version":3001002}`, 30,
		},
		{
			`{"action":"save","file":"github.com.gpg","contents":"x"}`,
			`{"code":29,"params":{"action":"save","message":"an entry that is there is changed in the vault, not from this qube"},"status":"error","version":3001002}`, 29,
		},
		{`{"action":"save","file":"new.org.gpg","contents":"x\ny"}`, `{"status":"ok","version":3001002}`, 0},
		{`{"action":"purge"}`, `{"code":12,"params":{"action":"purge","message":"unknown action \"purge\""},"status":"error","version":3001002}`, 12},
	} {
		if got, code := ask(t, v, frame(tt.request)); got != tt.want || code != tt.code {
			t.Errorf("%s:\ngot  %s, %d\nwant %s, %d", tt.request, got, code, tt.want, tt.code)
		}
	}
	if last := v.asked[len(v.asked)-1]; last != "insert new.org x\ny" {
		t.Errorf("saved as %q", last)
	}
}

func TestAttackRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		raw  string
		code int
	}{
		{"", 10},
		{"\x01\x00", 10},
		{"\x00\x00\x00\x00", 10},
		{"\xff\xff\xff\xff", 10},
		{"\x05\x00\x00\x00{}", 11},
		{frame("nonsense"), 11},
		{frame(`{"action":"list","action":"delete"}`), 11},
		{frame(`{"action":"list","ACTION":"delete"}`), 11},
		{frame(`[]`), 12},
		{frame(`{"action":7}`), 12},
		{frame(`{"action":"fetch","file":"../../etc/passwd.gpg"}`), 23},
		{frame(`{"action":"fetch","file":"/etc/passwd.gpg"}`), 23},
		{frame(`{"action":"fetch","file":["a.gpg"]}`), 23},
		{frame(`{"action":"fetch","file":"a\u0000b.gpg"}`), 23},
	} {
		v := &vault{}
		got, code := ask(t, v, tt.raw)
		var reply struct {
			Status string
			Code   int
		}
		if err := json.Unmarshal([]byte(got), &reply); err != nil || reply.Status != "error" || reply.Code != tt.code || code != tt.code {
			t.Errorf("%q: got %s, %d, want %d", tt.raw, got, code, tt.code)
		}
		if len(v.asked) != 0 {
			t.Errorf("%q: the vault was asked for %q", tt.raw, v.asked)
		}
	}
}

// Never the whole entry, never a one-time code's secret.
func TestOnlyThreeFieldsAreAskedFor(t *testing.T) {
	t.Parallel()
	v := &vault{entries: map[string]map[string]string{"a.org": {"password": "x", "otp": "123456", "notes": "n"}}}
	if got, _ := ask(t, v, frame(`{"action":"fetch","file":"a.org.gpg",`+settings+`}`)); strings.Contains(got, "123456") {
		t.Errorf("got %s", got)
	}
	if want := []string{"a.org password", "a.org login", "a.org url"}; !reflect.DeepEqual(v.asked, want) {
		t.Errorf("asked for %q", v.asked)
	}
}

func TestTheVaultsNoIsToldInTheBrowser(t *testing.T) {
	t.Parallel()
	for request, code := range map[string]int{
		`{"action":"list"}`: 18, `{"action":"tree"}`: 25, `{"action":"fetch","file":"a.gpg"}`: 24, `{"action":"save","file":"n.gpg","contents":""}`: 29,
	} {
		got, gotCode := ask(t, &vault{fail: errors.New("dom0 refused the call")}, frame(request))
		if gotCode != code || !strings.Contains(got, "dom0 refused the call") {
			t.Errorf("%s: got %s, %d", request, got, gotCode)
		}
	}
}

func TestPasswordsTheExtensionWouldMisread(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"abc: def":    "abc: def\n",
		"pass:x":      "password: pass:x\n",
		"User : x":    "password: User : x\n",
		"otpauth://x": "password: otpauth://x\n",
		" leading":    " leading\n",
		"密🔑":          "密🔑\n",
	} {
		if got, err := contents(password, "", ""); got != want || err != nil {
			t.Errorf("%q: got %q, %v", password, got, err)
		}
	}
	for _, password := range []string{"", "  ", " login: x", "a\nb", "a\rb", "\xff"} {
		if got, err := contents(password, "", ""); err == nil {
			t.Errorf("%q: got %q", password, got)
		}
	}
}

func TestAnAnswerThatNoBrowserTakes(t *testing.T) {
	t.Parallel()
	v := &vault{entries: map[string]map[string]string{"big.org": {"password": strings.Repeat("\x01", 300000)}}}
	if got, code := ask(t, v, frame(`{"action":"fetch","file":"big.org.gpg"}`)); code != 24 || len(got) > 1000 {
		t.Errorf("%d bytes, %d", len(got), code)
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if _, err := Install(home, "/usr/lib/splitvault/browserpass", nil); !errors.Is(err, ErrNoBrowser) {
		t.Errorf("got %v", err)
	}
	if err := os.MkdirAll(filepath.Join(home, ".config/chromium"), 0o700); err != nil {
		t.Fatal(err)
	}
	paths, err := Install(home, "/usr/lib/splitvault/browserpass", nil)
	want := filepath.Join(home, ".config/chromium/NativeMessagingHosts/com.github.browserpass.native.json")
	if err != nil || len(paths) != 1 || paths[0] != want {
		t.Fatalf("got %q, %v", paths, err)
	}
	text, err := os.ReadFile(want)
	if err != nil || !strings.Contains(string(text), `"chrome-extension://naepdomgkenhinolocfifgehidddafch/"`) ||
		!strings.Contains(string(text), `"path": "/usr/lib/splitvault/browserpass"`) || strings.Contains(string(text), "allowed_extensions") {
		t.Errorf("got %s, %v", text, err)
	}
	paths, err = Install(home, "/x", []string{"firefox"})
	if err != nil || len(paths) != 1 || paths[0] != filepath.Join(home, ".mozilla/native-messaging-hosts/com.github.browserpass.native.json") {
		t.Fatalf("got %q, %v", paths, err)
	}
	if text, _ := os.ReadFile(paths[0]); !strings.Contains(string(text), `"browserpass@maximbaz.com"`) {
		t.Errorf("got %s", text)
	}
	if removed, err := Remove(home, nil); err != nil || len(removed) != 2 {
		t.Errorf("got %q, %v", removed, err)
	}
}

func FuzzServe(f *testing.F) {
	for _, s := range []string{`{"action":"list"}`, `{"action":"fetch","file":"github.com.gpg"}`, `{"action":"echo","echoResponse":[1]}`, `x`} {
		f.Add([]byte(frame(s)))
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		var out bytes.Buffer
		v := &vault{entries: map[string]map[string]string{"github.com": {"password": "hunter2"}}}
		if _, err := Serve(t.Context(), v, bytes.NewReader(untrusted), &out); err != nil {
			t.Error(err)
		}
		if b := out.Bytes(); len(b) < 4 || int(binary.LittleEndian.Uint32(b)) != len(b)-4 || !json.Valid(b[4:]) {
			t.Errorf("%q was answered by %q", untrusted, b)
		}
	})
}
