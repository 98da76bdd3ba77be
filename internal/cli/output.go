package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	// maxQueued is how much of the log is kept while the file blocks, in bytes: some 6,000
	// lines.
	maxQueued = 1 << 20
	// pipeBuf is how much is written to a pipe undivided: PIPE_BUF in limits.h(0p).
	pipeBuf = 4096
	// linger is how long a line of the log waits for others to be written with it. A goroutine
	// that logs often logs again at once.
	linger = time.Millisecond
	// lineCost is the memory of a queued line besides its text, in bytes.
	lineCost = 64
	// grace is how long an answer waits for its reader when the program must end.
	grace = 3 * time.Second
	// flushStill and flushTime bound the wait for the log at the end of the program: while
	// nothing is written, and in all, if a slow reader takes line by line.
	flushStill = time.Second
	flushTime  = 5 * time.Second
	// lastWords is both bounds when the program must end at once.
	lastWords = 500 * time.Millisecond
)

// output writes to a file that may block: a terminal may be stopped (Ctrl-S), a pipe full, a
// disk full. One goroutine writes. It runs while there is something to write, after lines of
// the log have gathered for linger. Three things go through output:
//
//	the log    offer   never waits; a line beyond maxQueued, or one that cannot be
//	                   written, is dropped; the next written line says how many were
//	answers    print   waits, until the program must end; is never dropped
//	the bar    show    is drawn again on the last line of a terminal after any other
//	                   text; only the newest bar is drawn
type output struct {
	file *os.File // of the log and the bar; fixed at construction

	mu     sync.Mutex // guards what follows; never held while writing
	notice func(dropped int) []byte
	queue  []entry
	size   int           // of the lines of the log that are not written
	turns  int           // of the goroutine
	idle   chan struct{} // closed when all is written; nil: it is, nothing runs
	later  *time.Timer   // starts the goroutine; nil: it runs, or there is nothing to write
	bar    func(width int) string
	redraw bool // the bar, when the queue is empty

	// Owned by the goroutine.
	lost  int  // lines dropped since the last one was written
	torn  bool // only the beginning of the last line was written
	drawn bool // the bar is on the terminal
}

// entry is a line of the log; or, with done, an answer; or, without a text, the place where
// lines of the log were dropped.
type entry struct {
	text    []byte
	dropped int
	to      *os.File       // of an answer
	done    chan<- written // buffered, for one
}

type written struct {
	n   int
	err error
}

// stderr takes the log, the bar and the last error.
var stderr = &output{file: os.Stderr}

// ShowBar draws a bar on the last line of stderr's terminal; nil removes the bar. bar is called
// at each drawing. It must not wait, and returns a text of at most width columns.
func ShowBar(bar func(width int) string) { stderr.show(bar) }

// offer queues a line of the log, or counts it as dropped.
func (o *output) offer(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle == nil {
		o.idle = make(chan struct{})
		o.later = time.AfterFunc(linger, o.begin)
	}
	size := len(line) + lineCost
	if o.size+size <= maxQueued {
		o.size += size
		o.queue = append(o.queue, entry{text: bytes.Clone(line)})
		return
	}
	if last := len(o.queue) - 1; last < 0 || o.queue[last].dropped == 0 {
		o.queue = append(o.queue, entry{})
	}
	o.queue[len(o.queue)-1].dropped++
}

// print queues an answer, and waits until it is written. After ctx has ended it waits no
// longer than grace; then the error is ctx's.
func (o *output) print(ctx context.Context, to *os.File, text []byte) (int, error) {
	done := o.append(to, text)
	select {
	case w := <-done:
		return w.n, w.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case w := <-done:
		return w.n, w.err
	case <-timer.C:
		return 0, ctx.Err()
	}
}

// append queues an answer, and does not wait.
func (o *output) append(to *os.File, text []byte) <-chan written {
	done := make(chan written, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, entry{to: to, text: bytes.Clone(text), done: done})
	o.start()
	return done
}

// show is ShowBar.
func (o *output) show(bar func(width int) string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bar, o.redraw = bar, true
	o.start()
}

// flush waits until all is written, but no longer than most, and no longer than still while
// nothing is written.
func (o *output) flush(still, most time.Duration) {
	for end := time.Now().Add(most); ; {
		o.mu.Lock()
		if o.later != nil {
			o.start()
		}
		idle, turns := o.idle, o.turns
		o.mu.Unlock()
		if idle == nil {
			return
		}
		timer := time.NewTimer(still)
		select {
		case <-idle:
			timer.Stop()
			return
		case now := <-timer.C:
			o.mu.Lock()
			stuck := o.turns == turns
			o.mu.Unlock()
			if stuck || now.After(end) {
				return
			}
		}
	}
}

// start starts the goroutine unless it runs; the caller holds mu.
func (o *output) start() {
	switch {
	case o.idle == nil:
		o.idle = make(chan struct{})
	case o.later == nil || !o.later.Stop():
		return
	}
	o.later = nil
	go o.run() // ends when all is written, or with the process
}

