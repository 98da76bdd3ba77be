//go:build !race

package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/master"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
	"taskkeeper/internal/worker"
)

// TestReconnectDetached judges a real run with tasks that outlive their client:
// some are collected, cancelled, or set back after a failure, the rest is left to
// the leader, and leaders change.
func TestReconnectDetached(t *testing.T) {
	const tasks, chroot, kept = 120, "/app", 4 * time.Second
	server := zktest.NewServer(t, zktest.Options{})
	connect := server.Addr() + chroot
	cfg := session.Config{Timeout: 5 * time.Second}
	// client does what a client does on a session of its own.
	client := func(do func(s *session.Session)) {
		t.Helper()
		s := harness.Open(t, connect)
		defer s.Close()
		do(s)
	}
	multi := func(s *session.Session, ops ...session.Op) {
		if _, err := s.Multi(ops...); err != nil {
			t.Error(err)
		}
	}
	client(func(s *session.Session) { // of this the payload is left
		if err := s.EnsureDirs(task.Dirs()...); err != nil {
			t.Fatal(err)
		}
		id := task.NewID()
		multi(s, session.Create(task.DataPath(id), []byte("3600")), session.Create(task.StatePath(id), []byte("pending")))
		multi(s, session.Delete(task.StatePath(id), session.AnyVersion))
	})

	var masters []func()
	for range 2 {
		masters = append(masters, role(t, connect, cfg, func(ctx context.Context, s *session.Session) error {
			return master.Run(ctx, s, master.Config{Retention: kept})
		}))
	}
	stopWorker := role(t, connect, cfg, func(ctx context.Context, s *session.Session) error {
		return worker.Run(ctx, s, worker.Config{Slots: 4})
	})
	hand := zktest.Conn(t, connect)
	var ids []string
	client(func(s *session.Session) {
		for i := range tasks {
			id := task.NewID()
			payload := []string{"0", "0.01", "x"}[i%3] // the third fails
			multi(s, session.Create(task.DataPath(id), []byte(payload)), session.Create(task.StatePath(id), []byte("pending")))
			ids = append(ids, id)
			if i == tasks/2 {
				masters[0]() // one of the two leaves, maybe the leader
			}
		}
		id := task.NewID()
		multi(s, session.Create(task.DataPath(id), []byte("3600")), session.Create(task.StatePath(id), []byte("pending")))
		ids = append(ids, id)
	})
	var retried, collected int
	client(func(s *session.Session) {
		for i, id := range ids[:tasks] {
			zktest.Eventually(t, "task "+id+" is finished, or gone", func() (bool, string) {
				data, stat, err := s.Get(task.StatePath(id))
				if err != nil {
					return true, ""
				}
				state := task.ParseState(data)
				if state.Phase == task.Failed && i%2 == 0 {
					if _, err := s.Multi(session.Set(task.StatePath(id), []byte("pending"), stat.Version)); err == nil {
						retried++
					}
				} else if state.Finished() && i%5 == 0 {
					if _, err := s.Multi(session.Delete(task.DataPath(id), session.AnyVersion), session.Delete(task.StatePath(id), stat.Version)); err == nil {
						collected++
					}
				}
				return state.Finished(), fmt.Sprintf("%q", data)
			})
		}
		last := ids[tasks]
		multi(s, session.Delete(task.DataPath(last), session.AnyVersion), session.Delete(task.StatePath(last), session.AnyVersion))
	})
	zktest.Eventually(t, "nothing is left", func() (bool, string) {
		left := append(hand.Children(task.TasksDir), hand.Children(task.DataDir)...)
		return len(left) == 0, fmt.Sprint(len(left), " znodes")
	})
	stopWorker()
	masters[1]()
	hand.Close()

	txns, err := Read(server.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	r := Check(Under(txns, chroot), Options{Finished: true, Retention: kept})
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	switch {
	case r.Created != tasks+2, r.Withdrawn != 2, retried == 0, collected == 0, r.Retried != retried,
		r.Done+r.Failed != tasks+retried, r.Uncollected != tasks+1-collected:
		t.Errorf("this cannot be, after %d retries, %d collected: %+v", retried, collected, r)
	}
}
