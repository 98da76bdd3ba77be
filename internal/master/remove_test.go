package master

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

// hour is the retention time in the tests whose leader's loop does not run: for
// them it passes when they say so.
const hour = time.Hour

// keeper is a leader whose loop does not run, with its log; the session goes
// through the proxy.
func keeper(t *testing.T) (*leader, *zktest.Hand, *zktest.Proxy, *strings.Builder) {
	t.Helper()
	h, connect := tree(t)
	proxy, via := zktest.Via(t, connect)
	s := open(t, via)
	var log strings.Builder
	l := still(s, h.CreateSeq("/master/x-", ""), newView(3), slog.New(slog.NewTextHandler(&log, nil)))
	l.dirs = newDirs(s)
	l.view.retention.period = hour
	return l, h, proxy, &log
}

// learn has the leader list all, and read each task.
func learn(t *testing.T, l *leader) {
	t.Helper()
	list(t, l, false, 0)
	l.workersDirty = true
	for id, tv := range l.view.tasks {
		if tv.phase != held {
			l.view.look(id)
		}
	}
	for more := true; more; {
		var err error
		if more, err = l.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// list has the leader list /tasks, and /data if that is wanted, as if it were
// so long ago.
func list(t *testing.T, l *leader, data bool, ago time.Duration) {
	t.Helper()
	l.view.asked++
	a, err := l.list(ask{number: l.view.asked, data: data})
	if err != nil {
		t.Fatal(err)
	}
	if data {
		a.alone.began, a.alone.ended = a.alone.began.Add(-ago), a.alone.ended.Add(-ago)
	}
	l.merge(a)
}

func tidy(t *testing.T, l *leader, after time.Duration) {
	t.Helper()
	if err := l.tidy(time.Now().Add(after)); err != nil {
		t.Fatal(err)
	}
}

// finished makes a task by hand that is.
func finished(h *zktest.Hand, id, state string) {
	submit(h, id)
	h.Set(task.StatePath(id), state)
}

// left is which tasks and payloads there are.
func left(h *zktest.Hand) string {
	return fmt.Sprint(h.Children("/tasks"), h.Children("/data"))
}

func multis(seen []zktest.Op) (n int) {
	for _, op := range seen {
		if op == zktest.OpMulti {
			n++
		}
	}
	return n
}

func TestTidy(t *testing.T) {
	t.Run("removes_results_with_their_payloads_when_they_are_due_and_not_before", func(t *testing.T) {
		l, h, proxy, _ := keeper(t)
		finished(h, "done", "done 1")
		finished(h, "failed", "failed so")
		finished(h, "odd", "finished")
		submit(h, "pending")
		h.CreateEphemeral("/data/of-a-client", "0")
		h.CreateEphemeral("/tasks/of-a-client", "done 1")
		h.Create("/tasks/no-payload", "done 1")
		h.CreateEphemeral("/workers/w", "held")
		finished(h, "held", "done 1")
		learn(t, l)
		before := left(h)
		tidy(t, l, hour-time.Minute)
		if got := left(h); got != before {
			t.Fatalf("removed too early: left %s of %s", got, before)
		}
		proxy.Seen()
		tidy(t, l, hour+time.Minute)
		if got, want := left(h), "[held odd of-a-client pending] [held odd of-a-client pending]"; got != want {
			t.Errorf("left %s, want %s", got, want)
		}
		if n := multis(proxy.Seen()); n != 2 { // the one without a payload is looked at
			t.Errorf("%d multis", n)
		}
	})
	t.Run("takes_it_for_fine_that_one_was_collected_meanwhile", func(t *testing.T) {
		l, h, _, log := keeper(t)
		for _, id := range []string{"a", "b", "c"} {
			finished(h, id, "done 1")
		}
		learn(t, l)
		h.Delete("/data/b")
		h.Delete("/tasks/b")
		tidy(t, l, 2*hour)
		if got := left(h); got != "[] []" {
			t.Errorf("left %s", got)
		}
		if strings.Contains(log.String(), "WARN") {
			t.Errorf("it says:\n%s", log)
		}
	})
	t.Run("reads_again_what_was_written_since_and_starts_anew", func(t *testing.T) {
		l, h, _, _ := keeper(t)
		for _, id := range []string{"again", "retried", "same"} {
			finished(h, id, "failed so")
		}
		learn(t, l)
		h.Set("/tasks/retried", "pending")
		h.Set("/tasks/again", "done 1")
		tidy(t, l, 2*hour)
		if got := left(h); got != "[again retried] [again retried]" {
			t.Fatalf("left %s", got)
		}
		if _, err := l.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		tidy(t, l, hour-time.Minute)
		if got := left(h); got != "[again retried] [again retried]" {
			t.Errorf("removed too early: left %s", got)
		}
		tidy(t, l, 2*hour)
		if got := left(h); got != "[retried] [retried]" {
			t.Errorf("left %s", got)
		}
		if claims := l.view.queue.len(); claims != 1 {
			t.Errorf("%d tasks wait, not the one that is pending again", claims)
		}
	})
	t.Run("costs_no_other_its_removal_where_one_cannot_be_removed", func(t *testing.T) {
		l, h, proxy, log := keeper(t)
		var odd []string
		for i := range 50 {
			finished(h, fmt.Sprintf("t%02d", i), "done 1")
			if i%5 == 3 {
				id := fmt.Sprintf("t%02d", i)
				h.Create([]string{"/tasks/", "/data/"}[i/5%2]+id+"/below", "")
				odd = append(odd, id)
			}
		}
		learn(t, l)
		tidy(t, l, 2*hour)
		if got, want := left(h), fmt.Sprint(odd, odd); got != want {
			t.Errorf("left %s, want %s", got, want)
		}
		proxy.Seen()
		for range 3 {
			learn(t, l)
			tidy(t, l, 3*hour)
		}
		if n := multis(proxy.Seen()); n > 0 {
			t.Errorf("tried again with %d multis", n)
		}
		if n := strings.Count(log.String(), "WARN"); n != len(odd) {
			t.Errorf("%d complaints about %d znodes:\n%s", n, len(odd), log)
		}
		h.Delete("/tasks/t03/below")
		h.Set("/tasks/t03", "done 2") // now it is another state
		learn(t, l)
		tidy(t, l, 3*hour)
		if got := h.Children("/tasks"); slices.Contains(got, "t03") {
			t.Errorf("left %q", got)
		}
	})
	t.Run("is_done_in_steps", func(t *testing.T) {
		l, h, proxy, _ := keeper(t)
		for i := range 2*removals + 10 {
			finished(h, fmt.Sprintf("t%04d", i), "done 1")
		}
		learn(t, l)
		for _, want := range []int{removals + 10, 10, 0, 0} {
			proxy.Seen()
			tidy(t, l, 2*hour)
			if n := len(h.Children("/tasks")); n != want {
				t.Fatalf("%d tasks are left, want %d", n, want)
			}
			if n := multis(proxy.Seen()); n > 1 {
				t.Errorf("%d multis", n)
			}
		}
	})
	t.Run("reads_no_large_result_twice_unless_it_was_written", func(t *testing.T) {
		l, h, proxy, _ := keeper(t)
		finished(h, "t1", "failed "+strings.Repeat("x", large))
		finished(h, "t2", "done 1")
		again := func() (reads []zktest.Op) {
			t.Helper()
			proxy.Seen()
			for range shelfLife {
				l.view.nextTick(rereads)
			}
			if _, err := l.refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			return proxy.Seen()
		}
		learn(t, l)
		for range 3 {
			if got := again(); len(got) != 2 || !slices.Contains(got, zktest.OpGetData) || !slices.Contains(got, zktest.OpGetACL) {
				t.Errorf("requests %v", got)
			}
		}
		h.Set("/tasks/t1", "pending")
		if again(); l.view.tasks["t1"].phase != waiting {
			t.Errorf("phase %d of what was made pending again", l.view.tasks["t1"].phase)
		}
		tidy(t, l, 2*hour)
		if got := left(h); got != "[t1] [t1]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("goes_in_several_packets_where_names_are_long", func(t *testing.T) {
		l, h, proxy, _ := keeper(t)
		for i := range removals {
			finished(h, fmt.Sprintf("t%03d-%s", i, strings.Repeat("l", task.MaxID-5)), "done 1")
		}
		learn(t, l)
		proxy.Seen()
		tidy(t, l, 2*hour)
		if got := left(h); got != "[] []" {
			t.Errorf("left %d tasks", len(h.Children("/tasks")))
		}
		if n := multis(proxy.Seen()); n < 2 {
			t.Errorf("%d multis", n)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Run("removes_a_payload_that_had_no_task_in_two_listings", func(t *testing.T) {
		l, h, _, log := keeper(t)
		for _, id := range []string{"alone", "by-hand", "made-again", "odd", "odd/below", "task-since"} {
			h.Create("/data/"+id, "0")
		}
		h.CreateEphemeral("/data/of-a-client", "0")
		submit(h, "task")
		list(t, l, true, 2*hour)
		h.Create("/tasks/by-hand", "pending") // its payload was made a little before
		h.Delete("/data/made-again")
		h.Create("/data/made-again", "0")
		h.Create("/data/new", "0")
		list(t, l, true, 0)
		h.Create("/tasks/task-since", "pending")
		for range 2 {
			learn(t, l)
			tidy(t, l, 0)
		}
		if got, want := fmt.Sprint(h.Children("/data")), "[by-hand made-again new odd of-a-client task task-since]"; got != want {
			t.Errorf("left %s, want %s", got, want)
		}
		if n := strings.Count(log.String(), "WARN"); n != 1 || !strings.Contains(log.String(), "znode=/data/odd ") {
			t.Errorf("it says:\n%s", log)
		}
		if got := len(h.Children("/tasks")); got != 3 {
			t.Errorf("%d tasks", got)
		}
	})
	t.Run("takes_nothing_for_alone_that_is_submitted_between_its_two_listings", func(t *testing.T) {
		l, h, proxy, _ := keeper(t)
		held, release := proxy.Hold(zktest.OpGetChildren, 1, zktest.Naming("/data"))
		got := make(chan listing, 1)
		go func() {
			a, err := l.list(ask{number: 1, data: true})
			if err != nil {
				t.Error(err)
			}
			got <- a
		}()
		select {
		case <-held:
		case <-time.After(20 * time.Second):
			t.Fatal("/data was not listed")
		}
		submit(h, "t")
		release()
		if a := <-got; len(a.alone.names) > 0 || !slices.Equal(a.names, []string{"t"}) {
			t.Errorf("alone %v, tasks %v", a.alone.names, a.names)
		}
	})
	t.Run("is_done_in_steps", func(t *testing.T) {
		l, h, _, _ := keeper(t)
		for i := range removals + 10 {
			h.Create(fmt.Sprintf("/data/t%04d", i), "")
		}
		list(t, l, true, 2*hour)
		list(t, l, true, 0)
		learn(t, l)
		for _, want := range []int{10, 0} {
			tidy(t, l, 0)
			if n := len(h.Children("/data")); n != want {
				t.Fatalf("%d payloads are left, want %d", n, want)
			}
		}
	})
	t.Run("tries_little_where_it_may_remove_nothing_and_goes_on_where_it_may", func(t *testing.T) {
		h, connect := tree(t)
		s := open(t, connect)
		l := still(s, h.CreateSeq("/master/x-", ""), newView(3), testLogger(t))
		l.dirs = newDirs(s)
		l.view.retention.period = hour
		permit := func(perms int32) {
			data := connect[strings.Index(connect, "/"):] + "/data"
			if _, err := h.Conn.SetACL(data, zk.WorldACL(perms), -1); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			h.Create(fmt.Sprintf("/data/t%02d", i), "")
		}
		list(t, l, true, 2*hour)
		list(t, l, true, 0)
		learn(t, l)
		permit(zk.PermAll &^ zk.PermDelete)
		tidy(t, l, 0)
		if n := len(l.odd.told); n > 0 {
			t.Errorf("%d complaints about payloads", n)
		}
		permit(zk.PermAll)
		tidy(t, l, 0)
		if n := len(h.Children("/data")); n > 0 {
			t.Errorf("%d payloads are left", n)
		}
	})
	t.Run("makes_data_when_it_is_missing", func(t *testing.T) {
		l, h, _, _ := keeper(t)
		h.Delete("/data")
		list(t, l, true, 2*hour)
		if _, ok := h.Get("/data"); !ok {
			t.Error("there is no /data")
		}
	})
}
