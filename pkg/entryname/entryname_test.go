package entryname_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/entryname"
)

func TestSpellings(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"github.com":               "github.com",
		"work/github.com/alice":    "work+github.com+alice",
		"a@b.org":                  "a_40b.org",
		"my_site":                  "my_5Fsite",
		"example.com:8080":         "example.com_3A8080",
		"unicode/münchen 東京":       "unicode+m_C3_BCnchen_20_E6_9D_B1_E4_BA_AC",
		"spaces/a  b c":            "spaces+a_20_20b_20c",
		"odd/-dash":                "odd+-dash",
		`odd/back\slash`:           "odd+back_5Cslash",
		"a+b":                      "a_2Bb",
		"100%":                     "100_25",
		"~x":                       "_7Ex",
		"\xff":                     "_FF",
		"\x00":                     "_00",
		"work/":                    "work+",
		"":                         "",
		"odd/$(id)`id`":            "odd+_24_28id_29_60id_60",
		strings.Repeat("/", 3):     "+++",
		"a__b":                     "a_5F_5Fb",
		"a/../../etc/passwd":       "a+..+..+etc+passwd",
		"pass.GetPassword+x":       "pass.GetPassword_2Bx",
		"new\nline":                "new_0Aline",
		"docker/aHR0cHM6Ly94=":     "docker+aHR0cHM6Ly94_3D",
		"odd/<b>bold</b>&amp":      "odd+_3Cb_3Ebold_3C+b_3E_26amp",
		"\u202e\u0435":             "_E2_80_AE_D0_B5",
		"otp/ex":                   "otp+ex",
		strings.Repeat("_", 2) + x: "_5F_5F" + x,
	} {
		if got := entryname.Encode(name); got != want {
			t.Errorf("Encode(%q) = %q, want %q", name, got, want)
		}
		if got, err := entryname.Decode(want); got != name || err != nil {
			t.Errorf("Decode(%q) = %q, %v, want %q", want, got, err, name)
		}
	}
}

const x = "x"

func TestASecondSpellingIsRefused(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{
		"a_2Fb", "a_61", "a_5f", "a_5", "a_", "a__b", "a b", "a%20b", "a:b", "é", "a_2E", "a_2D", "_", "__", "a_G0",
		"a/b", "a_0", "_4", "a\n", "a\x00", "_ff", "_fF", "_30", "_7A", "_5A",
	} {
		if got, err := entryname.Decode(spelling); !errors.Is(err, entryname.ErrSpelling) || got != "" {
			t.Errorf("Decode(%q) = %q, %v", spelling, got, err)
		}
	}
}

