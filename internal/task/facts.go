package task

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Facts are the part of a state behind its word: "key=value", each separated from the next by
// one blank. Unknown keys are kept. The zero value holds no fact.
type Facts string

// What a submitter asks for. It stays in the state for as long as the task exists.
const (
	FactKind    = "kind"    // KindCommand, or absent
	FactTimeout = "timeout" // of each execution, in milliseconds
	factLosses  = "losses"  // of a pending task: State.Losses
)

// What a worker records of an execution: see Executed.
const (
	factWorker  = "worker"
	factBegan   = "began" // milliseconds since 1970
	factRan     = "ran"   // milliseconds
	factAttempt = "attempt"
	factExit    = "exit"
	factStdout  = "out" // bytes of State.Stdout
	factStderr  = "err" // bytes of State.Stderr
)

// Executed is what a worker records of the execution that it commits. All fields are zero
// if the task was finished by hand.
type Executed struct {
	Worker  string        // its id
	Began   time.Time     // by the worker's clock
	Ran     time.Duration // to the millisecond
	Attempt int           // counts this execution and those lost with their workers
	Exit    string        // a command's exit status, or the name of the signal that ended it
}

// Facts returns what the submitter asks for, and behind it what a worker records. Fields that
// are zero are left out.
func (e Executed) Facts(asked Facts) Facts {
	b := strings.Builder{}
	b.WriteString(string(asked))
	add := func(key, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + strings.Join(strings.Fields(value), "-"))
	}
	add(factWorker, e.Worker)
	if !e.Began.IsZero() {
		add(factBegan, strconv.FormatInt(e.Began.UnixMilli(), 10))
		add(factRan, strconv.FormatInt(e.Ran.Milliseconds(), 10))
	}
	if e.Attempt > 0 {
		add(factAttempt, strconv.Itoa(e.Attempt))
	}
	add(factExit, e.Exit)
	return Facts(b.String())
}

// latest is the end of the year 9999, in milliseconds since 1970: RFC 3339 has no later
// times.
const latest = 253_402_300_800_000

// Executed returns what a worker recorded of its execution.
func (f Facts) Executed() Executed {
	e := Executed{Worker: f.Get(factWorker), Ran: f.Duration(factRan), Exit: f.Get(factExit)}
	if ms, ok := f.Int(factBegan); ok && ms < latest {
		e.Began = time.UnixMilli(ms)
	}
	if n, ok := f.Int(factAttempt); ok {
		e.Attempt = int(n)
	}
	return e
}

// KindCommand says that the payload is a command line.
const KindCommand = "command"

// MaxFacts is how long facts may be, in bytes. maxAsked is the same for a pending task: a
// worker adds less than the difference. With longer facts a state is malformed.
const (
	MaxFacts = 4 << 10
	maxAsked = MaxFacts / 2
)

// parseFacts reads facts. If a key comes twice, the first value counts. ok is false if the
// text holds anything else, such as the 42 in "done: 42".
func parseFacts(line []byte) (f Facts, ok bool) {
	if len(line) > MaxFacts {
		return "", false
	}
	for word := range strings.FieldsSeq(string(line)) {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return "", false
		}
		if f.Get(key) == "" {
			f = f.With(key, value)
		}
	}
	return f, true
}

// Get returns the value of a key; "" if there is none.
func (f Facts) Get(key string) string {
	for word := range strings.SplitSeq(string(f), " ") {
		if k, value, _ := strings.Cut(word, "="); k == key {
			return value
		}
	}
	return ""
}

// Int returns the value of a key as a number; false if it is not a number from 0 on.
func (f Facts) Int(key string) (int64, bool) {
	n, err := strconv.ParseInt(f.Get(key), 10, 64)
	return n, err == nil && n >= 0
}

// Duration returns the value of a key that counts milliseconds; 0 if it is not such a number.
func (f Facts) Duration(key string) time.Duration {
	n, _ := f.Int(key)
	if n > int64(1<<63-1)/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(max(0, n)) * time.Millisecond
}

// With returns the facts with a new value for a key. The value must hold no blank.
func (f Facts) With(key string, value any) Facts {
	rest := f.without(func(k string) bool { return k == key })
	word := fmt.Sprintf("%s=%v", key, value)
	if rest == "" {
		return Facts(word)
	}
	return rest + Facts(" "+word)
}

// Asked returns the facts without those of a worker: what the submitter asks for.
func (f Facts) Asked() Facts {
	return f.without(func(key string) bool {
		switch key {
		case factWorker, factBegan, factRan, factAttempt, factExit, factStdout, factStderr:
			return true
		}
		return false
	})
}

func (f Facts) without(drop func(key string) bool) Facts {
	if f == "" {
		return ""
	}
	var kept []string
	for word := range strings.SplitSeq(string(f), " ") {
		if key, _, _ := strings.Cut(word, "="); !drop(key) {
			kept = append(kept, word)
		}
	}
	return Facts(strings.Join(kept, " "))
}
