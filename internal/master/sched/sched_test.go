package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// rig drives a scheduler by events.
type rig struct {
	t       *testing.T
	s       *Scheduler
	now     time.Time
	listing int64
	last    []Move // decided last
}

// lead returns a scheduler of a leader that knows tasks and free workers.
func lead(t *testing.T, tasks []string, workers ...string) *rig {
	r := &rig{t: t, s: New(3), now: time.Unix(1_000_000, 0)}
	r.list(tasks...)
	r.given(WorkersListed{workers})
	for _, w := range workers {
		r.given(WorkerRead{ID: w, Session: int64(len(w) + int(w[len(w)-1]))})
	}
	return r
}

func (r *rig) given(events ...Event) {
	r.t.Helper()
	for _, e := range events {
		r.s.Handle(e, r.now)
		if err := r.s.check(); err != nil {
			r.t.Fatalf("after %T%+v: %v", e, e, err)
		}
	}
}

func (r *rig) list(tasks ...string) {
	r.t.Helper()
	r.listing++
	r.given(TasksListed{tasks, r.listing})
}

func (r *rig) decide() Decision {
	r.t.Helper()
	d := r.s.Decide(r.now)
	if err := r.s.check(); err != nil {
		r.t.Fatalf("after Decide: %v", err)
	}
	r.last = d.Moves
	return d
}

// decides checks the moves that are decided now. An ! stands for a loss that is
// counted, and what is asked back has a - before it.
func (r *rig) decides(want ...string) {
	r.t.Helper()
	var got []string
	for _, m := range r.decide().Moves {
		text := []string{"assign", "revoke", "reclaim", "fail"}[m.Kind]
		for _, c := range m.Tasks {
			if text += " " + c.ID; c.CountLoss {
				text += "!"
			}
		}
		if m.Worker != "" {
			text += " " + m.Worker
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("decided %q, want %q", got, want)
	}
}

// carryOut has the moves that were decided last carried out.
func (r *rig) carryOut() {
	r.t.Helper()
	for _, m := range r.last {
		r.given(Carried{m, m.Version + 1})
	}
}

// reads checks which tasks are to be read now.
func (r *rig) reads(want ...string) {
	r.t.Helper()
	if got := r.decide().ReadTasks; !slices.Equal(got, want) {
		r.t.Fatalf("reads %q, want %q", got, want)
	}
}

func (r *rig) after(d time.Duration) { r.now = r.now.Add(d) }

// pending is a task read as pending with that many losses.
func pending(id string, losses int, version int32) TaskRead {
	return TaskRead{ID: id, State: task.NewPending(losses), Version: version}
}

func done(id string, version int32) TaskRead {
	return TaskRead{ID: id, State: task.NewDone(nil), Version: version}
}

// newIDs returns ids of one submitter to the default queue, the oldest first.
func newIDs(n int) []string {
	s := task.NewSubmitter("")
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.NewID()
	}
	return ids
}

