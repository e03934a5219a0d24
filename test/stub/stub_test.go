package stub_test

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/splitvault/splitvault/test/stub"
)

func TestAStubRunsAtOnceWhileOthersStartPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			path := filepath.Join(dir, string(rune('a'+worker)))
			for range 50 {
				stub.Script(t, path, "exit 0")
				if err := exec.Command(path).Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
