package task

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Facts are what a state tells beside its word: "key=value", separated by one blank
// each. Keys that are not known are kept. The zero value has none.
type Facts string

// What a submitter asks for. It stands in the state for as long as the task is there.
const (
	FactKind    = "kind"    // KindCommand, or absent
	FactTimeout = "timeout" // of each execution, in milliseconds
	factLosses  = "losses"  // of a pending task: State.Losses
)

// What a worker tells of an execution: see Executed.
const (
	factWorker  = "worker"
	factBegan   = "began" // milliseconds since 1970
	factRan     = "ran"   // milliseconds
	factAttempt = "attempt"
	factExit    = "exit"
	factStdout  = "out" // bytes of State.Stdout
	factStderr  = "err" // bytes of State.Stderr
)

// Executed is what a worker tells of the execution that it commits. Of a task that
// was finished by hand nothing is known, and the fields are zero.
type Executed struct {
	Worker  string        // its id
	Began   time.Time     // by the worker's clock
	Ran     time.Duration // to the millisecond
	Attempt int           // the executions lost with their workers, and this one
	Exit    string        // a command's exit status, or the name of the signal that ended it
}

// Facts adds what a worker tells to what its submitter asks for. What is zero is left out.
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

// latest is the end of the year 9999, after which RFC 3339 has no times.
const latest = 253_402_300_800_000

// Executed is what a worker told of its execution.
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

// MaxFacts is how long facts may be, in bytes, and maxAsked those of a pending task: a
// worker adds less than the rest. Longer ones are a mistake, and the state is malformed.
const (
	MaxFacts = 4 << 10
	maxAsked = MaxFacts / 2
)

// parseFacts reads facts: of a key that comes twice, the first. It is false for a text
// that holds something else, as "done: 42" does.
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

// Get returns the value of a key; "" if it is not there.
func (f Facts) Get(key string) string {
	for word := range strings.SplitSeq(string(f), " ") {
		if k, value, _ := strings.Cut(word, "="); k == key {
			return value
		}
	}
	return ""
}

// Int is the value of a key that is a number from 0 on; false if it is none.
func (f Facts) Int(key string) (int64, bool) {
	n, err := strconv.ParseInt(f.Get(key), 10, 64)
	return n, err == nil && n >= 0
}

// Duration is the value of a key that counts milliseconds; 0 if it does not.
func (f Facts) Duration(key string) time.Duration {
	n, _ := f.Int(key)
	if n > int64(1<<63-1)/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(max(0, n)) * time.Millisecond
}

// With returns the facts with another value for a key. A value holds no blank.
func (f Facts) With(key string, value any) Facts {
	rest := f.without(func(k string) bool { return k == key })
	word := fmt.Sprintf("%s=%v", key, value)
	if rest == "" {
		return Facts(word)
	}
	return rest + Facts(" "+word)
}

// Asked are the facts less what a worker told: what its submitter asks for.
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
