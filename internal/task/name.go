package task

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"strconv"
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

// maxQueue is how long a queue's name may be, in bytes: it stands in every id.
const maxQueue = 64

// ParseQueue reads the name of a queue, as programs make them: 1 to 64 letters, digits,
// "_" and "-", no "-" first. By hand there may be others.
func ParseQueue(name string) (string, error) {
	if name == "" || len(name) > maxQueue || name[0] == askBack || plain(name) != name {
		return "", fmt.Errorf("%.80q is no name of a queue: want 1 to %d letters (a-z, A-Z), digits, _ and -, no - first", name, maxQueue)
	}
	return name, nil
}

// plain is a text without all but letters of ASCII, digits, "_" and "-".
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, s)
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
// machine's name up to its first dot, the process, and a UUID. What is odd in the
// machine's name is left out.
func NewWorkerName(queue, hostname string, pid int) string {
	host, _, _ := strings.Cut(hostname, ".")
	return inQueue(queue, fmt.Sprintf("%s:%d-%s", cmp.Or(plain(host), "host"), pid, uuid.NewString()))
}

// ParseWorkerName reads a worker's name, as NewWorkerName makes it. Of any other, host is
// all that stands behind the queue, and pid is 0.
func ParseWorkerName(name string) (queue, host string, pid int) {
	const suffix = 1 + 36 // "-" and a UUID
	queue, host = SplitQueue(name)
	at, process, found := strings.Cut(host, ":")
	if !found || len(process) <= suffix || process[len(process)-suffix] != '-' || uuid.Validate(process[len(process)-suffix+1:]) != nil {
		return queue, host, 0
	}
	if n, err := strconv.Atoi(process[:len(process)-suffix]); err == nil && n > 0 {
		return queue, at, n
	}
	return queue, host, 0
}

func inQueue(queue, name string) string {
	if queue == "" {
		return name
	}
	return queue + "." + name
}