func TestNewLeader(t *testing.T) {
	ids := newIDs(3)
	a, b := ids[0], ids[1]

	t.Run("decides nothing until it listed both, read every worker, and the losses of what they execute", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		for _, e := range []Event{
			TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"},
			WorkerRead{ID: "w2", List: []string{b}, Version: 1},
		} {
			r.decides()
			r.given(e)
		}
		r.reads(b)
		r.decides()
		r.given(pending(b, 1, 3))
		r.decides("assign " + a + " w1")
	})
	t.Run("decides nothing while the znode of any worker is to be read", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2")
		r.decides() // it knows all that a new leader must know
		r.list(a)
		r.given(WorkerChanged{"w2", 1})
		r.decides()
		r.given(WorkerRead{ID: "w2", List: []string{a}, Version: 1}) // by hand
		r.decides()
		r.list(a, b)
		r.given(WorkersListed{[]string{"w1", "w2", "w3"}})
		r.decides()
		r.given(WorkerRead{ID: "w3", List: []string{b}}) // made so, by hand
		r.decides()
	})
	t.Run("reads the losses of a task that a worker comes to later", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		r.given(TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1", List: []string{a, b}, Version: 1}, WorkerRead{ID: "w2"})
		r.reads(a)
		r.given(pending(a, 0, 1), WorkerRead{ID: "w1", List: []string{b}, Version: 2})
		r.reads(b)
		r.given(pending(b, 1, 4), WorkerGone{"w1", true}, pending(b, 1, 4))
		r.decides("assign " + b + "! w2")
	})
	t.Run("reads the losses although it lists /tasks last", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"}, WorkerRead{ID: "w2", List: []string{b}, Version: 1})
		r.decides()
		r.list(a, b)
		if d := r.decide(); !slices.Equal(d.ReadTasks, []string{b}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("reads every worker first, however many there are", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		names := []string{"w1"}
		for i := range mostAwaited + 1 {
			names = append(names, fmt.Sprint("x", i))
		}
		r.s.Handle(WorkersListed{names}, r.now)
		r.given(WorkerRead{ID: "w1"})
		r.list(a)
		r.decides()
	})
	t.Run("does not wait for thousands of names under /workers that came at once", func(t *testing.T) {
		r := lead(t, []string{a}, "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.list(a, b)
		names := []string{"w1", "w2"}
		for i := range mostAwaited + 1 {
			names = append(names, fmt.Sprint("x", i))
		}
		r.given(WorkersListed{names})
		d := r.decide()
		if len(d.Moves) != 1 || len(d.ReadWorkers) != mostWorkerReads || d.Blocked {
			t.Errorf("decided %d moves, reads %d", len(d.Moves), len(d.ReadWorkers))
		}
	})
	t.Run("goes on when the state of what a worker executes may not be read", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		r.given(TasksListed{[]string{a, b}, 1}, WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"},
			WorkerRead{ID: "w2", List: []string{b}, Version: 1}, TaskUnusable{b})
		r.decides("assign " + a + " w1")
	})
	t.Run("counts the loss of what a leader before it assigned", func(t *testing.T) {
		r := &rig{t: t, s: New(3)}
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w1"}, WorkerRead{ID: "w2", List: []string{b}, Version: 1},
			TasksListed{[]string{b}, 1}, pending(b, 1, 3), WorkerGone{"w2", true}, pending(b, 1, 3))
		r.decides("assign " + b + "! w1")
		if c := r.last[0].Tasks[0]; c.Version != 3 || c.Losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
}

func TestAssignment(t *testing.T) {
	ids := newIDs(6)
	a, b, c := ids[0], ids[1], ids[2]

	t.Run("reserves task and worker until its fate is known", func(t *testing.T) {
		r := lead(t, ids[:2], "w1")
		r.decides("assign " + a + " w1")
		move := r.last[0]
		r.decides()
		r.given(Carried{move, 1}, WorkerRead{ID: "w1", Version: 2})
		r.decides("assign " + b + " w1")
	})
	t.Run("that was not sent is decided again", func(t *testing.T) {
		r := lead(t, ids[:1], "w1")
		r.decides("assign " + a + " w1")
		r.given(NotSent{r.last[0]})
		r.decides("assign " + a + " w1")
	})
	t.Run("keeps a task in its queue", func(t *testing.T) {
		gpu := task.NewSubmitter("gpu").NewID()
		r := lead(t, []string{a, gpu, "gpu.t1"}, "w1", "gpu.w1", "gpu.w2")
		r.decides("assign "+a+" w1", "assign "+gpu+" gpu.w1")
		r.given(pending("gpu.t1", 0, 0))
		r.decides("assign gpu.t1 gpu.w2")
	})
	t.Run("of a task made by hand comes after a read of it", func(t *testing.T) {
		r := lead(t, []string{"t1", "t2"}, "w1")
		r.decides()
		r.reads("t1", "t2")
		r.given(done("t1", 0), pending("t2", 0, 3))
		r.decides("assign t2 w1")
		if c := r.last[0].Tasks[0]; c.Version != 3 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("takes a worker that may not be used for none", func(t *testing.T) {
		r := lead(t, ids[:2], "w1", "w2")
		r.decides("assign "+a+" w1", "assign "+b+" w2")
		r.given(Refused{r.last[0], "", Unusable}, NotSent{r.last[1]})
		r.decides("assign " + a + " w2")
		r.given(WorkerChanged{"w1", 1}, WorkerRead{ID: "w1", Version: 1})
		r.decides("assign " + b + " w1")
	})
	t.Run("that its worker stood against has the worker read", func(t *testing.T) {
		for _, why := range []Why{Moved, Gone} {
			r := lead(t, ids[:1], "w1")
			r.decides("assign " + a + " w1")
			r.given(Refused{r.last[0], "", why})
			if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
				t.Errorf("decided %+v", d)
			}
		}
	})
	t.Run("waits after a reconnect until every worker was read", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2", "odd")
		r.given(WorkerUnusable{ID: "odd", Malformed: true}, AllChanged{})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"odd", "w1", "w2"}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("of a task is over when its worker's list is malformed", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerUnusable{ID: "w1", Malformed: true})
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w2")
	})
	t.Run("goes to a worker again only when a read says that it is free", func(t *testing.T) {
		r := lead(t, ids[:2], "w1")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerChanged{"w1", 1}) // its own write
		if d := r.decide(); len(d.ReadWorkers) > 0 {
			t.Errorf("its own write makes the leader read %q", d.ReadWorkers)
		}
		r.given(WorkerChanged{"w1", 1})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", Version: 2})
		r.decides("assign " + b + " w1")
	})
	t.Run("that was refused for one task goes again with the others", func(t *testing.T) {
		for why, reads := range map[Why][]string{Gone: nil, Moved: {b}, Unusable: nil} {
			r := lead(t, []string{a}, "w1", "w2")
			r.decides("assign " + a + " w1")
			r.list(a, b)
			r.decides("assign " + b + " w2")
			r.given(Refused{r.last[0], b, why})
			r.reads(reads...)
			if why == Gone {
				r.list(a, c)
			} else {
				r.list(a, b, c)
			}
			r.decides("assign " + c + " w2")
		}
	})
	t.Run("of which nobody knows the fate is settled by what is read", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.given(Unknown{r.last[0]})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || !slices.Equal(d.ReadTasks, []string{a}) || len(d.Moves) > 0 {
			t.Errorf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", List: []string{a}, Version: 1}, pending(a, 0, 0))
		r.decides() // it was carried out
		r = lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.given(Unknown{r.last[0]}, WorkerRead{ID: "w1"})
		r.decides()
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w1")
	})
	t.Run("of which nobody knows the fate counts a loss once", func(t *testing.T) {
		for _, carriedOut := range []bool{false, true} {
			r := lead(t, nil, "w1", "w2", "w3")
			r.given(WorkerRead{ID: "w1", List: []string{a}, Version: 1})
			r.list(a)
			r.given(pending(a, 0, 5), WorkerGone{"w1", true}, pending(a, 0, 5))
			r.decides("assign " + a + "! w2")
			r.given(Unknown{r.last[0]})
			if carriedOut {
				r.given(WorkerRead{ID: "w2", List: []string{a}, Version: 1}, pending(a, 1, 6), WorkerGone{"w2", true}, pending(a, 1, 6))
			} else {
				r.given(WorkerRead{ID: "w2"}, WorkerUnusable{ID: "w2"}, pending(a, 0, 5))
			}
			r.decides("assign " + a + "! w3")
		}
	})
	t.Run("typed by hand makes a task nobody else's", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2")
		r.given(WorkerRead{ID: "w2", List: []string{a}, Version: 1})
		r.list(a, b)
		r.given(pending(a, 0, 0))
		r.decides("assign " + b + " w1")
	})
	t.Run("that was refused has others read that may be no better, ever more of them", func(t *testing.T) {
		ids := newIDs(2000)
		r := lead(t, ids, "w1")
		for _, want := range []int{leastAhead, 2 * leastAhead} {
			d := r.decide()
			r.given(Refused{d.Moves[0], d.Moves[0].Tasks[0].ID, Moved})
			n := 0
			for {
				d := r.decide()
				if len(d.Moves) == 1 {
					r.given(NotSent{d.Moves[0]})
				}
				if len(d.ReadTasks) == 0 {
					break
				}
				for _, id := range d.ReadTasks {
					n++
					r.given(done(id, 1))
				}
			}
			if n < want || n > want+want/4+2 {
				t.Errorf("%d were read, want about %d", n, want)
			}
		}
	})
}

