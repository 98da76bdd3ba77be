package sched

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

const maxLosses = 3

// world is a model of ZooKeeper and the workers. The scheduler learns of its changes by
// events only, and late.
type world struct {
	t          *testing.T
	r          *rand.Rand
	s          *Scheduler
	now        time.Time
	tasks      map[string]*znode
	workers    map[string]*znode
	drains     map[string]*znode
	watch      map[string]int // how often a worker was written since the scheduler heard of it
	events     []taskEvent    // of /tasks, that were not delivered to the scheduler
	delivered  int            // how many events were delivered
	listing    int64          // of /tasks, that began
	lists      []listing      // that began and were not delivered yet
	submitters []*task.Submitter
	names      int
}

// taskEvent is an event of the watch on /tasks.
type taskEvent struct {
	id   string
	gone bool
}

// listing is a listing of /tasks. It is delivered after the events that came before it.
type listing struct {
	TasksListed
	events int
}

// znode is the znode of a task, a worker or a drain.
type znode struct {
	text    string
	version int32
	session int64 // a worker's process
	lost    int   // a task: workers that vanished while they executed it
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, r: rand.New(rand.NewPCG(seed, 0)), s: New(maxLosses), now: time.Unix(0, 0),
		tasks: map[string]*znode{}, workers: map[string]*znode{}, drains: map[string]*znode{}, watch: map[string]int{},
	}
	for _, queue := range []string{"", "", "gpu"} {
		w.submitters = append(w.submitters, task.NewSubmitter(queue))
	}
	return w
}

func (w *world) handle(e Event) {
	w.t.Helper()
	w.s.Handle(e, w.now)
	if err := w.s.check(); err != nil {
		w.t.Fatalf("after %T%+.200v: %v", e, e, err)
	}
}

func (w *world) name(queue string) string {
	w.names++
	return fmt.Sprintf("%sn%05d", queue, w.names)
}

func (z *znode) state() task.State { return task.ParseState([]byte(z.text)) }

func (z *znode) set(text string) { z.text, z.version = text, z.version+1 }

// list is what a worker's znode holds: ids, and those of them that are asked back.
func (w *world) list(id string) (list, back []string) {
	for _, line := range strings.Fields(w.workers[id].text) {
		t, asked := strings.CutPrefix(line, "-")
		list = append(list, t)
		if asked {
			back = append(back, t)
		}
	}
	return list, back
}

func (w *world) write(id string, list, back []string) {
	var lines []string
	for _, t := range list {
		if slices.Contains(back, t) {
			t = "-" + t
		}
		lines = append(lines, t)
	}
	w.workers[id].set(strings.Join(lines, "\n"))
	w.watch[id]++
}

// finish sets a task's state; nothing may be set over a finished one.
func (w *world) finish(id, text string) {
	z := w.tasks[id]
	if z.state().Finished() {
		w.t.Fatalf("%q of task %s is overwritten by %q", z.text, id, text)
	}
	z.set(text)
}

func (w *world) create(id, text string) {
	w.tasks[id] = &znode{text: text}
	w.events = append(w.events, taskEvent{id, false})
}

func (w *world) remove(id string) {
	delete(w.tasks, id)
	w.events = append(w.events, taskEvent{id, true})
}

// deliverTasks delivers the next n events of /tasks to the scheduler.
func (w *world) deliverTasks(n int) {
	for _, e := range w.events[:n] {
		if e.gone {
			w.handle(TaskGone{e.id})
		} else if !w.s.KnowsTask(e.id) {
			w.handle(TasksSeen{[]string{e.id}, w.listing})
		}
	}
	w.events = w.events[n:]
	w.delivered += n
}

func (w *world) startListing() {
	w.listing++
	w.lists = append(w.lists, listing{TasksListed{slices.Collect(maps.Keys(w.tasks)), w.listing}, w.delivered + len(w.events)})
}