func TestOnlyTheOneNameOfAFileIsAName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"github.com", "work/example.com/alice", "unicode/münchen 東京", "spaces/a  b c", "odd/-dash", `odd/back\slash`,
		"odd/<b>bold</b>&amp", "odd/$(id)`id`", "-c", "--clip=2", "a.", "a..b", " ", "~x", "x.gpg", "👩\u200d💻",
		strings.Repeat("a", 251), strings.Repeat("a/", 511) + "ab",
	} {
		if got, err := entryname.Parse(name); string(got) != name || err != nil {
			t.Errorf("Parse(%q) = %q, %v", name, got, err)
		}
	}
	for what, name := range map[string]string{
		"nothing":                       "",
		"absolute":                      "/github.com",
		"a path to the same file":       "./././github.com",
		"a path to the same file, in":   "work/./x",
		"a path to the same file, //":   "work//x",
		"a directory":                   "work/",
		"out of the store":              "../x",
		"out of the store, in":          "work/../../x",
		"dots":                          "..",
		"a dot":                         ".",
		"git's own":                     ".git/hooks/x",
		"the store's own":               "work/.gpg-id",
		"a zero byte":                   "git\x00hub.com",
		"a line feed":                   "odd/new\nline",
		"a carriage return":             "github.com\r",
		"a title for the terminal":      "odd/esc\x1b]0;PWNED\x07",
		"a C1 control":                  "a\u009bb",
		"not UTF-8":                     "-c\xff",
		"half a character":              "a\xc3",
		"right to left":                 "a\u202egpj.exe",
		"an isolate":                    "a\u2066b",
		"a mark of direction":           "a\u200fb",
		"a line separator":              "a\u2028b",
		"a byte order mark":             "\ufeffa",
		"a part longer than a file's":   strings.Repeat("a", 252),
		"longer than a name":            strings.Repeat("a/", 512) + "a",
		"4 KB of paths to the same":     strings.Repeat("./", 2048) + "github.com",
		"a surrogate (CESU-8)":          "\xed\xa0\xbd\xed\xb4\x91",
		"an overlong slash (UTF-8)":     "a\xc0\xafb",
		"delete":                        "a\x7f",
		"an invisible tag":              "a\U000e0041",
		"soft hyphen, invisible mostly": "a\u00adb",
	} {
		if got, err := entryname.Parse(name); !errors.Is(err, entryname.ErrName) || got != "" {
			t.Errorf("%s: Parse(%q) = %q, %v", what, name, got, err)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for argument, want := range map[string]entryname.Argument{
		"":                         {},
		"work+aws":                 {Name: "work/aws"},
		"work+aws__otp":            {Name: "work/aws", Field: "otp"},
		"work+aws__line.2":         {Name: "work/aws", Field: "line.2"},
		"work+aws__recovery_20key": {Name: "work/aws", Field: "recovery key"},
		"work+":                    {Scope: "work/"},
		"work+deep+":               {Scope: "work/deep/"},
		"-c":                       {Name: "-c"},
		"a___5F":                   {Name: "a", Field: "_"},
		"--help":                   {Name: "--help"},
	} {
		got, err := entryname.ParseArgument(argument)
		if got != want || err != nil {
			t.Errorf("ParseArgument(%q) = %+v, %v, want %+v", argument, got, err, want)
		}
		if got := want.String(); got != argument {
			t.Errorf("%+v is spelt %q, want %q", want, got, argument)
		}
	}
	for _, argument := range []string{
		"+", "a++", "++", "+a", "a++b", "..", "a+..", "a+.git", "work+__otp", "__otp", "a__", "a__b__c", "a__OTP", "a__Login",
		"a__username", "a__line.1", "a__line.02", "a__line.0", "a__line.", "a__line.x", "a__line.-2", "a__line.99999", "a__b_3A", "a__b_20",
		"a__otpauth", "a__b_0A", "a___FF", "_FF", "a_00b", "a__" + strings.Repeat("b", 129),
	} {
		if got, err := entryname.ParseArgument(argument); err == nil {
			t.Errorf("ParseArgument(%q) = %+v", argument, got)
		}
	}
}

func TestACallThatWouldWedgeTheAgentIsNotMade(t *testing.T) {
	t.Parallel()
	long := entryname.Argument{Name: entryname.Name(strings.Repeat("a", 255-len("pass.GetPassword+")))}
	if got, err := long.Call("pass.GetPassword"); len(got) != 255 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	long.Name += "a"
	if got, err := long.Call("pass.GetPassword"); got != "" || !errors.Is(err, entryname.ErrTooLong) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := (entryname.Argument{}).Call("pass.ListPasswords"); got != "pass.ListPasswords" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := entryname.HostCall("pass.FindLogin", "example.com:8443"); got != "pass.FindLogin+example.com_3A8443" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFieldsHaveOneName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]entryname.Field{
		"User": "login", "username": "login", "LOGIN": "login", "Website": "url", "line.1": "password", " pin ": "pin", "TOTP": "otp",
		"line.3": "line.3", "Straße": "straße",
	} {
		if got, err := entryname.FieldOf(text); got != want || err != nil {
			t.Errorf("FieldOf(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	if keys := entryname.Login.Keys(); !slices.Contains(keys, "username") || slices.Contains(keys, "url") || len(entryname.Field("pin").Keys()) != 1 {
		t.Error("the keys of a field")
	}
	if entryname.Field("line.12").Line() != 12 || entryname.Password.Line() != 0 {
		t.Error("the number of a line")
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	scope, err := entryname.ParseScope("work/")
	if err != nil || !scope.Has("work/x") || scope.Has("workx") || scope.Has("work") || scope.Has("other/work/x") {
		t.Errorf("%q, %v", scope, err)
	}
	if whole := entryname.Scope(""); !whole.Has("x") {
		t.Error("the whole store has no entry")
	}
	for _, bad := range []string{"", "/", "work", "work//", "../", ".git/", "a\n/"} {
		if got, err := entryname.ParseScope(bad); err == nil {
			t.Errorf("ParseScope(%q) = %q", bad, got)
		}
	}
}
