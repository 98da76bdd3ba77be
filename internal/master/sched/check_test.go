package sched

import (
	"fmt"
	"slices"

	"github.com/google/btree"
)

// check returns what is wrong with the indexes: each task stands in exactly the index of
// its state, each worker likewise, and what workers list is Assigned.
func (s *Scheduler) check() error {
	var errs []string
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Sprintf(format, args...)) }

	in := make(map[string][]string) // the indexes that a task stands in
	note := func(index, id string) { in[id] = append(in[id], index) }
	for name, tree := range map[string]*btree.BTreeG[*entry]{
		"unverified": s.unverified, "released": s.released, "finished": s.finished, "exhausted": s.exhausted,
	} {
		tree.Ascend(func(t *entry) bool { note(name, t.id); return true })
	}
	tasks, members := make(map[string]int), make(map[string]int)
	for name, q := range s.queues {
		n := 0
		q.pending.turns.Ascend(func(sub *submitter) bool {
			if sub.tasks.Len() == 0 || q.pending.submitter[sub.mark] != sub {
				wrong("queue %q: submitter %x has %d tasks", name, sub.mark, sub.tasks.Len())
			}
			n += sub.tasks.Len()
			sub.tasks.Ascend(func(id string) bool { note("pending", id); return true })
			return true
		})
		if n != q.pending.Len() || q.pending.turns.Len() != len(q.pending.submitter) {
			wrong("queue %q: %d tasks counted, %d there", name, q.pending.Len(), n)
		}
		q.lastAttempts.Ascend(func(id string) bool { note("pending", id); return true })
		q.free.Ascend(func(w *worker) bool { note("free", "w "+w.id); return true })
		q.batched.Ascend(func(w *worker) bool { note("batched", "w "+w.id); return true })
		if q.tasks == 0 && q.members == 0 {
			wrong("queue %q has nobody", name)
		}
		if (len(q.workers) > 0) != (s.staffed[name] == q) {
			wrong("queue %q: staffed %t", name, s.staffed[name] == q)
		}
	}
	s.newcomers.Ascend(func(w *worker) bool { note("newcomers", "w "+w.id); return true })
	s.unread.Ascend(func(w *worker) bool { note("unread", "w "+w.id); return true })

	for id, t := range s.tasks {
		tasks[t.queue.name]++
		var want []string
		switch t.state {
		case Unverified, Released, Finished, Exhausted, Pending:
			want = []string{t.state.String()}
		}
		if !slices.Equal(in[id], want) {
			wrong("task %s is %s and stands in %q", id, t.state, in[id])
		}
		delete(in, id)
		if held := len(s.holders[id]) > 0; held != (t.state == Assigned) {
			wrong("task %s is %s, held: %t", id, t.state, held)
		}
		if t.state == Pending && t.version < 0 {
			wrong("task %s is pending at no known version", id)
		}
	}
	holders := make(map[string]int)
	for id, w := range s.workers {
		members[w.queue.name]++
		var want []string
		switch {
		case w.state == newcomer:
			want = []string{"newcomers"}
		case w.state == unread:
			want = []string{"unread"}
		case w.state == free:
			want = []string{"free"}
		case w.state == busy && len(w.list) > 1:
			want = []string{"batched"}
		}
		if !slices.Equal(in["w "+id], want) {
			wrong("worker %s, state %d with %q, stands in %q", id, w.state, w.list, in["w "+id])
		}
		delete(in, "w "+id)
		if draining := len(s.drains.Of(id)) > 0; w.state == drained && !draining || w.state == free && draining {
			wrong("worker %s, state %d, draining: %t", id, w.state, draining)
		}
		if (w.state == free || w.state == drained) && len(w.list) > 0 || w.state == busy && len(w.list) == 0 {
			wrong("worker %s, state %d, lists %q", id, w.state, w.list)
		}
		for _, t := range w.list {
			holders[t]++
			if !slices.Contains(s.holders[t], w) {
				wrong("worker %s lists %s and is none of its holders", id, t)
			}
			if s.unlisted[t] != (s.tasks[t] == nil) {
				wrong("task %s: unlisted %t", t, s.unlisted[t])
			}
		}
	}
	if len(holders) != len(s.holders) || len(s.unlisted) > len(holders) {
		wrong("%d tasks are held, %d by lists, %d unlisted", len(s.holders), len(holders), len(s.unlisted))
	}
	for name, q := range s.queues {
		if q.tasks != tasks[name] || q.members != members[name] {
			wrong("queue %q: %d tasks and %d workers counted, %d and %d there", name, q.tasks, q.members, tasks[name], members[name])
		}
	}
	for id, indexes := range in {
		wrong("%s is not known and stands in %q", id, indexes)
	}
	if errs == nil {
		return nil
	}
	slices.Sort(errs)
	return fmt.Errorf("%q", errs)
}
