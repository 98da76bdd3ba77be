package client

import (
	"fmt"
	"os"

	"taskkeeper/internal/task"
)

const (
	// BacklogBytes is how many bytes of results may wait in memory to be emitted. Results
	// beyond that wait in temporary files.
	BacklogBytes = 64 << 20
	// segmentBytes is the size from which a temporary file takes no more results. The file
	// is closed when its last result is read, so smaller files free the disk sooner.
	segmentBytes = 64 << 20
)

// backlog holds outcomes until they are emitted in order. One goroutine owns it.
type backlog struct {
	waiting map[int]*finished // by turn
	next    int               // the turn that is emitted next
	bytes   int64             // of the results in memory
	last    *segment          // takes further results; nil: there is none
}

// finished is an outcome that waits for its turn.
type finished struct {
	Outcome
	turn   int
	weight int64 // bytes of its payload, which count as in flight until it is emitted

	segment *segment // holds its result; nil while the result is in memory
	at      int64    // where in the segment
	size    int
}

// segment is a temporary file without a name: it vanishes with the process, even after
// SIGKILL.
type segment struct {
	file *os.File
	end  int64
	live int // results in it that are not yet read
}

func newBacklog() *backlog { return &backlog{waiting: make(map[int]*finished)} }

// bytesOf is how many bytes of an outcome may go to a file.
func bytesOf(o *finished) int64 {
	return int64(len(o.State.Text) + len(o.State.Stdout) + len(o.State.Stderr))
}

// add adds an outcome. It fails when the result must go to a temporary file and cannot be
// written; then the result waits in memory.
func (b *backlog) add(o *finished) error {
	b.waiting[o.turn] = o
	b.bytes += bytesOf(o)
	if b.bytes <= BacklogBytes || bytesOf(o) == 0 {
		return nil
	}
	return b.spool(o)
}

// first returns the outcome that is emitted next, or nil if it is not there yet.
func (b *backlog) first() *finished {
	o := b.waiting[b.next]
	if o != nil && o.segment != nil {
		b.load(o)
	}
	return o
}

// pop drops the outcome that first returned.
func (b *backlog) pop() {
	b.bytes -= bytesOf(b.waiting[b.next])
	delete(b.waiting, b.next)
	b.next++
}

func (b *backlog) spool(o *finished) error {
	if b.last == nil {
		file, err := os.CreateTemp("", "client-results-")
		if err != nil {
			return spoolError(err)
		}
		_ = os.Remove(file.Name()) // at once, so that nothing stays after SIGKILL
		b.last = &segment{file: file}
	}
	n, err := b.last.file.WriteAt(o.State.Bytes(), b.last.end)
	if err != nil {
		return spoolError(err)
	}
	o.segment, o.at, o.size = b.last, b.last.end, n
	o.segment.live++
	o.segment.end += int64(n)
	if o.segment.end >= segmentBytes {
		b.last = nil
	}
	b.bytes -= bytesOf(o)
	o.State = task.State{Phase: o.State.Phase}
	return nil
}

func spoolError(err error) error {
	return fmt.Errorf("more than %d MB of results wait for an earlier one, and cannot be written to a file in $TMPDIR: %w", BacklogBytes>>20, err)
}

// load reads a result back. If that fails, the outcome gets an error.
func (b *backlog) load(o *finished) {
	state := make([]byte, o.size)
	if _, err := o.segment.file.ReadAt(state, o.at); err != nil {
		o.Err = fmt.Errorf("read the result back: %w", err)
	} else {
		o.State = task.ParseState(state)
		b.bytes += bytesOf(o)
	}
	if o.segment.live--; o.segment.live == 0 {
		o.segment.file.Close()
		if b.last == o.segment {
			b.last = nil
		}
	}
	o.segment = nil
}
