package task

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Mark tells the submitters of a queue apart: the last 48 bits of the ids that one
// client process makes.
type Mark uint64

// Name is what an id tells by itself, without a read.
type Name struct {
	Queue  string    // what stands before the first dot; "" is the default queue
	ByHand bool      // the id is none that a Submitter makes
	Mark   Mark      // of its submitter; 0 if it was made by hand
	Made   time.Time // by the submitter's clock; zero if it was made by hand
}

// ParseName reads a task's id. It accepts any.
func ParseName(id string) Name {
	queue, rest := SplitQueue(id)
	u, err := uuid.Parse(rest)
	if err != nil || u.Version() != 7 || u.String() != rest {
		return Name{Queue: queue, ByHand: true}
	}
	var mark Mark
	for _, b := range u[10:] {
		mark = mark<<8 | Mark(b)
	}
	return Name{Queue: queue, Mark: mark, Made: time.Unix(u.Time().UnixTime())}
}

// SplitQueue splits a task's or a worker's name into its queue, which stands before
// the first dot, and the rest.
func SplitQueue(name string) (queue, rest string) {
	queue, rest, found := strings.Cut(name, ".")
	if !found {
		return "", name
	}
	return queue, rest
}

// Submitter makes the ids of one client process.
type Submitter struct {
	prefix string // the queue and a dot, or nothing
	mark   [6]byte
}

// NewSubmitter returns a submitter to a queue, with a mark of its own.
func NewSubmitter(queue string) *Submitter {
	s := &Submitter{prefix: inQueue(queue, "")}
	_, _ = rand.Read(s.mark[:]) // crypto/rand never fails
	return s
}

// NewID returns a new task id. The ids of one process sort by the order in which they
// were made, those of several processes by their clocks.
func (s *Submitter) NewID() string {
	u := uuid.Must(uuid.NewV7())
	copy(u[10:], s.mark[:])
	return s.prefix + u.String()
}

// NewWorkerName returns a new name of a worker that takes tasks of a queue: the
// machine's name up to its first dot, the process, and a UUID.
func NewWorkerName(queue, hostname string, pid int) string {
	host, _, _ := strings.Cut(hostname, ".")
	return inQueue(queue, fmt.Sprintf("%s:%d-%s", host, pid, uuid.NewString()))
}

func inQueue(queue, name string) string {
	if queue == "" {
		return name
	}
	return queue + "." + name
}
