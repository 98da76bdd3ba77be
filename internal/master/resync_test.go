package master

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// TestLostWatchesCostTenSeconds loses all that a leader's watches tell: it finds new
// tasks, new workers and changed lists all the same.
func TestLostWatchesCostTenSeconds(t *testing.T) {
	t.Parallel()
	h, connect := tree(t)
	s := harness.Open(t, connect)
	run(t, s, Config{Retention: -1}) // else /tasks is listed for that as well
	h.CreateEphemeral("/workers/w1", "")
	settled(t, h)
	s.Forget(watched...)

	submit(h, "t1")
	submit(h, "t2")
	h.CreateEphemeral("/workers/w2", "")
	expect(t, h, "/workers/w1", "t1")
	expect(t, h, "/workers/w2", "t2")
	finish(h, "w2", "t2")
	submit(h, "t3")
	expect(t, h, "/workers/w2", "t3")
}

// TestListingIsRefusedForAWhile takes the right to list /tasks away. Some servers then
// drop the event of a new task.
func TestListingIsRefusedForAWhile(t *testing.T) {
	h, connect := tree(t)
	s := harness.Open(t, connect)
	proxy, via := zktest.Via(t, connect)
	j := new(journal)
	runAs(t, harness.Open(t, via), Config{Retention: -1, Logger: slog.New(slog.NewTextHandler(j, nil))})
	h.CreateEphemeral("/workers/w1", "")
	settled(t, h)
	permit := func(perms int32) {
		t.Helper()
		if err := s.SetACL("/tasks", zk.WorldACL(perms), -1); err != nil {
			t.Fatal(err)
		}
	}
	permit(zk.PermAll &^ zk.PermRead)
	submit(h, "t1")
	<-time.After(resync + time.Second) // it lists at last, and is refused
	proxy.Seen()
	<-time.After(session.RefusedPause)
	if n := count(proxy.Seen(), zktest.OpGetChildren); n == 0 || n > 3 {
		t.Errorf("listed %d times in %v while it is refused", n, session.RefusedPause)
	}
	permit(zk.PermAll)
	began := time.Now()
	expect(t, h, "/workers/w1", "t1")
	if took := time.Since(began); took > 2*session.RefusedPause {
		t.Errorf("its first task was assigned %v after it may list again", took)
	}
	finish(h, "w1", "t1")
	for _, line := range []string{"a right is missing", "the right is back"} {
		zktest.Eventually(t, line+" is said once", func() (bool, string) {
			return strings.Count(j.String(), line) == 1, j.String()
		})
	}
	began = time.Now()
	for _, id := range []string{"t2", "t3"} {
		submit(h, id)
		expect(t, h, "/workers/w1", id)
		finish(h, "w1", id)
	}
	if took := time.Since(began); took > resync/2 {
		t.Errorf("two tasks took %v", took)
	}
}
