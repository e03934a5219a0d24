package origin_test

import (
	"testing"

	"github.com/splitvault/splitvault/pkg/origin"
)

func TestOriginsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"https://app.example.org", "http://localhost:3000", "https://app.example.org:8443", "http://127.0.0.1", "http://[::1]:8080", "https://xn--bcher-kva.example",
		"chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn", "moz-extension://0b8c0a1e-6a49-4d0e-9f2b-2f4f5d5a6b7c", "app://x_y",
	} {
		if got, err := origin.Parse(text); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "null", "app.example.org", "https://", "://x", "https:/x", "HTTPS://x", "https://X", "https://x/", "https://x/path", "https://x?q", "https://x#f",
		"https://user@x", "https://x:", "https://x:443", "http://x:80", "https://x:0443", "https://x:65536", "https://x:-1", "https://x:+1", "https://x: 1",
		"https://x y", "https://x\n", "https://x,https://y", "https://*.example.org", "https://bücher.example", "https://x%2e", "https://[::1", "https://::1",
		"https://[0:0::1]", "https://[::1%eth0]", "https://[127.0.0.1]", "https://[x]", "1https://x", "ht tp://x", "https://\u202ex", `https://x"`,
	} {
		if got, err := origin.Parse(text); err == nil {
			t.Errorf("%q is taken as %q", text, got)
		}
	}
}
