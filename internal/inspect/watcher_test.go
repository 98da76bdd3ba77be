package inspect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// submit creates pending tasks with the ids that a client makes.
func submit(t *testing.T, s *session.Session, n int) (ids []string) {
	t.Helper()
	for len(ids) < n {
		var ops []session.Op
		for range min(500, n-len(ids)) {
			id := task.NewID()
			ids = append(ids, id)
			ops = append(ops, session.Create(task.StatePath(id), []byte("pending")))
		}
		if _, err := s.Multi(ops...); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// sameAsRead compares what a Watcher reads with what Read reads.
func sameAsRead(t *testing.T, w *Watcher, s *session.Session) {
	t.Helper()
	got, err := w.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, err := Read(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nread %+v\nwant %+v", got, got, want)
	}
}

func TestWatcher(t *testing.T) {
	t.Run("reads_again_only_what_has_changed", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.CreateSeq("/master/m-", "me")
		ids := submit(t, harness.Open(t, connect, noCreate), 5000)
		const workers = 16
		worker := func(i int) string { return task.WorkerPath(fmt.Sprint("w", i)) }
		for i := range workers {
			h.CreateEphemeral(worker(i), ids[i])
		}
		proxy, through := zktest.Via(t, connect)
		w := NewWatcher(harness.Open(t, through, noCreate))
		reads := func(want ...zktest.Op) (n int) {
			t.Helper()
			proxy.Seen()
			tree, err := w.Read(t.Context())
			if err != nil || len(tree.Tasks) != len(ids) || len(tree.Workers) != workers {
				t.Fatalf("read %v, %v", tree, err)
			}
			all := proxy.Seen()
			others := slices.DeleteFunc(slices.Clone(all), func(op zktest.Op) bool { return op == zktest.OpGetData || op == zktest.OpMultiRead })
			if !slices.Equal(others, want) {
				t.Errorf("requests %v, want %v beside reads", all, want)
			}
			return len(all) - len(others)
		}
		costs := func(mostReads int, want ...zktest.Op) {
			t.Helper()
			if n := reads(want...); n > mostReads {
				t.Errorf("%d reads, want at most %d", n, mostReads)
			}
		}
		if _, err := w.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		costs(0, zktest.OpSync)
		// 32 znodes go in a few requests. On a busy machine they may go in more now and then.
		fewest := 2 * workers
		for round := 0; round < 5 && fewest > 8; round++ {
			for i := range workers { // each finishes its task and gets another
				h.Set(task.StatePath(ids[i]), "done")
				h.Set(worker(i), ids[workers+i])
			}
			fewest = min(fewest, reads(zktest.OpSync))
		}
		if fewest > 8 {
			t.Errorf("at least %d reads, want at most 8", fewest)
		}
		costs(0, zktest.OpSync)
		h.Set(task.MembersDir, "protocol=2")
		costs(1, zktest.OpSync)
		h.Create(task.DrainPath("node"), "")
		costs(1, zktest.OpSync, zktest.OpGetChildren)
		h.Set(task.DrainPath("node"), "drained")
		costs(1, zktest.OpSync)
		h.CreateEphemeral(task.MemberPath("w"), "")
		costs(1, zktest.OpSync, zktest.OpGetChildren)
		costs(0, zktest.OpSync)
		h.Create(task.StatePath("new"), "pending")
		ids = append(ids, "new")
		costs(1, zktest.OpSync, zktest.OpGetChildren)
		costs(0, zktest.OpSync)
		h.Delete(task.StatePath("new"))
		ids = ids[:len(ids)-1]
		costs(1, zktest.OpSync) // which finds that it has gone
		costs(0, zktest.OpSync, zktest.OpGetChildren)
		costs(0, zktest.OpSync)
	})
	t.Run("sees_a_task_finished_once_no_worker_lists_it_any_more", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.Create("/tasks/t", "pending")
		h.CreateEphemeral("/workers/w", "")
		proxy, through := zktest.Via(t, connect)
		w := NewWatcher(harness.Open(t, through, noCreate))
		if _, err := w.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.Set("/workers/w", "t")
		held, release := proxy.Hold(zktest.OpGetData, 1, zktest.Naming("/workers/w"))
		trees := make(chan *Tree)
		go func() { // ends with the read
			tree, _ := w.Read(context.Background())
			trees <- tree
		}()
		zktest.Receive(t, "read of the worker", held)
		h.Set("/tasks/t", "done")
		h.Set("/workers/w", "")
		release()
		if tree := <-trees; tree == nil || len(tree.Workers[0].Tasks) != 0 || tree.Tasks[0].Phase != task.Done {
			t.Errorf("read %+v", tree)
		}
	})
	t.Run("returns_the_same_as_Read_after_random_changes", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		s := harness.Open(t, connect, noCreate)
		w := NewWatcher(harness.Open(t, connect, noCreate))
		sameAsRead(t, w, s) // nothing is there yet
		dirs(h)
		random := rand.New(rand.NewPCG(1, 2))
		for _, name := range []string{"m-0000000003", "m-0000000001", "notes"} {
			h.Create("/master/"+name, "")
		}
		for range 300 {
			dir := append(slices.Clone(watched), task.TasksDir)[random.IntN(len(watched)+1)]
			name := fmt.Sprintf("x-%010d", random.IntN(20))
			data := []string{"", "pending", "pending 1", "done 1", "failed x", "?", "x-0000000001", "drained", "role=worker protocol=2"}[random.IntN(9)]
			path := dir + "/" + name
			if random.IntN(10) == 0 {
				h.Set(task.MembersDir, data)
			}
			switch _, there := h.Stat(path); {
			case !there:
				h.CreateEphemeral(path, data)
			case random.IntN(3) == 0:
				h.Delete(path)
			default:
				h.Set(path, data)
			}
			if random.IntN(3) == 0 {
				sameAsRead(t, w, s)
			}
		}
		for _, dir := range []string{task.TasksDir, task.MembersDir} {
			h.DeleteAll(dir)
			sameAsRead(t, w, s)
			h.Create(dir, "protocol=3")
			sameAsRead(t, w, s)
		}
	})
}
