package picker

import (
	"errors"
	"os/exec"
	"slices"
	"testing"
)

func TestWhichMenu(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		there    []string
		env      string
		terminal bool
		name     string
		want     string
	}{
		{[]string{"dmenu", "rofi", "fuzzel", "fzf"}, "DISPLAY", false, "", "dmenu"},
		{[]string{"dmenu", "rofi", "fuzzel", "fzf"}, "WAYLAND_DISPLAY", false, "", "fuzzel"},
		{[]string{"dmenu", "rofi"}, "WAYLAND_DISPLAY", false, "", "rofi"},
		{[]string{"rofi", "fzf"}, "DISPLAY", true, "", "rofi"},
		{[]string{"rofi", "fzf"}, "DISPLAY", true, "fzf", "fzf"},
		{[]string{"rofi", "fzf"}, "", true, "", "fzf"},
		{[]string{"rofi", "fzf"}, "", false, "", ""},
		{[]string{"fuzzel"}, "DISPLAY", true, "", ""},
		{[]string{"dmenu"}, "DISPLAY", true, "rofi", ""},
		{nil, "DISPLAY", true, "", ""},
	} {
		getenv := func(name string) string {
			if name == tt.env {
				return ":0"
			}
			return ""
		}
		look := func(name string) (string, error) {
			if slices.Contains(tt.there, name) {
				return "/usr/bin/" + name, nil
			}
			return "", exec.ErrNotFound
		}
		p, err := Find(getenv, look, tt.name, tt.terminal)
		switch {
		case tt.want == "":
			if !errors.Is(err, ErrNoMenu) {
				t.Errorf("%+v: got %v, %v", tt, p, err)
			}
		case err != nil || p.Name() != tt.want:
			t.Errorf("%+v: got %v, %v", tt, p, err)
		}
	}
}
