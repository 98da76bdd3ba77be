package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// noCreate is for sessions that only read.
func noCreate(c *session.Config) { c.NoCreate = true }

func dirs(h *zktest.ManualClient) {
	for _, d := range task.Dirs() {
		h.Create(d, "")
	}
}

func TestRead(t *testing.T) {
	t.Run("takes_an_empty_tree_and_leaves_it_empty", func(t *testing.T) {
		connect := zktest.Connect(t)
		s := harness.Open(t, connect, noCreate)
		tree, err := Read(t.Context(), s)
		if err != nil || tree.String() != "0 candidates, 0 workers, 0 tasks" {
			t.Errorf("read %v, %v", tree, err)
		}
		if tree, found, err := Diagnose(t.Context(), s, ""); err != nil || len(found) != 0 || len(tree.Dirs) != 0 {
			t.Errorf("diagnosed %v, %v", found, err)
		}
		if _, err := Look(t.Context(), s, "t1", Limits{}); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("looked: %v", err)
		}
		if got := zktest.Conn(t, connect).Children("/"); len(got) != 0 {
			t.Errorf("made %q", got)
		}
	})
	t.Run("reads_no_znode_whose_name_alone_tells_what_it_is", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		for i := range 40 {
			h.Create(fmt.Sprintf("/tasks/ %d", i), "pending")
			h.Create(fmt.Sprintf("/master/%d-", i), "")
		}
		proxy, through := zktest.Via(t, connect)
		s := harness.Open(t, through, noCreate)
		tree, err := Read(t.Context(), s)
		if err != nil || len(tree.Tasks) != 40 || len(tree.Strangers) != 40 {
			t.Errorf("read %v, %v", tree, err)
		}
		if n := Summarize(tree, time.Now(), Filter{}).Tasks.Malformed; n != 40 {
			t.Errorf("%d malformed", n)
		}
		reads := slices.DeleteFunc(proxy.Seen(), func(op zktest.Op) bool { return op != zktest.OpGetData && op != zktest.OpMultiRead })
		if len(reads) > 2 { // of /access and /members
			t.Errorf("reads of data: %v", reads)
		}
	})
	t.Run("keeps_the_beginning_of_a_large_state", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.Create("/tasks/big", "failed "+strings.Repeat("x", 900_000))
		tree, err := Read(t.Context(), harness.Open(t, connect, noCreate))
		if err != nil {
			t.Fatal(err)
		}
		if x := tree.Tasks[0]; x.Phase != task.Failed || x.Text.Bytes != 900_000 || len(x.Text.Beginning) != beginning {
			t.Errorf("read %+v", x)
		}
	})
	t.Run("leaves_out_what_vanishes_between_the_listing_and_its_read", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		for i := range 200 {
			h.Create(task.StatePath(fmt.Sprint(i)), "pending")
		}
		s := harness.Open(t, connect, noCreate)
		names, _, err := s.Children(task.TasksDir)
		if err != nil {
			t.Fatal(err)
		}
		h.Delete("/tasks/7")
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		tasks, err := readAll(t.Context(), names, func(name string) (Task, error) { return getTask(s, name) })
		if err != nil || len(tasks) != 199 {
			t.Errorf("%d tasks, %v", len(tasks), err)
		}
		for _, x := range tasks {
			if x.Name == "7" || x.Name == "" {
				t.Errorf("read %+v", x)
			}
		}
	})
	t.Run("notes_what_may_not_be_read", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		root := connect[strings.Index(connect, "/"):]
		locked := zk.DigestACL(zk.PermAll, "me", "secret")
		for _, path := range []string{"/tasks/t", "/data/t", "/workers/w", "/master/m-0000000001"} {
			h.CreateEphemeral(path, "pending")
			h.SetACL(path, locked)
		}
		tree, found, err := Diagnose(t.Context(), harness.Open(t, connect, noCreate), root)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Tasks[0].Err == nil || tree.Workers[0].Err == nil || tree.Candidates[0].Err == nil || len(found) != 4 {
			t.Errorf("read %v %v %v, found %v", tree.Tasks, tree.Workers, tree.Candidates, found)
		}
		c, err := Look(t.Context(), harness.Open(t, connect, noCreate), "t", Limits{})
		if err != nil || c.Task.Err == nil || c.PayloadErr == nil {
			t.Errorf("looked %+v, %v", c, err)
		}

		h.SetACL("/tasks", locked)
		if tree, err = Read(t.Context(), harness.Open(t, connect, noCreate)); err != nil || len(tree.Dirs) != 1 || tree.Dirs[0].Err == nil {
			t.Errorf("read %v, %v", tree.Dirs, err)
		}
	})
	t.Run("ends_with_its_context_and_with_the_session", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		dirs(h)
		h.Create("/tasks/t", "pending")
		s := harness.Open(t, connect, noCreate)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Read(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("with its context: %v", err)
		}
		s.Close()
		if _, err := Read(t.Context(), s); !errors.Is(err, session.ErrOver) {
			t.Errorf("with the session: %v", err)
		}
	})
}

