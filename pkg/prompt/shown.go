package prompt

import (
	"context"
	"time"

	"github.com/splitvault/splitvault/pkg/x11"
)

// watch begins to watch for the window of a prompt. The function that it returns
// tells, when the answer has come, since when the person could see it. A window
// that nobody has seen was not there to be read: then it is now.
func watch(ctx context.Context, env Environment, title string) (shown func() time.Time) {
	start := time.Now()
	if env.Screen.Display == "" || env.Screen.Wayland != "" {
		return func() time.Time { return start }
	}
	ctx, cancel := context.WithCancel(ctx)
	w := x11.NewWatch(ctx, env.Screen.Display, env.Screen.XAuthority, env.Home, title)
	return func() time.Time {
		cancel()
		select {
		case <-w.Seen:
			return w.At()
		case <-w.Lost:
			return start
		default:
			return time.Now()
		}
	}
}