// begin is start after linger.
func (o *output) begin() {
	o.mu.Lock()
	o.later = nil
	o.mu.Unlock()
	o.run()
}

func (o *output) run() {
	for {
		o.mu.Lock()
		o.turns++
		switch {
		case len(o.queue) > 0:
			some := o.queue[:together(o.queue)]
			o.queue = o.queue[len(some):]
			notice := o.notice
			o.mu.Unlock()
			if e := some[0]; e.done != nil {
				n, err := o.write(e.to, e.text)
				e.done <- written{n, err}
			} else {
				o.log(some, notice)
			}
			clear(some)
		case o.redraw:
			bar := o.bar
			o.redraw = false
			o.mu.Unlock()
			o.draw(bar)
		default:
			o.queue = nil // frees its memory
			close(o.idle)
			o.idle = nil
			o.mu.Unlock()
			return
		}
	}
}

// together is how many entries are written at once: as many lines of the log as a pipe takes
// undivided, even if others write to it.
func together(queue []entry) (n int) {
	line := func(e entry) bool { return e.done == nil && e.text != nil }
	for size := 0; n < len(queue) && line(queue[n]); n++ {
		if size += len(queue[n].text); size > pipeBuf {
			break
		}
	}
	return max(1, n)
}

// log writes lines of the log, and before them how many were dropped.
func (o *output) log(lines []entry, notice func(dropped int) []byte) {
	o.lost += lines[0].dropped
	if o.lost > 0 {
		text := notice(o.lost)
		if o.put(text) == len(text) {
			o.lost = 0
		}
	}
	var text []byte
	for _, e := range lines {
		text = append(text, e.text...)
	}
	n := 0
	if o.lost == 0 {
		n = o.put(text)
	}
	size := 0
	for _, e := range lines {
		if e.text == nil {
			continue
		}
		if n -= len(e.text); n < 0 {
			o.lost++
		}
		size += len(e.text) + lineCost
	}
	o.mu.Lock()
	o.size -= size
	o.mu.Unlock()
}

// put writes lines of the log, and returns how many bytes of them were written.
func (o *output) put(lines []byte) int {
	if len(lines) == 0 {
		return 0
	}
	text := lines
	if o.torn {
		text = append([]byte("\n"), lines...)
	}
	n, _ := o.write(o.file, text)
	if n > 0 {
		o.torn = text[n-1] != '\n'
	}
	return max(0, n-(len(text)-len(lines)))
}

const eraseLine = "\r\x1b[K"

// write writes a text in the bar's place; the bar is drawn again below it.
func (o *output) write(to *os.File, text []byte) (n int, err error) {
	erase := 0
	if o.drawn {
		o.drawn = false
		o.mu.Lock()
		o.redraw = true
		o.mu.Unlock()
		if foreground(o.file) {
			erase = len(eraseLine)
			text = append([]byte(eraseLine), text...)
		}
	}
	n, err = writeAll(to, text)
	return max(0, n-erase), err
}

func (o *output) draw(bar func(width int) string) {
	switch {
	case !foreground(o.file):
		o.drawn = false // another process writes there
	case bar != nil:
		width, _, err := term.GetSize(int(o.file.Fd()))
		if err != nil || width <= 0 {
			width = 80
		}
		// In the last column some terminals begin a new line.
		_, err = writeAll(o.file, []byte(eraseLine+bar(width-1)))
		o.drawn = err == nil
	case o.drawn:
		_, _ = writeAll(o.file, []byte(eraseLine))
		o.drawn = false
	}
}

// foreground reports whether this process may draw on the terminal: while it runs in the
// background a person types there. A terminal that does not control the process has no
// foreground.
func foreground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// writeAll writes all of b, also if another process has made the file non-blocking, as ssh
// does with a terminal.
func writeAll(f *os.File, b []byte) (n int, err error) {
	for {
		m, err := f.Write(b[n:])
		n += m
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}, -1) // Write has the error
	}
}

// answers writes a program's answers to stdout, or beside the log to stderr. A write waits
// for a slow reader, until the program must end.
type answers struct {
	ctx context.Context
	out *output
	to  *os.File

	mu  sync.Mutex // guards the rest
	err error      // of the first write that failed
}

// newAnswers shares stderr's output if both are the same file: then answers and log keep their
// order, and a bar stays below both.
func newAnswers(ctx context.Context, to *os.File) *answers {
	if same(to, stderr.file) {
		return &answers{ctx: ctx, out: stderr, to: to}
	}
	return &answers{ctx: ctx, out: &output{file: to}, to: to}
}

func same(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (a *answers) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(a.err, context.Canceled) {
		return 0, a.err // an earlier write still waits
	}
	n, err := a.out.print(a.ctx, a.to, b)
	if a.err == nil {
		a.err = err
	}
	return n, err
}
