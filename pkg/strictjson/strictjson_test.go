package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/splitvault/splitvault/pkg/strictjson"
)

func TestOneSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" { \"a\" :\t[ 1 , -0.5e+7,true,false,null ]\r\n} ": `{"a":[1,-0.5e+7,true,false,null]}`,
		`"\u0041\/\u00e9\ud83d\ude00\u2028<&>"`:             "\"A/é\U0001F600\u2028<&>\"",
		`"\u0000\u001f\b\f\n\r\t\\\""`:                      `"\u0000\u001f\b\f\n\r\t\\\""`,
		`{}`:                                                `{}`, `[]`: `[]`, `[[],{}]`: `[[],{}]`, `0`: `0`,
		`{"b":1,"a":{"b":2}}`:               `{"b":1,"a":{"b":2}}`,
		`"` + strings.Repeat("é", 99) + `"`: `"` + strings.Repeat("é", 99) + `"`,
	} {
		v, err := strictjson.Parse([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := string(v.Append(nil)); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// What Clef, JavaScript and Python read in different ways is read by none.
func TestWhatProgramsReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"key twice":              `{"to":"0x1","to":"0x2"}`,
		"key in another case":    `{"to":"0x1","To":"0x2"}`,
		"long s":                 `{"jsonrpc":1,"jſonrpc":2}`,
		"Kelvin sign":            `{"k":1,"K":2}`,
		"key escaped":            `{"to":1,"t\u006f":2}`,
		"deep inside":            `[[{"a":[{"x":1,"X":1}]}]]`,
		"two values":             `{}{}`,
		"garbage behind":         `{}x`,
		"NUL behind":             "{}\x00",
		"byte order mark":        "\ufeff{}",
		"bad UTF-8":              "\"\xff\"",
		"overlong UTF-8":         "\"\xc0\xaf\"",
		"surrogate in UTF-8":     "\"\xed\xa0\x80\"",
		"lone surrogate":         `"\ud800"`,
		"two high surrogates":    `"\ud800\ud800"`,
		"low surrogate first":    `"\udc00\ud800"`,
		"surrogate and letter":   `"\ud800a"`,
		"surrogate cut short":    `"\ud83d\ude"`,
		"sign in escape":         `"\u+123"`,
		"capital escape":         `"\U0041"`,
		"control character":      "\"\x1f\"",
		"line feed in text":      "\"\n\"",
		"form feed as blank":     "\f{}",
		"no-break space":         "\u00a0{}",
		"leading zero":           `01`,
		"plus":                   `+1`,
		"point first":            `.5`,
		"point last":             `1.`,
		"no exponent":            `1e`,
		"minus alone":            `-`,
		"minus word":             `-Infinity`,
		"NaN":                    `NaN`,
		"hexadecimal":            `0x10`,
		"comma last":             `[1,]`,
		"comma last in object":   `{"a":1,}`,
		"comma first":            `[,1]`,
		"comma for colon":        `{"a",1}`,
		"no quotes":              `{a:1}`,
		"single quotes":          `{'a':1}`,
		"comment":                `{}//`,
		"word cut short":         `nul`,
		"word too long":          `nulls`,
		"capital word":           `True`,
		"no value":               ``,
		"blanks":                 ` `,
		"open list":              `[`,
		"open object":            `{"a":1`,
		"open text":              `"abc`,
		"open text and escape":   `"abc\`,
		"the other bracket":      `[1}`,
		"number of many digits":  strings.Repeat("9", 200),
		"deeper than 64":         strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"a million values":       "[" + strings.Repeat("0,", 1_000_000) + "0]",
		"a million open lists":   strings.Repeat("[", 1_000_000),
		"a million open objects": strings.Repeat(`{"a":`, 1_000_000),
	} {
		v, err := strictjson.Parse([]byte(text))
		if err == nil {
			t.Errorf("%s: taken as %.80s", name, v.Append(nil))
		} else if !errors.Is(err, strictjson.ErrSyntax) && !errors.Is(err, strictjson.ErrTooMuch) {
			t.Errorf("%s: %v", name, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("%s: a long error: %.300v", name, err)
		}
	}
	deepest := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if _, err := strictjson.Parse([]byte(deepest)); err != nil {
		t.Errorf("64 deep: %v", err)
	}
}

func TestValuesAreFound(t *testing.T) {
	t.Parallel()
	v, err := strictjson.Parse([]byte(`{"a":"x\ny","b":[1,true,null]}`))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := v.Get("a")
	b, found := v.Get("b")
	if a.Kind() != strictjson.String || a.Text() != "x\ny" || !found || len(b.Items()) != 3 || b.Items()[0].Text() != "1" ||
		b.Items()[1].Text() != "true" || b.Items()[2].Kind() != strictjson.Null || !reflect.DeepEqual(v.Keys(), []string{"a", "b"}) {
		t.Errorf("%+v", v)
	}
	if none, found := v.Get("A"); found || none.Kind() != 0 {
		t.Error("another key is found")
	}
	if _, found := b.Get("a"); found {
		t.Error("a list has a key")
	}
}

// The decoder of Clef folds keys as this package does.
func TestKeysAreFoldedAsTheDecoderDoes(t *testing.T) {
	t.Parallel()
	type all struct {
		X int `json:"sKiß"`
	}
	for _, key := range []string{"sKiß", "SKIß", "ſKiß", "s\u212aiß", "skiẞ", "sKiss", "skiß\u0345"} {
		var got all
		quoted, _ := json.Marshal(key)
		if err := json.Unmarshal([]byte(`{`+string(quoted)+`:1}`), &got); err != nil {
			t.Fatal(err)
		}
		if same := strictjson.Fold(key) == strictjson.Fold("sKiß"); same != (got.X == 1) {
			t.Errorf("%q: folded alike: %v, for the decoder: %v", key, same, got.X == 1)
		}
	}
}

func TestAStreamIsTakenApart(t *testing.T) {
	t.Parallel()
	stream := ` {"a":"}]\"\\"}[[1],{}]` + "\n\t" + `{}{"b":`
	for _, r := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		reader := strictjson.NewReader(r, 100)
		for _, want := range []string{`{"a":"}]\"\\"}`, `[[1],{}]`, `{}`} {
			if got, err := reader.Next(); err != nil || string(got) != want {
				t.Errorf("got %s, %v", got, err)
			}
		}
		if _, err := reader.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut short: %v", err)
		}
	}
	if _, err := strictjson.NewReader(strings.NewReader(" \n"), 10).Next(); err != io.EOF { //nolint:errorlint // plain io.EOF is promised
		t.Errorf("at the end: %v", err)
	}
	for text, want := range map[string]error{
		"POST / HTTP/1.1\r\n": strictjson.ErrNoValue, "1": strictjson.ErrNoValue, `"x"`: strictjson.ErrNoValue,
		`{"a":"` + strings.Repeat("x", 200): strictjson.ErrTooMuch,
	} {
		if _, err := strictjson.NewReader(strings.NewReader(text), 100).Next(); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// decoded is what encoding/json makes of a text, with numbers as they are written.
func decoded(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("%q: something follows: %v", text, err)
	}
	return v
}

// What is taken is the same for encoding/json, before and after it is written
// anew, and written anew it stays as it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":"ab\u0063","method":"account_list","params":[{"to":"0x1","x":[1,-2.5e3,null,true]}]}`,
		`{"a":1,"A":2}`, `"\ud83d\ude00 \u00e9\n"`, `[[[[]]]]`, `[1,2,{"k":[{}]}] `, "\"\xff\"", `{"ſ":1,"s":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		again := v.Append(nil)
		if len(again) > len(text) || !reflect.DeepEqual(decoded(t, text), decoded(t, again)) {
			t.Fatalf("%q becomes %q", text, again)
		}
		second, err := strictjson.Parse(again)
		if err != nil || !reflect.DeepEqual(v, second) || !bytes.Equal(second.Append(nil), again) {
			t.Fatalf("%q: %v", again, err)
		}
	})
}

// A stream is taken apart where encoding/json takes it apart, as long as both
// read it.
func FuzzReader(f *testing.F) {
	for _, s := range []string{`{}[] {"a":"\"}"}`, `[{"x":[]}]{`, `{"a":1}x`, `[}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, drip := strictjson.NewReader(bytes.NewReader(stream), 1<<20), strictjson.NewReader(iotest.OneByteReader(bytes.NewReader(stream)), 1<<20)
		decoder := json.NewDecoder(bytes.NewReader(stream))
		agree := true
		for {
			a, errA := whole.Next()
			b, errB := drip.Next()
			if (errA == nil) != (errB == nil) || !bytes.Equal(a, b) {
				t.Fatalf("at once %q, %v, byte by byte %q, %v", a, errA, b, errB)
			}
			if errA != nil {
				return
			}
			var raw json.RawMessage
			if agree = agree && decoder.Decode(&raw) == nil; agree && !bytes.Equal(raw, a) {
				t.Fatalf("%q, encoding/json has %q", a, raw)
			}
		}
	})
}
