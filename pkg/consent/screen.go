package consent

// Screen is where a prompt can be drawn, in the words of the environment
// variables of that name. A guard sends its own, from qrexec's session;
// consentd prefers that of the user's service manager.
type Screen struct {
	Display    string `json:"display,omitempty"`    // DISPLAY
	Wayland    string `json:"wayland,omitempty"`    // WAYLAND_DISPLAY
	XAuthority string `json:"xauthority,omitempty"` // XAUTHORITY
	TTY        string `json:"tty,omitempty"`        // GPG_TTY
}

// ScreenFrom reads an environment. Values that no display has are left out.
func ScreenFrom(getenv func(string) string) Screen {
	value := func(name string) string {
		v := getenv(name)
		if checkTexts([]string{v}) != nil {
			return ""
		}
		return v
	}
	return Screen{
		Display: value("DISPLAY"), Wayland: value("WAYLAND_DISPLAY"),
		XAuthority: value("XAUTHORITY"), TTY: value("GPG_TTY"),
	}
}

func (s Screen) check() error { return checkTexts([]string{s.Display, s.Wayland, s.XAuthority, s.TTY}) }
