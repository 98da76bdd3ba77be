package task

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ErrNone means that there is no task of that id (any more).
var ErrNone = errors.New("no such task: it was never submitted, or was already collected, expired or cancelled")

// The permanent znodes. Whoever misses one creates it, at any time.
const (
	MasterDir  = "/master"
	WorkersDir = "/workers"
	TasksDir   = "/tasks"
	DataDir    = "/data"
)

// Dirs lists the permanent znodes.
func Dirs() []string { return []string{MasterDir, TasksDir, DataDir, WorkersDir} }

// StatePath is the znode of a task's state.
func StatePath(id string) string { return TasksDir + "/" + id }

// DataPath is the znode of a task's payload.
func DataPath(id string) string { return DataDir + "/" + id }

// WorkerPath is the znode of a worker's assignment.
func WorkerPath(id string) string { return WorkersDir + "/" + id }

// NewID returns a new task id. Ids made by one process sort by the order in
// which they were made; those of several processes by their clocks.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// HandMade tells whether a task's name is not one that NewID makes. Such a
// task's state may be anything from the start, and it goes first.
func HandMade(id string) bool {
	_, byUs := MadeAt(id)
	return !byUs
}

// MadeAt is when NewID made an id, by the clock of who did; false if it did not.
func MadeAt(id string) (at time.Time, byUs bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 || u.String() != id {
		return time.Time{}, false
	}
	return time.Unix(u.Time().UnixTime()), true
}

// MaxID is how long an id may be, in bytes: several are to go into one packet.
const MaxID = 1024

// ValidID tells whether a name can stand in a worker's list: one line, without
// blanks around it, not longer than MaxID.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && strings.TrimSpace(id) == id && !strings.ContainsAny(id, "\r\n")
}

// MaxList is how many ids a worker's list may hold. Programs assign at most some
// dozens; a longer list is a mistake, and to work on one would hold a leader up.
const MaxList = 10_000

// ErrList means that a worker's znode holds more than MaxList ids: it is no list.
var ErrList = fmt.Errorf("lists more than %d ids", MaxList)

// ParseList reads the ids in a worker's znode. No ids means the worker is
// free. Blanks around an id, empty lines, repeats and what is too long are
// dropped. More than MaxList ids are ErrList.
func ParseList(data []byte) (ids []string, err error) {
	seen := make(map[string]bool)
	for line := range bytes.Lines(data) {
		id := bytes.TrimSpace(line)
		if len(id) == 0 || len(id) > MaxID || seen[string(id)] {
			continue
		}
		if len(ids) == MaxList {
			return nil, ErrList
		}
		ids = append(ids, string(id))
		seen[ids[len(ids)-1]] = true
	}
	return ids, nil
}

// FormatList writes ids as ParseList reads them, without a newline at the end.
func FormatList(ids []string) []byte { return []byte(strings.Join(ids, "\n")) }
