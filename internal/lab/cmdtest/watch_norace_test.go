//go:build !race

package cmdtest

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestReconnectWatch(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// watch starts client status --watch behind a proxy.
	watch := func(svc *service, args ...string) (*zktest.Proxy, *harness.Child) {
		proxy, behind := svc.via()
		behind.timeout = "20s"
		return proxy, behind.start("client", append([]string{"status", "--watch", "--interval", "50ms"}, args...)...)
	}
	t.Run("says_since_when_ZooKeeper_is_away_and_goes_on_when_it_is_back", func(t *testing.T) {
		svc := start(t)
		proxy, c := watch(svc)
		c.Line(c.Stdout, "tasks     none")
		began := time.Now().Truncate(time.Second)
		proxy.Refuse(true)
		line := c.Line(c.Stdout, "  ZooKeeper has been away since ")
		_, since, _ := strings.Cut(line, "away since ")
		since, _, _ = strings.Cut(since, ",")
		named := false
		for at := began; !at.After(time.Now()); at = at.Add(time.Second) {
			named = named || at.Format("15:04:05") == since
		}
		if !named {
			t.Errorf("%q, it began at %v", line, began)
		}
		svc.dirs()
		svc.manual.Create("/tasks/t1", "pending")
		proxy.Refuse(false)
		c.Line(c.Stdout, "tasks     1: 1 pending")
		proxy.Refuse(true)
		zktest.Eventually(t, "away again", func() (bool, string) {
			out := c.Stdout.String()
			return strings.Count(out, "has been away since") == 2, out // once for each outage
		})
		stopped := time.Now()
		c.Send(syscall.SIGINT) // amid a read that waits
		c.Exit(0)
		if took := time.Since(stopped); took > 4*time.Second {
			t.Errorf("took %v to end", took)
		}
		if got := c.Stderr.String(); got != "" {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("says_in_JSON_since_when_ZooKeeper_is_away", func(t *testing.T) {
		svc := start(t)
		proxy, c := watch(svc, "--json")
		c.Line(c.Stdout, `"leader":null`)
		proxy.Refuse(true)
		matches(t, c.Line(c.Stdout, "away_since"), `\{"time":"[^"]+","away_since":"[^"]+"\}`)
	})
	t.Run("says_on_a_terminal_that_ZooKeeper_is_away_above_what_was_last_seen", func(t *testing.T) {
		svc := start(t)
		proxy, svc := svc.via()
		side, shown := terminal(t)
		c := svc.command("status", "--watch", "--interval", "50ms")
		c.Env = append(c.Env, "TERM=xterm")
		c.Stdout, c.Stderr = side, side
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		see := func(text string) {
			t.Helper()
			zktest.Eventually(t, text, shown.shows(text))
		}
		see("tasks     none")
		proxy.Refuse(true)
		see(", for 2s\x1b[K\r\n\x1b[K\r\nbefore that:\x1b[K\r\nleader    none")
		if err := c.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("client: %v", err)
		}
	})
	t.Run("goes_on_with_a_new_session", func(t *testing.T) {
		svc := start(t)
		c := svc.start("client", "status", "--watch", "--interval", "50ms", "--log-level", "info")
		_, session, _ := strings.Cut(c.Line(c.Stderr, "connected"), "session=")
		session, _, _ = strings.Cut(session, " ")
		c.Line(c.Stdout, "tasks     none")
		id, err := strconv.ParseInt(session, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		zktest.Expire(t, svc.root, id)
		c.Line(c.Stderr, "starting over with a new session")
		svc.dirs()
		svc.manual.Create("/tasks/t1", "pending")
		c.Line(c.Stdout, "tasks     1: 1 pending")
	})
}