func TestReleasedTask(t *testing.T) {
	ids := newIDs(2)
	a := ids[0]
	// released returns a leader whose worker w1 took a off its list.
	released := func(t *testing.T) *rig {
		r := lead(t, ids[:1], "w1")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerRead{ID: "w1", Version: 2})
		return r
	}
	t.Run("is assigned again only after a read, a while later", func(t *testing.T) {
		r := released(t)
		d := r.decide()
		if len(d.Moves)+len(d.ReadTasks) > 0 || !d.Wake.Equal(r.now.Add(releasePause)) {
			t.Fatalf("decided %+v", d)
		}
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 0))
		r.decides("assign " + a + " w1")
	})
	t.Run("that is finished stays so until somebody sets it back", func(t *testing.T) {
		r := released(t)
		r.after(releasePause)
		r.reads(a)
		r.given(done(a, 1))
		r.after(finishedPause)
		if d := r.decide(); !slices.Equal(d.Recheck, []Known{{ID: a, Version: 1}}) || len(d.Moves) > 0 {
			t.Fatalf("decided %+v", d)
		}
		r.given(pending(a, 0, 2))
		r.decides("assign " + a + " w1")
	})
	t.Run("that is never written is tried ever more rarely", func(t *testing.T) {
		r := released(t)
		var pauses []time.Duration
		for range 6 {
			began := r.now
			for len(r.decide().Moves) == 0 {
				r.after(time.Second)
				if d := r.decide(); len(d.ReadTasks) > 0 {
					r.given(pending(a, 0, 0))
				} else if len(d.Moves) > 0 {
					break
				}
			}
			pauses = append(pauses, r.now.Sub(began))
			r.given(Carried{r.last[0], r.last[0].Version + 1}, WorkerRead{ID: "w1", Version: r.last[0].Version + 2})
		}
		if !slices.IsSorted(pauses) || pauses[0] > 3*time.Second || pauses[5] < 20*time.Second {
			t.Errorf("pauses %v", pauses)
		}
	})
	t.Run("that a listing lacks is forgotten", func(t *testing.T) {
		r := released(t)
		r.list()
		r.after(time.Minute)
		if d := r.decide(); len(d.ReadTasks) > 0 || !d.Wake.IsZero() {
			t.Errorf("decided %+v", d)
		}
	})
}

