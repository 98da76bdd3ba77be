//go:build !race

package cmdtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectElection(t *testing.T) {
	t.Parallel()
	t.Run("starts_over_when_its_session_expired", func(t *testing.T) {
		root := zktest.Connect(t)
		cs := contenders(t, root, "--session-timeout", "20s", "--log-level", "debug")
		manual := zktest.Conn(t, root)
		zktest.Expire(t, root, owner(t, manual, cs[0].path))
		cs[0].says(t, true, false)
		cs[1].says(t, false, true)
		zktest.Eventually(t, "three candidates", func() (bool, string) {
			names := manual.Children("/master")
			return len(names) == 3, fmt.Sprint(names)
		})
		cs[1].Send(syscall.SIGTERM)
		cs[2].says(t, false, true)
		cs[2].Send(syscall.SIGTERM)
		cs[0].says(t, true, false, true)
	})
	t.Run("withdraws_its_answer_while_ZooKeeper_is_silent", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		cs := contenders(t, server.Addr(), "--session-timeout", "2s", "--log-level", "debug")
		server.Pause()
		began := time.Now()
		cs[0].says(t, true, false)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		began = time.Now()
		cs[2].Send(syscall.SIGTERM)
		cs[2].Exit(0)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("SIGTERM while ZooKeeper is silent: took %v", took)
		}
		server.Resume()
		// Whose sessions the server has expired is its own affair; one leads.
		zktest.Eventually(t, "one leader again", func() (bool, string) {
			last := func(c contender) string { l := c.Stdout.Lines(); return l[len(l)-1] }
			a, b := last(cs[0]), last(cs[1])
			return a != b, a + ", " + b
		})
	})
}
