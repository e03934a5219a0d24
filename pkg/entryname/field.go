package entryname

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxField bounds a field's name, in bytes; maxLine the N of line.N.
const (
	maxField = 128
	maxLine  = 9999
)

// ErrField says that a text is not the name of a field, or not its only spelling.
var ErrField = errors.New("not the name of a field")

// Field names a part of an entry: "password" (the first line), "line.N" (N from
// 2), "otp" (the code of now), "login", "url", or the key of any line "key: value",
// in lower case.
type Field string

// Fields with a meaning of their own.
const (
	Password Field = "password"
	Login    Field = "login"
	URL      Field = "url"
	OTP      Field = "otp"
)

// aliases are the keys that mean the same, as browserpass has them
// (browserpass-extension, src/helpers.js).
var aliases = map[string]Field{
	"username": Login, "user": Login,
	"uri": URL, "website": URL, "site": URL, "link": URL, "launch": URL,
	"totp": OTP, "otpauth": OTP,
	"line.1": Password,
}

// FieldOf returns the one name of a field that a person may write in several
// ways: "User" is "login", "line.1" is "password".
func FieldOf(text string) (Field, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if field, found := aliases[text]; found {
		return field, nil
	}
	return ParseField(text)
}

// ParseField checks the name of a field, and refuses all spellings but the one of
// [FieldOf]: a rule for "login" is not to be passed by with "username".
func ParseField(untrusted string) (Field, error) {
	number, isLine := strings.CutPrefix(untrusted, "line.")
	n, err := strconv.Atoi(number)
	_, isAlias := aliases[untrusted]
	switch {
	case len(untrusted) == 0 || len(untrusted) > maxField, !plain(untrusted), strings.Contains(untrusted, ":"),
		strings.TrimSpace(untrusted) != untrusted, strings.ToLower(untrusted) != untrusted, isAlias:
		return "", fmt.Errorf("field %.40q: %w", untrusted, ErrField)
	case isLine && (err != nil || n < 2 || n > maxLine || strconv.Itoa(n) != number):
		return "", fmt.Errorf("field %.40q: %w", untrusted, ErrField)
	}
	return Field(untrusted), nil
}

// Line returns the N of "line.N", and 0 for any other field.
func (f Field) Line() int {
	number, isLine := strings.CutPrefix(string(f), "line.")
	if n, err := strconv.Atoi(number); isLine && err == nil {
		return n
	}
	return 0
}

// Keys are the keys of a line "key: value" that is this field, in lower case; a
// line may have them in any.
func (f Field) Keys() []string {
	keys := []string{string(f)}
	for alias, field := range aliases {
		if field == f {
			keys = append(keys, alias)
		}
	}
	return keys
}