func (w *world) mergeListing() {
	if len(w.lists) > 0 {
		w.deliverTasks(max(0, w.lists[0].events-w.delivered))
		w.handle(w.lists[0].TasksListed)
		w.lists = w.lists[1:]
	}
}

func (w *world) listWorkers() { w.handle(WorkersListed{slices.Collect(maps.Keys(w.workers))}) }

func (w *world) listDrains() {
	var e DrainsListed
	for name, z := range w.drains {
		e.Names = append(e.Names, name)
		if z.text == "" {
			e.Open = append(e.Open, Drain{Name: name, Version: z.version})
		}
	}
	w.handle(e)
}

// writeDrained writes, as the leader does, that a drain is complete.
func (w *world) writeDrained(d Drain) {
	if z := w.drains[d.Name]; z != nil && z.version == d.Version && w.r.IntN(10) > 0 {
		for id := range w.workers {
			if list, _ := w.list(id); len(list) > 0 && slices.Contains(task.Drains(id), d.Name) {
				w.t.Fatalf("%s is drained, and worker %s lists %q", d.Name, id, list)
			}
		}
		z.set("drained")
	}
	w.handle(DrainWritten{d.Name})
}

// deliverWorkers tells the scheduler which workers were written: of all, or of some.
func (w *world) deliverWorkers(all bool) {
	for id, n := range w.watch {
		if all || w.r.IntN(2) == 0 {
			w.handle(WorkerChanged{id, n})
			delete(w.watch, id)
		}
	}
}

// turn is one round of the leader's loop.
func (w *world) turn() {
	d := w.s.Decide(w.now)
	if err := w.s.check(); err != nil {
		w.t.Fatalf("after Decide: %v", err)
	}
	if !d.Wake.IsZero() && !d.Wake.After(w.now) {
		w.t.Fatalf("wake at %v, and it is %v", d.Wake, w.now)
	}
	if d.Relist {
		w.startListing()
	}
	for _, m := range d.Moves {
		w.carryOut(m)
	}
	for _, drain := range d.Drained {
		w.writeDrained(drain)
	}
	for _, id := range d.ReadWorkers {
		w.readWorker(id)
	}
	for _, id := range d.ReadTasks {
		w.readTask(id)
	}
	for _, k := range d.Recheck {
		if z := w.tasks[k.ID]; z == nil || z.version != k.Version {
			w.readTask(k.ID)
		}
	}
}

func (w *world) readWorker(id string) {
	z := w.workers[id]
	if z == nil {
		w.handle(WorkerGone{id, true})
		return
	}
	list, back := w.list(id)
	w.handle(WorkerRead{id, z.session, list, back, z.version, w.listing})
}

func (w *world) readTask(id string) {
	if z := w.tasks[id]; z != nil {
		w.handle(TaskRead{ID: id, State: z.state(), Version: z.version})
	} else {
		w.handle(TaskGone{id})
	}
}

// carryOut does what ZooKeeper does with a move: all of it or nothing; and sometimes
// the answer is lost.
func (w *world) carryOut(m Move) {
	answer := w.apply(m)
	if w.r.IntN(20) == 0 {
		answer = Unknown{m}
	}
	w.handle(answer)
}

func (w *world) apply(m Move) Event {
	w.t.Helper()
	if w.r.IntN(30) == 0 {
		return NotSent{m}
	}
	if (m.Kind == Assign || m.Kind == Fail) && w.r.IntN(30) == 0 {
		return Refused{m, m.Tasks[w.r.IntN(len(m.Tasks))].ID, Unusable}
	}
	for _, c := range m.Tasks {
		if m.Kind == Revoke || m.Kind == Reclaim {
			break
		}
		z := w.tasks[c.ID]
		if z == nil {
			return Refused{m, c.ID, Gone}
		}
		if z.version != c.Version {
			return Refused{m, c.ID, Moved}
		}
	}
	if m.Kind == Fail {
		c := m.Tasks[0]
		if c.Losses+1 < maxLosses || w.tasks[c.ID].lost < maxLosses {
			w.t.Fatalf("task %s is failed after %d losses: %+v", c.ID, w.tasks[c.ID].lost, c)
		}
		w.finish(c.ID, fmt.Sprintf("failed lost with %d workers", c.Losses+1))
		return Carried{Move: m}
	}
	z := w.workers[m.Worker]
	switch {
	case z == nil:
		return Refused{m, "", Gone}
	case z.version != m.Version:
		return Refused{m, "", Moved}
	}
	if m.Kind == Assign {
		w.checkAssignment(m)
	}
	w.write(m.Worker, m.List, m.Back)
	return Carried{m, z.version}
}

