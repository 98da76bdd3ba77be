package cmdtest

import (
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// on has the programs work on a server of their own.
func (sv *service) on(flags ...string) *service {
	server := zktest.NewServer(sv.t, zktest.Options{Flags: flags})
	sv.root, sv.timeout = zktest.Chroot(sv.t, server, ""), "6s"
	sv.hand = zktest.Conn(sv.t, sv.root)
	return sv
}

func TestServersOwnLimits(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("a_payload_or_result_over_their_jute.maxbuffer_fails_its_task_and_no_other", func(t *testing.T) {
		t.Parallel()
		sv := start(t).on("-Djute.maxbuffer=262144")
		sv.master()
		w := sv.worker("--slots", "2", "--shell", "--exec", `head -c "$1" /dev/zero | tr "\0" x`)
		c := sv.pipe("1\n300000\n2\n"+strings.Repeat("0", 300_000)+"\n3\n300001\n4\n", "--log-level", "warn")
		c.Exit(1)
		if got := c.Stdout.String(); got != "x\nxx\nxxx\nxxxx" {
			t.Errorf("stdout %q", got)
		}
		for _, want := range []string{
			"payload \"300000\": failed: result of 300000 bytes is too large: at most 299",
			"payload of 300000 bytes: too large for these servers, see their jute.maxbuffer\n",
			"payload \"300001\": failed: result of 300001 bytes is too large: at most 299",
			"client: 3 of 7 tasks failed",
		} {
			if got := c.Stderr.String(); strings.Count(got, want) != 1 {
				t.Errorf("stderr %q lacks %q", got, want)
			}
		}
		for _, p := range []string{w.Stderr.String(), c.Stderr.String()} {
			if lost := strings.Count(p, "connection lost"); lost < 3 || lost > 9 {
				t.Errorf("%d reconnects:\n%s", lost, p)
			}
		}
		sv.empty()
	})
	t.Run("a_task_over_their_quota_fails_with_its_name", func(t *testing.T) {
		t.Parallel()
		sv := start(t).on("-Dzookeeper.enforceQuota=true")
		sv.master()
		sv.worker()
		zktest.Eventually(t, "znodes", func() (bool, string) {
			_, ok := sv.hand.Stat("/data")
			return ok, ""
		})
		sv.hand.SetQuota("/data", -1, 10)
		c := sv.pipe("0\n0." + strings.Repeat("0", 20) + "\n0\n")
		c.Exit(1)
		if got, want := c.Stdout.String(), "0\n0"; got != want {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasSuffix(got[0], ": quota exceeded on /data") || got[1] != "client: 1 of 3 tasks failed" {
			t.Errorf("stderr %q", got)
		}
		sv.empty()
	})
	t.Run("where_they_demand_authentication_a_program_ends_and_says_so", func(t *testing.T) {
		zktest.OpenOnly(t, "a certificate is authentication, and these servers want another one")
		t.Parallel()
		sv := start(t).on("-Dzookeeper.enforce.auth.enabled=true", "-Dzookeeper.enforce.auth.schemes=digest")
		for _, args := range [][]string{{"master"}, {"worker"}, {"client", "run", "0"}, {"client", "status"}} {
			c := sv.start(args[0], append(args[1:], "--log-level", "warn")...)
			c.Exit(1)
			if got := c.Stderr.Lines(); len(got) == 0 || len(got) > 5 || !strings.HasPrefix(got[len(got)-1], args[0]+": ") || !strings.HasSuffix(got[len(got)-1], "the servers demand authentication") {
				t.Errorf("%q: stderr %q", args, got)
			}
		}
	})
}

// ZOOKEEPER-4306: the end of a session that holds more destroys the servers.
func TestSessionsThatWouldBeTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	sv := newService(t)(t)
	sv.root += "/" + strings.Repeat("c", 600)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"worker", "--slots", "10000"}, "worker: --slots 10000: with a chroot of"},
		{[]string{"client", "run", "--window", "1000", "0"}, "client: --window 1000: with a chroot of"},
	} {
		c := sv.start(tt.args[0], tt.args[1:]...)
		c.Exit(2)
		if got := c.Stderr.Lines(); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) || !strings.Contains(got[0], "bytes (--zk) at most ") {
			t.Errorf("stderr %q", got)
		}
	}
	if got := sv.hand.Children("/"); slices.ContainsFunc(got, func(name string) bool { return name[0] == 'c' }) {
		t.Error("the chroot was made")
	}
}
