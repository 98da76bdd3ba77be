package client

import (
	"fmt"
	"os"

	"taskkeeper/internal/task"
)

const (
	// BacklogBytes bounds the results that wait in memory for their turn to be emitted.
	// What is beyond that waits in temporary files.
	BacklogBytes = 64 << 20
	// segmentBytes is from which size on a temporary file takes no more results: it goes
	// when its last one is emitted.
	segmentBytes = 64 << 20
)

// backlog holds what is finished until it is its turn. One goroutine owns it.
type backlog struct {
	waiting map[int]*finished // by turn
	next    int
	bytes   int64    // of the results in memory
	last    *segment // that takes more; nil if none does
}

// finished is an outcome that waits for its turn.
type finished struct {
	Outcome
	turn   int
	weight int64 // of its payload, which is in flight until it is emitted

	segment *segment // that holds its result; nil while it is in memory
	at      int64
	size    int
}

// segment is a temporary file without a name: it is gone when the process is, however
// that ends.
type segment struct {
	file *os.File
	end  int64
	live int // results in it that are to be read
}

func newBacklog() *backlog { return &backlog{waiting: make(map[int]*finished)} }

// bytesOf is how much of an outcome may go to a file.
func bytesOf(o *finished) int64 {
	return int64(len(o.State.Text) + len(o.State.Stdout) + len(o.State.Stderr))
}

// add takes an outcome. It fails when the result should go to a temporary file, and
// cannot; then that waits in memory.
func (b *backlog) add(o *finished) error {
	b.waiting[o.turn] = o
	b.bytes += bytesOf(o)
	if b.bytes <= BacklogBytes || bytesOf(o) == 0 {
		return nil
	}
	return b.spool(o)
}

// first returns the outcome whose turn it is, or nil if it has not come.
func (b *backlog) first() *finished {
	o := b.waiting[b.next]
	if o != nil && o.segment != nil {
		b.load(o)
	}
	return o
}

// pop drops the first.
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
		_ = os.Remove(file.Name()) // at once: not even a kill leaves it
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

// spoolError names the directory: it is the variable's, or the system's own.
func spoolError(err error) error {
	return fmt.Errorf("results over %d MB wait for one before them, and find no room in $TMPDIR: %w", BacklogBytes>>20, err)
}

// load reads a result back. One that cannot be read is no result.
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
