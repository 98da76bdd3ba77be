package task

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Func executes a task's payload and returns its result; an error is the
// reason why the task fails. It ends soon after ctx does, and then whatever
// it returns is dropped: the task was taken away, or its worker stops.
//
// A task may be executed more than once when a worker is lost. Only one
// execution's result is ever committed.
type Func func(ctx context.Context, e Execution) ([]byte, error)

// Execution is one attempt at a task.
type Execution struct {
	Task    string // its id
	Worker  string // the id of the slot
	Payload []byte
}

// maxSleep bounds a simulated computation, to refuse what must be a mistake.
const maxSleep = 24 * time.Hour

// Sleep is the simulated computation of the assignment: the payload is a
// number of seconds, the result is "0".
func Sleep(ctx context.Context, e Execution) ([]byte, error) {
	text := string(bytes.TrimSpace(e.Payload))
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > maxSleep.Seconds() {
		return nil, fmt.Errorf("payload %.40q is not a number of seconds from 0 to %.0f", text, maxSleep.Seconds())
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return []byte("0"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
