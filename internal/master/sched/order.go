package sched

import (
	"slices"

	"github.com/google/btree"

	"taskkeeper/internal/task"
)

// degree is what google/btree's own benchmarks use.
const degree = 32

// Order is the order in which the tasks of one queue are assigned. The submitters take
// turns, one task a turn; a submitter's oldest task, by id, goes first. A submitter that
// comes later waits for one turn of each other submitter.
type Order struct {
	turns       *btree.BTreeG[*submitter] // by turn
	submitter   map[task.Mark]*submitter  // those that have tasks here, by mark
	first, last int64                     // all turns are between these
	size        int
}

// submitter has tasks in an Order.
type submitter struct {
	mark  task.Mark
	turn  int64 // no two submitters have the same
	tasks *btree.BTreeG[string]
}

// NewOrder returns an empty order.
func NewOrder() *Order {
	return &Order{
		turns:     btree.NewG(degree, func(a, b *submitter) bool { return a.turn < b.turn }),
		submitter: make(map[task.Mark]*submitter),
	}
}

// Len is how many tasks wait.
func (o *Order) Len() int { return o.size }

// Push adds a task. A submitter without other tasks here gets the last turn.
func (o *Order) Push(id string) {
	mark := task.ParseName(id).Mark
	s := o.submitter[mark]
	if s == nil {
		s = &submitter{mark: mark, tasks: btree.NewOrderedG[string](degree)}
		o.submitter[mark] = s
		o.goLast(s)
	}
	if _, replaced := s.tasks.ReplaceOrInsert(id); !replaced {
		o.size++
	}
}

// PutBack adds a task that Pop took out. Its submitter gets the next turn.
func (o *Order) PutBack(id string) {
	o.Push(id)
	s := o.submitter[task.ParseName(id).Mark]
	o.turns.Delete(s)
	o.first--
	s.turn = o.first
	o.turns.ReplaceOrInsert(s)
}

// Remove takes a task out, if the order has it.
func (o *Order) Remove(id string) {
	if s := o.submitter[task.ParseName(id).Mark]; s != nil {
		if _, found := s.tasks.Delete(id); found {
			o.size--
			if s.tasks.Len() == 0 {
				o.turns.Delete(s)
				delete(o.submitter, s.mark)
			}
		}
	}
}

// Pop takes out the next task; false if none waits.
func (o *Order) Pop() (id string, ok bool) {
	s, ok := o.turns.DeleteMin()
	if !ok {
		return "", false
	}
	id, _ = s.tasks.DeleteMin()
	o.size--
	if s.tasks.Len() == 0 {
		delete(o.submitter, s.mark)
	} else {
		o.goLast(s)
	}
	return id, true
}

func (o *Order) goLast(s *submitter) {
	o.last++
	s.turn = o.last
	o.turns.ReplaceOrInsert(s)
}

// Next returns about n of the tasks that come next, unsorted.
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

// Before returns the waiting tasks that go before the task id in its queue, in their order,
// as if all had come at once. A leader that has served some submitters already may differ
// from that by one turn of each submitter.
func Before(waiting []string, id string) []string {
	o := NewOrder()
	queue, _ := task.SplitQueue(id)
	for _, other := range slices.Sorted(slices.Values(waiting)) {
		if q, _ := task.SplitQueue(other); q == queue {
			o.Push(other)
		}
	}
	var before []string
	for next, ok := o.Pop(); ok && next != id; next, ok = o.Pop() {
		before = append(before, next)
	}
	return before
}
