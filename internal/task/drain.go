package task

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// DrainPath is the znode that drains a host, a process or a worker.
func DrainPath(name string) string { return DrainDir + "/" + name }

// Drains lists the children of /drain that drain a worker, each of them by itself: its
// name, its host, and its process as <host>:<pid>. A worker made by hand has no process, and
// its host is what stands behind its queue.
func Drains(worker string) []string {
	_, host, pid := ParseWorkerName(worker)
	names := []string{worker}
	if host != worker {
		names = append(names, host)
	}
	if pid != 0 {
		names = append(names, fmt.Sprintf("%s:%d", host, pid))
	}
	return names
}

// Draining is the names of the children of /drain.
type Draining map[string]bool

// NewDraining makes it of a listing.
func NewDraining(names []string) Draining {
	d := make(Draining, len(names))
	for _, name := range names {
		d[name] = true
	}
	return d
}

// Of lists those that drain a worker. None does if it is given tasks.
func (d Draining) Of(worker string) (names []string) {
	if len(d) == 0 {
		return nil
	}
	names = slices.Compact(Drains(worker)) // a name by hand is its host's as well
	return slices.DeleteFunc(names, func(name string) bool { return !d[name] })
}

// A text lists as many names, each of as many bytes, at most.
const (
	mostUndrained = 10
	maxUndrained  = 128
)

// Undrain tells a person how to end drains. A command is named only where it can be pasted:
// names made by hand could be more than names to a shell.
func Undrain(drains []string) string {
	odd := func(name string) bool {
		bare := strings.NewReplacer(":", "", ".", "").Replace(name)
		return plain(bare) != bare || name[0] == askBack || len(name) > maxUndrained
	}
	if len(drains) == 0 || len(drains) > mostUndrained || slices.ContainsFunc(drains, odd) {
		return "see " + DrainDir + ", and client undrain"
	}
	return "client undrain " + strings.Join(drains, " ")
}

// drained is the word that the leader puts before what a child of /drain holds.
const drained = "drained"

// IsDrained reads what a child of /drain holds: the leader has written that all workers
// of that name are free, and that none of them gets a task any more.
func IsDrained(data []byte) bool {
	word, _, _ := bytes.Cut(data, []byte{' '})
	return string(bytes.TrimSpace(word)) == drained
}

// DrainNote is what a person wrote into a child of /drain.
func DrainNote(data []byte) string {
	if IsDrained(data) {
		_, data, _ = bytes.Cut(data, []byte{' '})
	}
	return string(bytes.TrimSpace(data))
}

// Drained is what the leader writes over what a child of /drain holds. A note of a person
// stays behind the word.
func Drained(data []byte) []byte {
	return []byte(strings.TrimRight(drained+" "+string(bytes.TrimSpace(data)), " "))
}
