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
	// room is how much of the log waits for a file that takes nothing, in bytes:
	// some 6,000 lines.
	room = 1 << 20
	// pipeBuf is how much is written to a pipe undivided: PIPE_BUF in limits.h(0p).
	pipeBuf = 4096
	// linger is how long a line of the log waits for others to be written with it. Who logs
	// is in the middle of something, and more often than not logs again.
	linger = time.Millisecond
	// lineCost is what a line that waits costs in memory beside its text.
	lineCost = 64
	// grace is how long an answer waits for its reader when the program is to end.
	grace = 3 * time.Second
	// flushStill and flushTime bound the wait for what was logged at the end of the
	// program: while nothing is written, and where a slow reader takes line by line.
	flushStill = time.Second
	flushTime  = 5 * time.Second
	// lastWords is the same where the program is to end at once.
	lastWords = 500 * time.Millisecond
)

// output writes to a file, so that nobody has to wait for that: a terminal may be
// stopped (Ctrl-S), a pipe full, a disk full. A goroutine writes; it runs while there
// is something to write, but lets lines of the log come together. Three things go through
// it:
//
//	the log    offer   never waits; what finds no room, or cannot be written, is
//	                   dropped, and the next line that is written tells how many were
//	answers    print   waits, until the program is to end; is never dropped
//	the bar    show    is drawn anew at the last line of a terminal after what else
//	                   is written there; only the newest one is ever drawn
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

// entry is a line of the log; or, with done, an answer; or, without a text, where
// lines of the log were dropped.
type entry struct {
	text    []byte
	dropped int
	to      *os.File       // of an answer
	done    chan<- written // has room for one
}

type written struct {
	n   int
	err error
}

// stderr is the log's, the bar's and the last error's.
var stderr = &output{file: os.Stderr}

// ShowBar draws a bar at the last line of the terminal that stderr is, or takes it
// away if it is nil. It is asked for its text when it is drawn: that may take at most
// so many columns, and must not wait.
func ShowBar(bar func(width int) string) { stderr.show(bar) }

// offer has a line of the log written, if there is room for it.
func (o *output) offer(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle == nil {
		o.idle = make(chan struct{})
		o.later = time.AfterFunc(linger, o.begin)
	}
	size := len(line) + lineCost
	if o.size+size <= room {
		o.size += size
		o.queue = append(o.queue, entry{text: bytes.Clone(line)})
		return
	}
	if last := len(o.queue) - 1; last < 0 || o.queue[last].dropped == 0 {
		o.queue = append(o.queue, entry{})
	}
	o.queue[len(o.queue)-1].dropped++
}

// print has an answer written, and waits for that. When ctx has ended it waits no
// longer than the grace; the error is ctx's then.
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

// append has an answer written, and does not wait.
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

// flush waits until all is written, at most for a time, and no longer than for
// another when nothing is written meanwhile.
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
	go o.run() // ends when all is written: a process ends without waiting for that
}

// begin is start when lines have waited for long enough.
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
			o.queue = nil // which has grown
			close(o.idle)
			o.idle = nil
			o.mu.Unlock()
			return
		}
	}
}

// together is how many entries are written at once: lines of the log, while they come to
// no more than goes into a pipe undivided, whoever else writes to it.
func together(queue []entry) (n int) {
	line := func(e entry) bool { return e.done == nil && e.text != nil }
	for size := 0; n < len(queue) && line(queue[n]); n++ {
		if size += len(queue[n].text); size > pipeBuf {
			break
		}
	}
	return max(1, n)
}

// log writes lines of the log, and before them how many are missing there.
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

// write writes a text in the bar's place, which is drawn again below it.
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
		o.drawn = false // what stands there is somebody else's
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

// foreground tells whether this process may paint on the terminal: a person types
// there while it runs in the background. A terminal that is not the process's own
// has no such order.
func foreground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// writeAll writes, also where some other process has made the file non-blocking,
// as ssh does with a terminal.
func writeAll(f *os.File, b []byte) (n int, err error) {
	for {
		m, err := f.Write(b[n:])
		n += m
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}, -1) // Write tells
	}
}

// answers is where a program's answers go: to stdout, or beside the log to stderr.
// A reader that is slow is waited for, until the program is to end.
type answers struct {
	ctx context.Context
	out *output
	to  *os.File

	mu  sync.Mutex // guards the rest
	err error      // of the first write that failed
}

// newAnswers shares with stderr's log what is the same file: what is printed comes
// in its order then, and a bar makes room for it.
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
		return 0, a.err // the one before waits still
	}
	n, err := a.out.print(a.ctx, a.to, b)
	if a.err == nil {
		a.err = err
	}
	return n, err
}
