package inspect

import (
	"fmt"

	"taskkeeper/internal/task"
)

// ofQueue names a queue in a sentence.
func ofQueue(queue string) string {
	if queue == "" {
		return "the default queue"
	}
	return "queue " + name(queue)
}

// NoWorker says that nobody takes the tasks of a queue. others is how many workers take
// those of other queues.
func NoWorker(queue string, others int) string {
	switch {
	case queue == task.KindCommand:
		return fmt.Sprintf("no worker takes tasks of %s: start one with --any-command", ofQueue(queue))
	case queue != "":
		return fmt.Sprintf("no worker takes tasks of %s: start one with --queue", ofQueue(queue))
	case others > 0:
		return fmt.Sprintf("no worker takes tasks of %s: start one without --queue", ofQueue(queue))
	}
	return "there is no worker: start one"
}

// process is where a worker runs: "host:pid", or what else stands in its name.
func process(host string, pid int) string {
	if pid > 0 {
		return fmt.Sprintf("%s:%d", host, pid)
	}
	return host
}
