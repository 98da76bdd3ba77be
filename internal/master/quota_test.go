package master

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// A loss is written with some bytes more than the state had.
func TestLossOverAQuotaWaitsUntilItFits(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
	proxy, through := zktest.Via(t, server.Addr())
	h, w := zktest.Conn(t, server.Addr()), zktest.Conn(t, server.Addr())
	makeDirs(h)
	start(t, through)
	submit(h, "t1")
	w.CreateEphemeral("/workers/w1", "")
	expect(t, h, "/workers/w1", "t1")

	h.SetQuota("/tasks", -1, len("pending"))
	h.CreateEphemeral("/workers/w2", "")
	proxy.Seen()
	w.Close()
	writes := 0
	began := time.Now()
	zktest.Eventually(t, "a few tries", func() (bool, string) {
		for _, op := range proxy.Seen() {
			if op == zktest.OpMulti {
				writes++
			}
		}
		return writes >= 3, ""
	})
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("%d tries in %s", writes, took)
	}
	if got, _ := h.Get("/workers/w2"); got != "" {
		t.Errorf("assigned %q, and the loss is not counted", got)
	}
	h.Delete("/zookeeper/quota/tasks/zookeeper_limits")
	expect(t, h, "/workers/w2", "t1")
	expect(t, h, "/tasks/t1", "pending 1")
}

// A deposed leader runs again, and a worker registers anew, when a quota lets them.
func TestCandidacyOverAQuotaWaitsUntilItFits(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Dzookeeper.enforceQuota=true"}})
	h := zktest.Conn(t, server.Addr())
	makeDirs(h)
	j := new(journal)
	runAs(t, harness.Open(t, server.Addr()), Config{Logger: slog.New(slog.NewTextHandler(j, nil))})
	zktest.Eventually(t, "a candidate", func() (bool, string) { return len(h.Children("/master")) == 1, "" })
	h.SetQuota("/master", 1, -1) // itself
	h.Delete("/master/" + h.Children("/master")[0])
	zktest.Eventually(t, "a warning", func() (bool, string) {
		log := j.String()
		return strings.Contains(log, "a quota is exceeded") && strings.Contains(log, "znode=/master"), log
	})
	h.Delete("/zookeeper/quota/master/zookeeper_limits")
	submit(h, "t1")
	h.CreateEphemeral("/workers/w1", "")
	expect(t, h, "/workers/w1", "t1")
}
