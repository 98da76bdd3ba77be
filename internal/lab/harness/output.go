package harness

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
)

// feed is a list that grows until it ends. Its methods may be called from any goroutine.
type feed[T any] struct {
	mu    sync.Mutex // guards the rest
	items []T
	ended bool
	more  chan struct{} // closed at the next change; nil if nobody waits
}

// add adds items, after which the list may be at its end.
func (f *feed[T]) add(end bool, items ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = append(f.items, items...)
	f.ended = end
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// all are the items so far.
func (f *feed[T]) all() []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.items)
}

// follow yields each item, from the first one, as it is added; until the list or ctx ends.
func (f *feed[T]) follow(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := 0; ; {
			f.mu.Lock()
			fresh, ended := f.items[n:], f.ended
			if f.more == nil {
				f.more = make(chan struct{})
			}
			more := f.more
			f.mu.Unlock()
			for _, item := range fresh {
				if !yield(item) {
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

// Output is what a process has written to one stream, as lines.
type Output struct {
	reading sync.Mutex // locked while the process's output is left unread
	lines   feed[string]

	mu   sync.Mutex // guards rest
	rest []byte     // the beginning of a line
}

// Write takes the process's output.
func (o *Output) Write(p []byte) (int, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []string
	for line := range bytes.Lines(append(o.rest, p...)) {
		o.rest = bytes.Clone(line)
		if text, ok := strings.CutSuffix(string(line), "\n"); ok {
			lines = append(lines, text)
			o.rest = nil
		}
	}
	o.lines.add(false, lines...)
	return len(p), nil
}

// end takes what is left as the last line.
func (o *Output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rest) > 0 {
		o.lines.add(false, string(o.rest))
	}
	o.lines.add(true)
}

// Lines are the lines so far.
func (o *Output) Lines() []string { return o.lines.all() }

// String is the text so far.
func (o *Output) String() string { return strings.Join(o.Lines(), "\n") }
