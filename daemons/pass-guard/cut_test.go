package main_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/passproto"
)

// A client that is killed in the middle of sending a secret, at any byte of it: nothing
// is stored, whether its output goes at the same time or seems to be there still. pass, and
// so whatever feeds it from a call, stores the first half.
func TestAttackASecretThatIsCutShort(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	const secret = "correct horse\nlogin: x\n"
	cmd := exec.Command("pass", "insert", "-m", "control")
	cmd.Env, cmd.Stdin = []string{"PATH=/usr/bin:/bin", "HOME=" + v.home, "GNUPGHOME=" + v.Home}, strings.NewReader(secret[:7])
	if out, err := cmd.CombinedOutput(); err != nil || v.pass(t, "show", "control") != "correct" {
		t.Errorf("pass stores nothing, which proves nothing: %v\n%s", err, out)
	}
	whole := passproto.InsertHeader(len(secret)) + secret
	var all sync.WaitGroup
	place := make(chan struct{}, 4)
	for n := range whole {
		place <- struct{}{}
		all.Go(func() {
			defer func() { <-place }()
			c := v.call(t, "work", "pass.InsertPassword", "new")
			if _, err := io.WriteString(c.in, whole[:n]); err != nil {
				t.Error(err)
			}
			c.in.Close() // the output stays
			if code := c.exit(long); code != 2 {
				t.Errorf("cut after %d bytes: exit code %d", n, code)
			}
		})
	}
	all.Wait()
	// As a script sends it, without its length: only that it is gone tells.
	for _, n := range []int{1, 7, len(secret)} {
		c := v.call(t, "work", "pass.InsertPassword", "new")
		if _, err := io.WriteString(c.in, secret[:n]); err != nil {
			t.Fatal(err)
		}
		c.in.Close()
		time.Sleep(200 * time.Millisecond) // qrexec has two channels
		c.out.Close()
		if code := c.exit(long); code != 1 {
			t.Errorf("killed after %d bytes of a bare secret: exit code %d", n, code)
		}
	}
	if _, err := os.Lstat(filepath.Join(v.store, "new.gpg")); err == nil {
		t.Fatal("a part of it is stored")
	}
	v.wants(t, "InsertPassword", "new", whole+"x", "", 2)
	v.wants(t, "InsertPassword", "new", whole, "", 0)
	v.wants(t, "InsertPassword", "", "named\n"+whole, "", 0)
	v.wants(t, "InsertPassword", "bare", secret, "", 0)
	for _, name := range []string{"new", "named", "bare"} {
		v.wants(t, "GetPassword", name, "", secret, 0)
	}
	// A length that lost a digit would make a weak password.
	v.wants(t, "GeneratePassword", "generated", "len=12", "", 2)
	v.wants(t, "InsertPassword", "max", passproto.InsertHeader(1<<20)+strings.Repeat("x", 1<<20), "", 0)
	v.wants(t, "InsertPassword", "larger", strings.Repeat("x", 1<<20+1), "", 15)
}
