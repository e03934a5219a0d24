package agent

import (
	"strings"
	"testing"
)

// FuzzParseConfig: whatever a config says, reading it ends without a panic, and
// what is accepted means the same with comments and blank lines added.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{
		"", "# c\n", "force-user='root'\n", "wait-for-session = 1 # c\r\n", "skip-service-descriptor=true",
		"x='\n", "x=''", "x=0", "x=99999999999999999999", "a", "=", "wait-for-session=tru", "é=1", "x=é",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err != nil {
			return
		}
		again, err := parseConfig([]byte("# first\n\n" + strings.TrimSuffix(text, "\r") + "\n# last\n"))
		if err != nil || again != c {
			t.Errorf("%q gives %+v; with comments around it %+v, %v", text, c, again, err)
		}
	})
}