// 20,000 results that nobody collects do not keep a failed task waiting that is retried.
func TestFailedTaskIsSeenToBeRetried(t *testing.T) {
	ids := newIDs(20_001)
	r := lead(t, ids)
	for i, id := range ids {
		state := task.NewDone(nil)
		if i == 0 {
			state = task.NewFailed("so")
		}
		r.s.Handle(Refused{Move{Kind: Assign, Tasks: []Claim{{ID: id}}}, id, Moved}, r.now)
		r.s.Handle(TaskRead{ID: id, State: state, Version: 1}, r.now)
	}
	var last time.Time
	longest := time.Duration(0)
	for at := time.Duration(0); at < 20*time.Minute; at += 100 * time.Millisecond {
		r.after(100 * time.Millisecond)
		for _, k := range r.s.Decide(r.now).Recheck {
			if k.ID == ids[0] {
				if at > 10*time.Minute {
					longest = max(longest, r.now.Sub(last))
				}
				last = r.now
			}
		}
	}
	if longest == 0 || longest > 2*finishedPause || r.now.Sub(last) > 2*finishedPause {
		t.Errorf("it is looked at every %v, last %v ago", longest, r.now.Sub(last))
	}
}

func TestFinishedTasks(t *testing.T) {
	ids := newIDs(1000)
	r := lead(t, ids)
	for _, id := range ids {
		r.s.Handle(Refused{Move{Kind: Assign, Tasks: []Claim{{ID: id}}}, id, Moved}, r.now)
		r.s.Handle(TaskRead{ID: id, State: task.NewDone(nil), Version: 1}, r.now)
	}
	// Whatever is still pending is read as finished, too.
	for d := r.decide(); len(d.ReadTasks) > 0; d = r.decide() {
		for _, id := range d.ReadTasks {
			r.s.Handle(TaskRead{ID: id, State: task.NewDone(nil), Version: 1}, r.now)
		}
	}
	n := 0
	r.after(finishedPause)
	for end := r.now.Add(time.Second); r.now.Before(end); r.after(10 * time.Millisecond) {
		n += len(r.decide().Recheck)
	}
	if n < 400 || n > 500 {
		t.Errorf("%d of 1,000 finished tasks were looked at in a second", n)
	}
}

