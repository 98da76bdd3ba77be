package task

import (
	"fmt"
	"slices"
	"strings"
)

// DrainPath is the znode that drains a host, a process or a worker.
func DrainPath(name string) string { return DrainDir + "/" + name }

// Drains lists the names below /drain that each drain a worker: the worker's name, its host,
// and its process as <host>:<pid>. For a worker made by hand these are its name, and its
// name without the queue.
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

// Draining is the set of the names of the children of /drain.
type Draining map[string]bool

// NewDraining returns the set of the names of a listing.
func NewDraining(names []string) Draining {
	d := make(Draining, len(names))
	for _, name := range names {
		d[name] = true
	}
	return d
}

// Of lists the names that drain a worker. A worker without such a name gets tasks.
func (d Draining) Of(worker string) (names []string) {
	if len(d) == 0 {
		return nil
	}
	return slices.DeleteFunc(Drains(worker), func(name string) bool { return !d[name] })
}

// Undrain gives a command for at most mostUndrained names, each of at most maxUndrained
// bytes.
const (
	mostUndrained = 10
	maxUndrained  = 128
)

// Undrain returns a text for a person: how to end drains. It gives a command only if each
// name is safe in a shell, because a name made by hand may hold anything.
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

// drained is the word that the leader writes before the note in a child of /drain.
const drained = "drained"

// ParseDrain reads the content of a child of /drain, at a version. isDrained means that the
// leader has written "drained": all workers that the name drains are free and get no more
// tasks. note is a person's. At version 0 all of the content is a note.
func ParseDrain(data []byte, version int32) (isDrained bool, note string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if version > 0 && word == drained {
		return true, strings.TrimSpace(rest)
	}
	return false, strings.TrimSpace(string(data))
}

// Drained is the content that the leader writes over such a note.
func Drained(note string) []byte { return []byte(strings.TrimSpace(drained + " " + note)) }
