package task

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ErrNotFound means that there is no task of that id (any more).
var ErrNotFound = errors.New("no such task: it was never submitted, or was already collected, expired or cancelled")

// The permanent znodes. Whoever misses one creates it, at any time.
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

// NewID returns a new task id, of a submitter that has no other.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// MaxID is how long an id may be, in bytes: several are to go into one packet.
const MaxID = 1024

// ValidID tells whether a name can stand in a worker's list: one line, without
// blanks around it, without "-" at its front, not longer than MaxID.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && id[0] != askBack && strings.TrimSpace(id) == id && !strings.ContainsAny(id, "\r\n")
}

// askBack stands before an id in a worker's list that the worker is asked to return.
const askBack = '-'

// MaxList is how many ids a worker's list may hold. Programs assign at most some
// dozens; a longer list is a mistake, and to work on one would hold a leader up.
const MaxList = 10_000

// ErrList means that a worker's znode holds more than MaxList ids: it is no list.
var ErrList = fmt.Errorf("lists more than %d ids", MaxList)

// List is what a worker's znode holds. No ids means the worker is free.
type List struct {
	IDs  []string // each once; the first one is executed first
	Back []string // those that the worker is asked to return, in the order of IDs
}

// ParseList reads a worker's znode: an id a line, with "-" before those that the
// worker is asked to return. Blanks around an id, empty lines, repeats and what can be
// no id are dropped. More than MaxList ids are ErrList.
func ParseList(data []byte) (List, error) {
	var l List
	back := make(map[string]bool) // by id; there for all ids
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