func TestWithdrawnTask(t *testing.T) {
	ids := newIDs(2)
	a, b := ids[0], ids[1]
	t.Run("is revoked once a listing lacks it that began after its worker was read", func(t *testing.T) {
		r := lead(t, ids, "w1")
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w2", List: []string{a, b}, Version: 1, Listings: 2})
		r.listing = 1
		r.list(b) // it began before
		if d := r.decide(); len(d.Moves) > 0 && d.Moves[0].Kind == Revoke || !d.Relist {
			t.Fatalf("decided %+v", d)
		}
		r.list(b)
		r.decides("revoke " + a + " w2")
		if m := r.last[0]; !slices.Equal(m.List, []string{b}) || m.Version != 1 {
			t.Errorf("move %+v", m)
		}
	})
	t.Run("leaves what the worker is asked for as it is", func(t *testing.T) {
		r := lead(t, ids, "w1")
		r.given(WorkersListed{[]string{"w1", "w2"}}, WorkerRead{ID: "w2", List: []string{a, b}, Back: []string{b}, Version: 1})
		r.list(b)
		r.decides("revoke " + a + " w2")
		if m := r.last[0]; !slices.Equal(m.Back, []string{b}) {
			t.Errorf("move %+v", m)
		}
	})
}

func TestLostWorker(t *testing.T) {
	ids := newIDs(4)
	a, b := ids[0], ids[1]
	// lost returns a leader that assigned a, with that many losses at version 5, to
	// w1, which is gone.
	lost := func(t *testing.T, losses int, blame bool) *rig {
		r := lead(t, nil, "w1", "w2")
		r.given(WorkerUnusable{ID: "w2"})
		r.list(a)
		r.decides("assign " + a + " w1")
		r.given(Refused{r.last[0], a, Moved}, pending(a, losses, 5))
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkerGone{"w1", blame}, WorkerChanged{"w2", 0}, WorkerRead{ID: "w2"})
		return r
	}
	t.Run("is gone only when a read says so", func(t *testing.T) {
		r := lead(t, ids[:1], "w1", "w2")
		r.decides("assign " + a + " w1")
		r.carryOut()
		r.given(WorkersListed{[]string{"w2"}})
		if d := r.decide(); !slices.Equal(d.ReadWorkers, []string{"w1"}) || len(d.Moves) > 0 {
			t.Fatalf("decided %+v", d)
		}
		r.given(WorkerRead{ID: "w1", List: []string{a}, Version: 1}) // the listing was old
		r.decides()
	})
	t.Run("costs its first task a loss, at the version of the assignment", func(t *testing.T) {
		r := lost(t, 0, true)
		r.decides()
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		if c := r.last[0].Tasks[0]; c.Version != 5 || c.Losses != 0 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("costs a second loss, at the version that the first one was written at", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		r.carryOut()
		r.given(WorkersListed{[]string{"w2", "w3"}}, WorkerRead{ID: "w3"}, WorkerGone{"w2", true}, pending(a, 1, 6))
		r.decides("assign " + a + "! w3")
		if c := r.last[0].Tasks[0]; c.Version != 6 || c.Losses != 1 {
			t.Errorf("claim %+v", c)
		}
	})
	t.Run("costs a loss though its count may not be written at first", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
		r.given(Refused{r.last[0], a, Unusable}) // over a quota
		r.after(releasePause)
		r.reads(a)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + "! w2")
	})
	t.Run("costs no loss where the task was written since", func(t *testing.T) {
		r := lost(t, 0, true)
		r.given(pending(a, 0, 6))
		r.decides("assign " + a + " w2")
	})
	t.Run("costs no loss soon after an outage", func(t *testing.T) {
		r := lost(t, 0, false)
		r.given(pending(a, 0, 5))
		r.decides("assign " + a + " w2")
	})
	t.Run("costs the tasks behind the first no loss, and they go alone", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2", "w3")
		r.given(WorkerUnusable{ID: "w2"}, WorkerUnusable{ID: "w3"}, WorkerRead{ID: "w1", List: ids[:3], Version: 1})
		r.list(ids...)
		r.given(pending(ids[0], 0, 0), WorkerGone{"w1", true}, pending(ids[0], 0, 0), pending(ids[1], 0, 0), pending(ids[2], 0, 0))
		r.given(WorkerChanged{"w2", 0}, WorkerRead{ID: "w2"})
		for i := range 3 {
			want := fmt.Sprintf("assign %s w2", ids[i])
			if i == 0 {
				want = fmt.Sprintf("assign %s! w2", ids[i])
			}
			r.decides(want)
			r.carryOut()
			r.given(WorkerRead{ID: "w2", Version: r.last[0].Version + 2})
		}
	})
	t.Run("fails a task by the last loss allowed", func(t *testing.T) {
		r := lost(t, 2, true)
		r.given(pending(a, 2, 5))
		r.decides("fail " + a + "!")
		move := r.last[0]
		r.decides()
		r.given(Carried{Move: move})
		r.decides()
	})
	t.Run("fails no task where there is no limit", func(t *testing.T) {
		r := lost(t, 99, true)
		r.s.maxLosses = 0
		r.given(pending(a, 99, 5))
		r.decides("assign " + a + "! w2")
	})
	t.Run("has tasks at their last attempt go to processes that execute no other such", func(t *testing.T) {
		r := lead(t, nil)
		r.given(WorkersListed{[]string{"w1", "w2", "w3"}}, WorkerRead{ID: "w1", Session: 1}, WorkerRead{ID: "w2", Session: 1}, WorkerRead{ID: "w3", Session: 2})
		r.list("t1", "t2", "t3")
		r.given(pending("t1", 2, 4), pending("t2", 2, 4), pending("t3", 2, 4))
		r.decides("assign t1 w1", "assign t2 w3")
		r.carryOut()
		r.list("t1", "t2", "t3", b)
		r.decides("assign " + b + " w2") // others need not wait
		r.carryOut()
		r.given(WorkerRead{ID: "w1", Session: 1, Version: 2})
		r.decides("assign t3 w1")
	})
}
