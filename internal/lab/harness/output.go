package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Output is what a process has written to one stream, as lines.
type Output struct {
	reading sync.Mutex // locked while the process's output is left unread

	mu    sync.Mutex // guards the rest
	lines []string
	rest  []byte        // the beginning of a line
	more  chan struct{} // closed, and made anew, when there is more
	ended bool
}

func newOutput() *Output { return &Output{more: make(chan struct{})} }

// Write takes the process's output.
func (o *Output) Write(p []byte) (int, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	for {
		i := bytes.IndexByte(o.rest, '\n')
		if i < 0 {
			break
		}
		o.lines = append(o.lines, string(o.rest[:i]))
		o.rest = o.rest[i+1:]
	}
	o.wake()
	return len(p), nil
}

func (o *Output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rest) > 0 {
		o.lines = append(o.lines, string(o.rest))
		o.rest = nil
	}
	o.ended = true
	o.wake()
}

func (o *Output) wake() {
	close(o.more)
	o.more = make(chan struct{})
}

// Lines are the lines so far.
func (o *Output) Lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines)
}

// String is the text so far.
func (o *Output) String() string { return strings.Join(o.Lines(), "\n") }

// Follow yields each line, from the first one, as it is written; until the
// process ends or ctx does.
func (o *Output) Follow(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n := 0; ; {
			o.mu.Lock()
			fresh, more, ended := o.lines[n:], o.more, o.ended
			o.mu.Unlock()
			for _, line := range fresh {
				if !yield(line) {
					return
				}
			}
			n += len(fresh)
			if ended {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Await returns the first line that match accepts. It fails when the process
// or ctx ends before there is one.
func (o *Output) Await(ctx context.Context, match func(line string) bool) (string, error) {
	for line := range o.Follow(ctx) {
		if match(line) {
			return line, nil
		}
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("wait for a line: %w", context.Cause(ctx))
	}
	return "", errors.New("wait for a line: the process has ended")
}
