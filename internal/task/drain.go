package task

import (
	"fmt"
	"slices"
	"strings"
)

// DrainPath is the znode that drains a host, a process or a worker.
func DrainPath(name string) string { return DrainDir + "/" + name }

// Drains lists the children of /drain that drain a worker, each of them by itself: its
// name, its host, and its process as <host>:<pid>. For a worker made by hand that is its
// name, and its name without the queue.
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

// Of lists the names that drain a worker; a worker without any is given tasks.
func (d Draining) Of(worker string) (names []string) {
	if len(d) == 0 {
		return nil
	}
	return slices.DeleteFunc(Drains(worker), func(name string) bool { return !d[name] })
}

// What Undrain lists: at most so many names, each of at most so many bytes.
const (
	mostUndrained = 10
	maxUndrained  = 128
)

// Undrain tells a person how to end drains. It gives a command only if a shell takes all names
// for plain words: a name made by hand may hold anything.
func Undrain(drains []string) string {
	malformed := func(name string) bool {
		bare := strings.NewReplacer(":", "", ".", "").Replace(name)
		return plain(bare) != bare || name[0] == askBack || len(name) > maxUndrained
	}
	if len(drains) == 0 || len(drains) > mostUndrained || slices.ContainsFunc(drains, malformed) {
		return "see " + DrainDir + ", and client undrain"
	}
	return "client undrain " + strings.Join(drains, " ")
}

// drained is the word that the leader puts before what a child of /drain holds.
const drained = "drained"

// ParseDrain reads what a child of /drain holds, at a version: whether the leader has written
// that all workers of that name are free and get no more tasks, and the note of a person. What
// was there from the beginning, at version 0, is a note.
func ParseDrain(data []byte, version int32) (isDrained bool, note string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if version > 0 && word == drained {
		return true, strings.TrimSpace(rest)
	}
	return false, strings.TrimSpace(string(data))
}

// Drained is what the leader writes over such a note.
func Drained(note string) []byte { return []byte(strings.TrimSpace(drained + " " + note)) }
