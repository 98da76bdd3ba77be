package metrics

import (
	"sync"

	"taskkeeper/internal/task"
)

// MaxQueues is how many queues of a process have a label of their own.
const MaxQueues = 200

// queues makes labels of the names of queues. There may be any number of names.
type queues struct {
	mu    sync.Mutex // guards known
	known map[string]bool
}

// trim drops the names that are not in among, if MaxQueues is reached. It returns the dropped
// names.
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

// label returns the label of a queue.
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
