package cmdtest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// newServiceWith makes a service on a server with flags.
func newServiceWith(t *testing.T, flags ...string) *service {
	t.Helper()
	svc := newServiceOn(t, zktest.NewServer(t, zktest.Options{Flags: flags}), "")
	svc.timeout = "6s"
	return svc
}

func TestServersOwnLimits(t *testing.T) {
	t.Parallel()
	t.Run("fail_only_the_task_whose_payload_or_result_is_over_their_jute.maxbuffer", func(t *testing.T) {
		t.Parallel()
		svc := newServiceWith(t, "-Djute.maxbuffer=262144")
		svc.master()
		w := svc.worker("--slots", "2", "--shell", "--exec", `head -c "$1" /dev/zero | tr "\0" x`)
		c := harness.Run(t, harness.Command{
			Path: filepath.Join(svc.dir, "client"), Args: svc.with([]string{"run", "--log-level", "warn"}),
			In: "1\n300000\n2\n" + strings.Repeat("0", 300_000) + "\n3\n300001\n4\n",
		})
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
		svc.empty()
	})
	t.Run("fail_a_task_over_a_quota_with_the_quota_s_path", func(t *testing.T) {
		t.Parallel()
		svc := newServiceWith(t, "-Dzookeeper.enforceQuota=true")
		svc.master()
		svc.worker()
		zktest.Eventually(t, "znodes", func() (bool, string) {
			_, ok := svc.manual.Stat("/data")
			return ok, ""
		})
		svc.manual.SetQuota("/data", -1, 10)
		c := svc.run("0\n0." + strings.Repeat("0", 20) + "\n0\n")
		c.Exit(1)
		if got, want := c.Stdout.String(), "0\n0"; got != want {
			t.Errorf("stdout %q", got)
		}
		if got := c.Stderr.Lines(); len(got) != 2 || !strings.HasSuffix(got[0], ": quota exceeded on /data") || got[1] != "client: 1 of 3 tasks failed" {
			t.Errorf("stderr %q", got)
		}
		svc.empty()
	})
	t.Run("end_a_program_where_they_demand_authentication", func(t *testing.T) {
		zktest.OpenOnly(t, "a certificate is authentication, and these servers want another one")
		t.Parallel()
		svc := newServiceWith(t, "-Dzookeeper.enforce.auth.enabled=true", "-Dzookeeper.enforce.auth.schemes=digest")
		for _, args := range [][]string{{"master"}, {"worker"}, {"client", "run", "0"}, {"client", "status"}} {
			c := svc.start(args[0], append(args[1:], "--log-level", "warn")...)
			c.Exit(1)
			if got := c.Stderr.Lines(); len(got) == 0 || len(got) > 5 || !strings.HasPrefix(got[len(got)-1], args[0]+": ") || !strings.HasSuffix(got[len(got)-1], "the servers demand authentication") {
				t.Errorf("%q: stderr %q", args, got)
			}
		}
	})
}

// ZOOKEEPER-4306: the end of a session with more ephemeral znodes destroys the servers.
func TestSessionsThatWouldBeTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	svc.root += "/" + strings.Repeat("c", 600)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"worker", "--slots", "10000"}, "worker: --slots 10000: with a chroot of"},
		{[]string{"client", "run", "--window", "1000", "0"}, "client: --window 1000: with a chroot of"},
	} {
		c := svc.start(tt.args[0], tt.args[1:]...)
		c.Exit(2)
		if got := c.Stderr.Lines(); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) || !strings.Contains(got[0], "bytes (--zk) at most ") {
			t.Errorf("stderr %q", got)
		}
	}
	if got := svc.manual.Children("/"); slices.ContainsFunc(got, func(name string) bool { return name[0] == 'c' }) {
		t.Error("the chroot was made")
	}
}
