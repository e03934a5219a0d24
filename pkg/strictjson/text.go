package strictjson

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a text, from its first quotation mark.
func (p *parser) string() (string, error) {
	p.at++
	if end := bytes.IndexAny(p.text[p.at:min(p.at+64, len(p.text))], "\"\\"); end >= 0 && p.text[p.at+end] == '"' {
		return p.plain(p.text[p.at : p.at+end])
	}
	var text []byte
	for {
		begin := p.at
		for p.at < len(p.text) && p.text[p.at] != '"' && p.text[p.at] != '\\' {
			p.at++
		}
		part, err := p.checked(p.text[begin:p.at])
		if err != nil {
			return "", err
		}
		text = append(text, part...)
		switch p.next() {
		case '"':
			p.at++
			return string(text), nil
		case '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, r)
		default:
			return "", p.wrong("the text has no end")
		}
	}
}

// plain takes a short text without escapes, and the quotation mark behind it.
func (p *parser) plain(part []byte) (string, error) {
	p.at += len(part)
	if _, err := p.checked(part); err != nil {
		return "", err
	}
	p.at++
	return string(part), nil
}

func (p *parser) checked(part []byte) ([]byte, error) {
	for _, c := range part {
		if c < ' ' {
			return nil, p.wrong("a control character in a text")
		}
	}
	if !utf8.Valid(part) {
		return nil, p.wrong("a text that is not UTF-8")
	}
	return part, nil
}

// escape reads what begins with a backslash.
func (p *parser) escape() (rune, error) {
	p.at++
	c := p.next()
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicode()
	default:
		return 0, p.wrong("no such escape")
	}
}

func (p *parser) unicode() (rune, error) {
	r, err := p.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	// Alone it stands for no letter, and programs put different ones in its place.
	if !bytes.HasPrefix(p.text[p.at:], []byte(`\u`)) {
		return 0, p.wrong("half a letter")
	}
	p.at += 2
	low, err := p.hex()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, p.wrong("half a letter")
	}
	return r, nil
}

func (p *parser) hex() (rune, error) {
	if len(p.text)-p.at < 4 {
		return 0, p.wrong("an escape that is cut short")
	}
	digits := p.text[p.at : p.at+4]
	n, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return 0, p.wrong("no hexadecimal digits in an escape")
	}
	p.at += 4
	return rune(n), nil
}