// checkAssignment fails the test if an assignment that takes effect breaks a rule.
func (w *world) checkAssignment(m Move) {
	for _, name := range task.Drains(m.Worker) {
		if z := w.drains[name]; z != nil && z.text != "" {
			w.t.Fatalf("%q are assigned to %s, which is drained", m.List, m.Worker)
		}
	}
	for _, c := range m.Tasks {
		if queueOf(c.ID) != queueOf(m.Worker) {
			w.t.Fatalf("task %s is assigned to %s, of another queue", c.ID, m.Worker)
		}
		for id := range w.workers {
			if list, _ := w.list(id); slices.Contains(list, c.ID) {
				w.t.Fatalf("task %s is assigned to %s while %s lists it", c.ID, m.Worker, id)
			}
		}
		z := w.tasks[c.ID]
		if st := z.state(); st.Phase != task.Pending && z.version > 0 {
			w.t.Fatalf("task %s is assigned in state %q", c.ID, z.text)
		}
		if c.CountLoss {
			if z.set(fmt.Sprintf("pending %d", c.Losses+1)); c.Losses+1 > z.lost {
				w.t.Fatalf("%d losses of task %s are counted, it had %d", c.Losses+1, c.ID, z.lost)
			}
		}
		if len(m.Tasks) > 1 && z.state().Losses > 0 {
			w.t.Fatalf("task %s, which was lost before, shares a batch: %v", c.ID, m.List)
		}
		if z.state().Losses != maxLosses-1 {
			continue
		}
		for id, other := range w.workers {
			if list, _ := w.list(id); len(list) > 0 && other.session == w.workers[m.Worker].session {
				if first := w.tasks[list[0]]; first != nil && first.text == "pending 2" {
					w.t.Fatalf("tasks %s and %s run in one process, both at their last attempt", c.ID, list[0])
				}
			}
		}
	}
}

// commit has a worker finish the first task of its list, and return the tasks that it is
// asked for.
func (w *world) commit(id string) {
	list, back := w.list(id)
	if len(list) == 0 {
		return
	}
	if z := w.tasks[list[0]]; z != nil && z.state().Phase == task.Pending {
		w.finish(list[0], "done 1")
	}
	w.write(id, slices.DeleteFunc(list[1:], func(t string) bool { return slices.Contains(back, t) }), nil)
}

// answer has a worker return the tasks that it is asked for, except the first of its list.
func (w *world) answer(id string) {
	if list, back := w.list(id); len(back) > 0 {
		rest := slices.DeleteFunc(list[1:], func(t string) bool { return slices.Contains(back, t) })
		w.write(id, append([]string{list[0]}, rest...), nil)
	}
}

// end deletes a worker's znode. With losing that is a loss of its first task.
func (w *world) end(id string, losing bool) {
	if list, _ := w.list(id); losing && len(list) > 0 && w.tasks[list[0]] != nil {
		w.tasks[list[0]].lost++
	}
	delete(w.workers, id)
	w.watch[id]++
}

// leave has a worker give back its tasks, and delete its znode.
func (w *world) leave(id string) {
	list, _ := w.list(id)
	for _, t := range list {
		if z := w.tasks[t]; z != nil && z.state().Phase == task.Pending {
			z.set(z.text)
		}
	}
	w.end(id, false)
}
