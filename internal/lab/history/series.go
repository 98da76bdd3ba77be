package history

import (
	"strings"
	"time"

	"taskkeeper/internal/task"
)

// Finishes lists when tasks were finished, in order.
func Finishes(txns []Txn) []time.Time {
	var at []time.Time
	for _, t := range txns {
		if t.Refused != 0 {
			continue
		}
		for _, e := range t.Events {
			if e.Op == Set && strings.HasPrefix(e.Path, task.TasksDir+"/") && finished(task.ParseState(e.Data).Phase) {
				at = append(at, t.Time)
			}
		}
	}
	return at
}
