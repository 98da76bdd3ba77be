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

// Mark identifies a submitter in a queue: the last 48 bits of the ids that one client
// process makes.
type Mark uint64

// Name is what an id shows without a read of its znode.
type Name struct {
	Queue  string    // the part before the first dot; "" is the default queue
	ByHand bool      // the id has not the form of a Submitter's ids
	Mark   Mark      // of its submitter; 0 if made by hand
	Made   time.Time // by the submitter's clock; zero if made by hand
}

// ParseName reads a task's id. It accepts any text.
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

// SplitQueue splits a task's or a worker's name into its queue, which is the part before the
// first dot, and the rest. Without a dot the queue is "", the default queue.
func SplitQueue(name string) (queue, rest string) {
	queue, rest, found := strings.Cut(name, ".")
	if !found {
		return "", name
	}
	return queue, rest
}

// maxQueue is how long a queue's name may be, in bytes: every id in the queue holds it.
const maxQueue = 64

// ParseQueue checks a queue name that a program uses: 1 to 64 letters, digits, "_" and "-",
// no "-" first. Names made by hand may be different.
func ParseQueue(name string) (string, error) {
	if name == "" || len(name) > maxQueue || name[0] == askBack || plain(name) != name {
		return "", fmt.Errorf("%.80q is not a queue name: want 1 to %d letters (a-z, A-Z), digits, _ and -, no - first", name, maxQueue)
	}
	return name, nil
}

// plain drops everything except ASCII letters, digits, "_" and "-" from a text.
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

// NewID returns a new task id. The ids of one process sort in the order in which they were
// made. The ids of several processes sort by the processes' clocks.
func (s *Submitter) NewID() string {
	u := uuid.Must(uuid.NewV7())
	copy(u[10:], s.mark[:])
	return s.prefix + u.String()
}

// NewWorkerName returns a new name for a worker that takes tasks of a queue: the machine's
// name up to its first dot, the process id, and a UUID. Of the machine's name only ASCII
// letters, digits, "_" and "-" are used.
func NewWorkerName(queue, hostname string, pid int) string {
	host, _, _ := strings.Cut(hostname, ".")
	return inQueue(queue, fmt.Sprintf("%s:%d-%s", cmp.Or(plain(host), "host"), pid, uuid.NewString()))
}

// ParseWorkerName reads a name that NewWorkerName made. For any other name host is all that
// follows the queue, and pid is 0.
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
