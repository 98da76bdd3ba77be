package task

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Func executes a task's payload and returns its outcome. An error is the reason why the
// task fails; then the outcome has no result. When ctx ends, the task was revoked or
// the worker stops: Func must return soon, and what it returns is dropped.
//
// A task may be executed again when its worker is lost. Only one execution's result is ever
// committed.
type Func func(ctx context.Context, e Execution) (Outcome, error)

// Execution is one attempt at a task.
type Execution struct {
	Task    string // its id
	Worker  string // the id of the slot
	Payload []byte
}

// Outcome is the outcome of an execution.
type Outcome struct {
	Result []byte

	// Only for a command.
	Exit   string // its exit status, or the name of the signal that ended it
	Stdout []byte // of a command that failed; else standard output is Result
	Stderr []byte // the end of its standard error
}

// maxSleep bounds a simulated computation: a longer one must be a mistake.
const maxSleep = 24 * time.Hour

// Sleep is the simulated computation of the assignment: the payload is a
// number of seconds, the result is "0".
func Sleep(ctx context.Context, e Execution) (Outcome, error) {
	text := string(bytes.TrimSpace(e.Payload))
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > maxSleep.Seconds() {
		return Outcome{}, fmt.Errorf("payload %.40q is not a number of seconds from 0 to %.0f", text, maxSleep.Seconds())
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return Outcome{Result: []byte("0")}, nil
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}
