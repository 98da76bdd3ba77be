package master

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master/sched"
)

func TestReads(t *testing.T) {
	begin := func(t *testing.T) (*leader, *zktest.ManualClient, *zktest.Proxy, *journal) {
		h, connect := tree(t)
		proxy, via := zktest.Via(t, connect)
		j := new(journal)
		return still(harness.Open(t, via), h, slog.New(slog.NewTextHandler(j, nil))), h, proxy, j
	}
	t.Run("complain about what cannot be read or says nothing, but not about what is gone", func(t *testing.T) {
		l, h, _, j := begin(t)
		h.Create("/tasks/odd", "finished")
		h.Create("/tasks/closed", "pending")
		h.CreateEphemeral("/workers/closed", "")
		for _, path := range []string{"/tasks/closed", "/workers/closed"} {
			if err := l.s.SetACL(path, zk.WorldACL(zk.PermAll&^zk.PermRead), -1); err != nil {
				t.Fatal(err)
			}
		}
		l.mergeTasks(listing{names: []string{"odd", "closed", "gone"}, number: 1})
		l.mergeWorkers(listing{names: []string{"closed", "gone"}, number: 1})
		if err := l.readTasks([]string{"odd", "closed", "gone"}); err != nil {
			t.Fatal(err)
		}
		if err := l.readWorkers([]string{"closed", "gone"}); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/tasks/odd": 1, "/tasks/closed": 1, "/workers/closed": 1, "/tasks/gone": 0, "/workers/gone": 0} {
			if n := strings.Count(j.String(), "znode="+path+" "); n != want {
				t.Errorf("%s is told %d times:\n%s", path, n, j)
			}
		}
	})
	t.Run("take no state again that was not written", func(t *testing.T) {
		l, h, proxy, _ := begin(t)
		finished(h, "t", "done 1")
		stat, _ := h.Stat("/tasks/t")
		proxy.Seen()
		for _, zxid := range []int64{stat.Mzxid, stat.Mzxid - 1} {
			if err := l.recheck([]sched.Known{{ID: "t", Zxid: zxid}}); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(proxy.Seen(), zktest.OpGetData); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
	t.Run("set one watch on a worker where servers know no other kind", func(t *testing.T) {
		l, h, proxy, _ := begin(t)
		h.CreateEphemeral("/workers/w", "")
		again, release := proxy.Hold(zktest.OpGetData, 2, func(request []byte) bool {
			return zktest.Naming("/workers/w")(request) && request[len(request)-1] == 1 // with a watch
		})
		done := make(chan error, 1)
		go func() {
			for range 2 {
				if err := l.readWorkers([]string{"w", "gone"}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-again:
			t.Error("sets a second watch")
			release()
			<-done
		}
		if l.dirs.isWatched("/workers/gone") {
			t.Error("takes a worker that is gone for watched")
		}
	})
}
