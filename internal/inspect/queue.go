package inspect

import (
	"fmt"
	"strings"

	"taskkeeper/internal/task"
)

// ofQueue names a queue in a sentence.
func ofQueue(queue string) string {
	if queue == "" {
		return "the default queue"
	}
	return "queue " + name(queue)
}

// NoWorker says that no worker takes the tasks of a queue. others is the number of workers of
// other queues.
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

// allWorkers says that all n workers of a queue are busy, say; that may narrow them down.
func allWorkers(n int, queue, that, what string) string {
	who := "worker"
	if n != 1 {
		who += "s"
	}
	if queue != "" {
		who += " of " + ofQueue(queue)
	}
	if that != "" {
		who += fmt.Sprintf(" that %s %s", are(n), that)
	}
	if n == 1 {
		return fmt.Sprintf("the only %s is %s", who, what)
	}
	return fmt.Sprintf("all %d %s are %s", n, who, what)
}

// dottedHost says what to write instead of a host's whole name.
func dottedHost(host string) string {
	first, _, dotted := strings.Cut(host, ".")
	if !dotted {
		return ""
	}
	return "; write a host name only up to its first dot: " + name(first)
}