func TestLookCountsWhatIsAssignedBefore(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	dirs(h)
	h.CreateSeq("/master/m-", "me")
	h.CreateEphemeral("/workers/w", "running")
	first, second, third := task.NewID(), task.NewID(), task.NewID()
	for id, state := range map[string]string{
		"running": "pending", "hand-made": "pending", "done": "done 1", "malformed": "?", " blank": "pending",
		first: "pending 1", second: "pending", third: "pending",
	} {
		h.Create(task.StatePath(id), state)
	}
	s := harness.Open(t, connect, noCreate)
	// Four submitters take turns. What is made by hand is one of them; two of its tasks are
	// not pending.
	for id, want := range map[string]int{first: 0, second: 1, third: 2, "hand-made": 3} {
		if c, err := Look(t.Context(), s, id, Limits{}); err != nil || c.Ahead != want {
			t.Errorf("%s: %+v, %v, want %d ahead", id, c, err, want)
		}
	}
}

func TestLookKeepsToItsLimits(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	dirs(h)
	h.CreateSeq("/master/m-", "me")
	h.CreateEphemeral("/workers/w", "t1")
	for _, id := range []string{"t1", "t2", "t3"} {
		h.Create(task.StatePath(id), "pending")
		h.Create(task.DataPath(id), "a secret")
	}
	s := harness.Open(t, connect, noCreate)
	for name, tc := range map[string]struct {
		limits  Limits
		payload string
		ahead   string
	}{
		"none":              {Limits{}, `8 bytes: "a secret"`, "the only worker is busy, and 1 task is ahead of it"},
		"no payload":        {Limits{NoPayload: true}, "may not be read: payloads are not read under a policy", "the only worker is busy, and 1 task is ahead of it"},
		"as many tasks":     {Limits{Tasks: 3}, `8 bytes: "a secret"`, "the only worker is busy, and 1 task is ahead of it"},
		"more tasks in all": {Limits{Tasks: 2}, `8 bytes: "a secret"`, "the only worker is busy"},
	} {
		c, err := Look(t.Context(), s, "t3", tc.limits)
		if err != nil {
			t.Fatal(err)
		}
		lines := make(map[string]string)
		for _, l := range Explain(c, time.Now()).Lines() {
			lines[l.Label] = l.Text
		}
		if lines["payload"] != tc.payload || lines["waits"] != tc.ahead {
			t.Errorf("%s: %q", name, lines)
		}
	}
}

func TestLookLeavesDrainedWorkersOut(t *testing.T) {
	connect := zktest.Connect(t)
	h, other := zktest.Conn(t, connect), zktest.Conn(t, connect)
	dirs(h)
	h.CreateSeq("/master/m-", "me")
	for _, id := range []string{"t1", "t2"} {
		h.Create(task.StatePath(id), "pending 2")
	}
	h.CreateEphemeral("/workers/busy", "t1")
	h.CreateEphemeral("/workers/free", "")
	other.CreateEphemeral("/workers/drained", "")
	h.Create("/drain/drained", "")
	s := harness.Open(t, connect, noCreate)
	if c, err := Look(t.Context(), s, "t2", Limits{}); err != nil || c.Rival == nil || c.Rival.Name != "t1" {
		t.Errorf("%+v, %v, want t1 as its rival", c, err)
	}
	h.Create("/drain/free", "")
	if c, err := Look(t.Context(), s, "t2", Limits{}); err != nil || Explain(c, time.Now()).Waits.Why != waitBusy {
		t.Errorf("%+v, %v", c, err)
	}
	h.Create("/drain/busy", "")
	if c, err := Look(t.Context(), s, "t2", Limits{}); err != nil || Explain(c, time.Now()).Waits.Why != waitDrained {
		t.Errorf("%+v, %v", c, err)
	}
}

// The list of worker w is wrong in both reads, but somebody wrote it in between.
func TestDiagnoseLeavesOutWhatWasWrittenBetweenItsReads(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	dirs(h)
	h.CreateEphemeral("/workers/w", "gone")
	h.CreateEphemeral("/workers/v", "gone")
	proxy, through := zktest.Via(t, connect)
	held, release := proxy.Hold(zktest.OpSync, 2) // each read of the tree begins with one
	s := harness.Open(t, through, noCreate)
	type result struct {
		found []Finding
		err   error
	}
	results := make(chan result, 1)
	go func() { // ends with the second read
		_, found, err := Diagnose(context.Background(), s, "")
		results <- result{found, err}
	}()
	zktest.Receive(t, "second read of Diagnose", held)
	h.Set("/workers/w", "gone")
	release()
	r := <-results
	if r.err != nil || len(r.found) != 1 || r.found[0].Znode != "/workers/v" {
		t.Errorf("found %v, %v", r.found, r.err)
	}
}
