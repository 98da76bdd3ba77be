package metrics

import (
	"sync"

	"taskkeeper/internal/task"
)

// MaxQueues is how many queues of a process have a label of their own.
const MaxQueues = 200

// queues makes labels of the names of queues.
type queues struct {
	mu    sync.Mutex // guards known
	known map[string]bool
}

// label is a queue's: names come from clients, and there may be any number of them.
func (q *queues) label(name string) string {
	if name == "" {
		return "(default)"
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known[name] {
		return name
	}
	if _, err := task.ParseQueue(name); err != nil || len(q.known) >= MaxQueues {
		return "(other)"
	}
	if q.known == nil {
		q.known = make(map[string]bool)
	}
	q.known[name] = true
	return name
}
