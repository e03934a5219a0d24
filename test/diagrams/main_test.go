package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestThePicturesAreOfTheText: UPDATE=1 or `just diagrams` draws them anew.
func TestThePicturesAreOfTheText(t *testing.T) {
	const docs = "../../docs"
	if os.Getenv("UPDATE") != "" {
		if err := draw(docs); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := filepath.Glob(docs + "/*.diagram")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no diagrams: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		svg, err := os.ReadFile(strings.TrimSuffix(path, ".diagram") + ".svg")
		if err != nil || string(svg) != picture(string(text)) {
			t.Errorf("%s: the .svg is not of this text (just diagrams): %v", path, err)
		}
		for dec := xml.NewDecoder(strings.NewReader(string(svg))); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestLinesTextAndArrows(t *testing.T) {
	got := picture("┌─►\n│ *a <b> c\n")
	for _, want := range []string{`font-weight="bold"`, "a &lt;b&gt; c", `fill="#667"`, `stroke="#667"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "*") || strings.Contains(got, "│") {
		t.Errorf("drawn characters are left as text:\n%s", got)
	}
}
