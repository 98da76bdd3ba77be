package task

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ErrNotFound means that there is no task with that id, or no longer.
var ErrNotFound = errors.New("no such task: it was never submitted, or was already collected, expired or cancelled")

// The permanent znodes. A program that finds one missing creates it, at any time.
const (
	MasterDir  = "/master"
	WorkersDir = "/workers"
	TasksDir   = "/tasks"
	DataDir    = "/data"
	DrainDir   = "/drain"
	MembersDir = "/members"
)

// Dirs lists the permanent znodes.
func Dirs() []string { return []string{MasterDir, TasksDir, DataDir, WorkersDir, DrainDir, MembersDir} }

// StatePath is the znode of a task's state.
func StatePath(id string) string { return TasksDir + "/" + id }

// DataPath is the znode of a task's payload.
func DataPath(id string) string { return DataDir + "/" + id }

// MemberPath is the znode of a master's or a worker's process.
func MemberPath(name string) string { return MembersDir + "/" + name }

// WorkerPath is the znode of a worker's assignment.
func WorkerPath(id string) string { return WorkersDir + "/" + id }

// NewID returns a new task id in the default queue. Each call counts as a submitter of its
// own.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// MaxID is how long an id may be, in bytes: one packet must hold several.
const MaxID = 1024

// ValidID reports whether a worker's list can hold a name: one line, without blanks around
// it, without "-" at its front, not longer than MaxID.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && id[0] != askBack && strings.TrimSpace(id) == id && !strings.ContainsAny(id, "\r\n")
}

// askBack, before an id in a worker's list, asks the worker to return that task.
const askBack = '-'

// MaxList is how many ids a worker's list may hold. Programs assign a few dozen at most. A
// longer list is a mistake, and would hold the leader up.
const MaxList = 10_000

// ErrList means that a worker's znode holds more than MaxList ids: it is malformed.
var ErrList = fmt.Errorf("lists more than %d ids", MaxList)

// List is the content of a worker's znode. Without ids the worker is free.
type List struct {
	IDs  []string // each once; the first one is executed first
	Back []string // those that the worker is asked to return, in the order of IDs
}

// ParseList reads the content of a worker's znode: one id a line, with "-" before each id
// that the worker is asked to return. It drops blanks around an id, empty lines, repeats,
// and lines that are no valid id. It fails with ErrList if there are more than MaxList ids.
func ParseList(data []byte) (List, error) {
	var l List
	back := make(map[string]bool) // by id, for all ids: it is asked back
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		id, asked := bytes.CutPrefix(line, []byte{askBack})
		if len(id) > MaxID || !ValidID(string(id)) {
			continue
		}
		was, there := back[string(id)]
		back[string(id)] = was || asked
		if there {
			continue
		}
		if len(l.IDs) == MaxList {
			return List{}, ErrList
		}
		l.IDs = append(l.IDs, string(id))
	}
	for _, id := range l.IDs {
		if back[id] {
			l.Back = append(l.Back, id)
		}
	}
	return l, nil
}

// Bytes writes a list as ParseList reads it, without a newline at the end.
func (l List) Bytes() []byte {
	var b bytes.Buffer
	back := l.Back
	for i, id := range l.IDs {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(back) > 0 && back[0] == id {
			b.WriteByte(askBack)
			back = back[1:]
		}
		b.WriteString(id)
	}
	return b.Bytes()
}
