package sched

import (
	"cmp"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// degree is what google/btree's own benchmarks use.
const degree = 32

// Order is the order in which the tasks of one queue are assigned. The submitters take
// turns, one task a turn; a submitter's oldest task, by id, goes first. A submitter
// that comes later has its first turn at once, and no credit for the time before.
type Order struct {
	turns     *btree.BTreeG[*submitter] // by turns had
	submitter map[task.Mark]*submitter  // those that have tasks here
	now       int64                     // turns that the last one served had before
	size      int
}

// submitter has tasks in an Order.
type submitter struct {
	mark  task.Mark
	turns int64 // it had; counted from those of the others when it came
	tasks *btree.BTreeG[string]
}

// NewOrder returns an empty order.
func NewOrder() *Order {
	return &Order{
		turns: btree.NewG(degree, func(a, b *submitter) bool {
			return cmp.Or(cmp.Compare(a.turns, b.turns), cmp.Compare(a.mark, b.mark)) < 0
		}),
		submitter: make(map[task.Mark]*submitter),
	}
}

// Len is how many tasks wait.
func (o *Order) Len() int { return o.size }

// Push adds a task.
func (o *Order) Push(id string) {
	mark := task.ParseName(id).Mark
	s := o.submitter[mark]
	if s == nil {
		s = &submitter{mark: mark, turns: o.now, tasks: btree.NewOrderedG[string](degree)}
		o.submitter[mark] = s
		o.turns.ReplaceOrInsert(s)
	}
	if _, replaced := s.tasks.ReplaceOrInsert(id); !replaced {
		o.size++
	}
}

// PutBack adds a task that Pop took, as if it had not.
func (o *Order) PutBack(id string) {
	if s := o.submitter[task.ParseName(id).Mark]; s != nil {
		o.turns.Delete(s)
		s.turns = max(s.turns-1, o.now)
		o.turns.ReplaceOrInsert(s)
	}
	o.Push(id)
}

// Remove takes a task out, if it is there.
func (o *Order) Remove(id string) {
	if s := o.submitter[task.ParseName(id).Mark]; s != nil {
		if _, found := s.tasks.Delete(id); found {
			o.size--
			o.dropIfIdle(s)
		}
	}
}

// Pop takes out the task whose turn it is; false if none waits.
func (o *Order) Pop() (id string, ok bool) {
	s, ok := o.turns.DeleteMin()
	if !ok {
		return "", false
	}
	id, _ = s.tasks.DeleteMin()
	o.size--
	o.now = s.turns
	s.turns++
	o.turns.ReplaceOrInsert(s)
	o.dropIfIdle(s)
	return id, true
}

func (o *Order) dropIfIdle(s *submitter) {
	if s.tasks.Len() == 0 {
		o.turns.Delete(s)
		delete(o.submitter, s.mark)
	}
}

// Next returns about n of the tasks whose turn comes next, in no order.
func (o *Order) Next(n int) []string {
	var ids []string
	each := (n + max(1, o.turns.Len()) - 1) / max(1, o.turns.Len())
	o.turns.Ascend(func(s *submitter) bool {
		left := each
		s.tasks.Ascend(func(id string) bool {
			ids = append(ids, id)
			left--
			return left > 0
		})
		return len(ids) < n
	})
	return ids
}
