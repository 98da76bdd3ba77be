package metrics

import (
	"sync"

	"taskkeeper/internal/task"
)

// MaxQueues is how many queues of a process have a label of their own.
const MaxQueues = 200

// queues makes labels of the names of queues, of which there may be any number.
type queues struct {
	mu    sync.Mutex // guards known
	known map[string]bool
}

// trim drops names that are not among those, where there is no place for another one. It
// returns them.
func (q *queues) trim(among map[string]bool) (dropped []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.known) < MaxQueues {
		return nil
	}
	for name := range q.known {
		if !among[name] {
			delete(q.known, name)
			dropped = append(dropped, name)
		}
	}
	return dropped
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
