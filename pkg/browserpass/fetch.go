package browserpass

import (
	"context"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// fetch answers an entry as the extension reads one, with three of its fields.
func (s *serving) fetch(ctx context.Context) (any, error) {
	name, err := s.name()
	if err != nil {
		return nil, err
	}
	var values [3]string
	for i, field := range []entryname.Field{entryname.Password, entryname.Login, entryname.URL} {
		value, err := s.vault.Field(ctx, name, field)
		if err != nil {
			return nil, &fault{codeDecrypt, err.Error()}
		}
		if value == nil {
			if field == entryname.Password {
				return nil, &fault{codeDecrypt, "no password that this qube may have"}
			}
			continue
		}
		values[i] = string(value.Bytes())
		value.Wipe()
	}
	contents, err := contents(values[0], values[1], values[2])
	if err != nil {
		return nil, err
	}
	return map[string]string{"contents": contents}, nil
}

// fieldLine is a line that the extension takes for a field (src/helpers.js): then it
// is not the password, although it is the first line.
var fieldLine = regexp.MustCompile(`(?i)^(otpauth://.+|\s*(secret|password|pass|login|username|user|openid|otp|totp|url|uri|website|site|link|launch|autosubmit)\s*:.*)$`)

// contents writes what the extension reads back as these values. It splits at line
// ends, trims what follows a key, and takes the first line for the password if no key
// says which it is.
func contents(password, login, url string) (string, error) {
	for _, value := range []string{password, login, url} {
		if !utf8.ValidString(value) || strings.ContainsAny(value, "\r\n") {
			return "", &fault{codeDecrypt, "the entry is no plain text, which browsers cannot be told"}
		}
	}
	trimmed := strings.TrimSpace(password)
	switch {
	case trimmed == "":
		return "", &fault{codeDecrypt, "the entry has no password"}
	case fieldLine.MatchString(password):
		if trimmed != password {
			return "", &fault{codeDecrypt, "the extension cannot be told this password: it looks like a field, and begins or ends with a blank"}
		}
		password = "password: " + password
	}
	lines := []string{password}
	if login != "" {
		lines = append(lines, "login: "+login)
	}
	if url != "" {
		lines = append(lines, "url: "+url)
	}
	return strings.Join(lines, "\n") + "\n", nil
}
