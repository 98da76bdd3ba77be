package cmdtest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// contender is a running election program.
type contender struct {
	*harness.Child
	path string // of its candidate
}

// says waits until the program has given these answers, and no other.
func (c contender) says(t *testing.T, answers ...bool) {
	t.Helper()
	var want []string
	for _, a := range answers {
		want = append(want, fmt.Sprintf("leader: %t", a))
	}
	zktest.Eventually(t, fmt.Sprintf("%s answers %q", c.path, want), func() (bool, string) {
		got := c.Stdout.Lines()
		return slices.Equal(got, want), strings.Join(got, ", ")
	})
}

// contenders starts three programs, one after the other; the first leads.
func contenders(t *testing.T, root string, flags ...string) []contender {
	t.Helper()
	start := build(t, "election")
	var cs []contender
	for i := range 3 {
		p := start(t, "", append([]string{"--zk", root}, flags...)...)
		_, path, _ := strings.Cut(p.Line(p.Stderr, "joined the election"), "candidate=")
		c := contender{p, path}
		c.says(t, i == 0)
		cs = append(cs, c)
	}
	return cs
}

func TestElection(t *testing.T) {
	t.Parallel()
	long := []string{"--session-timeout", "20s"} // what happens sooner is no expiry

	t.Run("has_one_leader_that_hands_over_at_SIGTERM", func(t *testing.T) {
		root := zktest.Connect(t) + "/new/root"
		cs := contenders(t, root, long...)
		manual := zktest.Conn(t, root)
		for i, c := range cs {
			began := time.Now()
			c.Send([]syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM}[i])
			c.Exit(0)
			if _, ok := manual.Stat(c.path); ok {
				t.Errorf("%s outlives its process", c.path)
			}
			if i+1 < len(cs) {
				cs[i+1].says(t, false, true)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		}
		cs[0].says(t, true, false)
		cs[1].says(t, false, true, false)
		cs[2].says(t, false, true, false)
	})
	t.Run("keeps_its_leader_when_a_backup_leaves", func(t *testing.T) {
		cs := contenders(t, zktest.Connect(t), long...)
		cs[1].Send(syscall.SIGTERM)
		cs[1].Exit(0)
		cs[1].says(t, false)
		cs[0].Send(syscall.SIGTERM)
		cs[2].says(t, false, true)
	})
	t.Run("replaces_a_killed_leader_after_its_session_timeout", func(t *testing.T) {
		root := zktest.Connect(t)
		cs := contenders(t, root, "--session-timeout", "1s")
		manual := zktest.Conn(t, root)
		cs[0].Send(syscall.SIGKILL)
		cs[0].Exit(128 + 9)
		if _, ok := manual.Stat(cs[0].path); !ok {
			t.Error("the znode of a killed process vanished at once")
		}
		cs[1].says(t, false, true)
		cs[2].says(t, false)
		if _, ok := manual.Stat(cs[0].path); ok {
			t.Error("two candidates lead")
		}
	})
	t.Run("runs_again_when_its_znode_is_removed", func(t *testing.T) {
		root := zktest.Connect(t)
		cs := contenders(t, root, long...)
		manual := zktest.Conn(t, root)
		session := owner(t, manual, cs[0].path)
		manual.Delete(cs[0].path)
		cs[0].says(t, true, false)
		cs[1].says(t, false, true)
		var again string
		zktest.Eventually(t, "a new candidate, the fourth", func() (bool, string) {
			names := manual.Children("/master")
			for _, name := range names {
				if strings.HasSuffix(name, "-0000000003") {
					again = "/master/" + name
				}
			}
			return again != "", fmt.Sprint(names)
		})
		if got := owner(t, manual, again); got != session {
			t.Errorf("%s belongs to session %#x, want %#x", again, got, session)
		}
		// It is the last now.
		cs[1].Send(syscall.SIGTERM)
		cs[2].says(t, false, true)
		cs[2].Send(syscall.SIGTERM)
		cs[0].says(t, true, false, true)
	})
	t.Run("ends_at_SIGTERM_while_no_server_answers", func(t *testing.T) {
		p := build(t, "election")(t, "", "--zk", "127.0.0.1:1", "--log-level", "debug")
		p.Line(p.Stderr, "refused")
		p.Send(syscall.SIGTERM)
		p.Exit(0)
		if got := p.Stdout.String(); got != "" {
			t.Errorf("stdout: %s", got)
		}
	})
}
