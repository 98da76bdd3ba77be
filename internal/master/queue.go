package master

import (
	"slices"
	"strings"
)

// item is a task in the queue.
type item struct {
	id   string
	hand bool // its name was made by hand: it goes first
	old  bool // it is to be read before it is assigned
}

func (t *taskView) item(id string) item { return item{id: id, hand: t.hand, old: !t.known()} }

func compareItems(a, b item) int {
	if a.hand != b.hand {
		if a.hand {
			return -1
		}
		return 1
	}
	return strings.Compare(a.id, b.id)
}

// queue holds the unassigned tasks, sorted, the oldest first. Adding what is
// newer than all is cheap, however long the queue is.
type queue struct {
	items []item // items[head:] is the queue
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) pop() (string, bool) {
	if q.len() == 0 {
		return "", false
	}
	it := q.items[q.head]
	q.items[q.head] = item{}
	q.head++
	if q.head > 1024 && q.head > len(q.items)/2 {
		q.items = append([]item(nil), q.items[q.head:]...)
		q.head = 0
	}
	return it.id, true
}

// next returns the first n in the queue.
func (q *queue) next(n int) []item { return q.items[q.head:min(q.head+n, len(q.items))] }

// push adds items in any order. One that was just popped goes back cheaply.
func (q *queue) push(items ...item) {
	if len(items) == 0 {
		return
	}
	slices.SortFunc(items, compareItems)
	if q.len() == 0 || compareItems(q.items[len(q.items)-1], items[0]) < 0 {
		q.items = append(q.items, items...)
		return
	}
	if len(items) <= 8 {
		for _, it := range items {
			i, _ := slices.BinarySearchFunc(q.items[q.head:], it, compareItems)
			if q.head > 0 && i < q.len()/2 {
				q.head--
				copy(q.items[q.head:], q.items[q.head+1:q.head+1+i])
				q.items[q.head+i] = it
				continue
			}
			q.items = slices.Insert(q.items, q.head+i, it)
		}
		return
	}
	q.items = append(q.items[q.head:], items...)
	q.head = 0
	slices.SortFunc(q.items, compareItems)
}
