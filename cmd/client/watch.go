package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// patience is how long ZooKeeper may be away, at most, before the screen says so, and how
// often that text is drawn again.
const patience = time.Second

// watch shows the status again and again until ctx ends. This goroutine owns the screen;
// another one reads, and blocks while ZooKeeper is away.
func watch(ctx context.Context, cmd *cobra.Command, common *cli.Common, interval time.Duration, only inspect.Filter, show *screen) error {
	reader, stop := context.WithCancel(ctx)
	var (
		sessions = make(chan *session.Session)
		seen     = make(chan inspect.Status)
		over     = make(chan error, 1)
	)
	go func() { // ends with reader's context
		over <- reading(reader, cmd, common, "error", func(ctx context.Context, s *session.Session) error {
			select {
			case sessions <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
			return look(ctx, s, interval, only, seen)
		})
	}()
	shown := func() (err error) {
		var (
			current *session.Session
			turned  <-chan struct{}  // its connection was lost, or is back
			ended   <-chan struct{}  // the session has ended
			due     <-chan time.Time // when to show that ZooKeeper is away, if it still is
		)
		for err == nil {
			again := false
			select {
			case current = <-sessions:
				turned, ended, again = current.Hints(task.MasterDir).C, current.Done(), true
			case s := <-seen:
				err = show.status(s)
			case <-turned:
				again = true
			case <-ended:
				ended, again = nil, true
			case <-due:
				due = nil
				err = show.away(ctx, current)
				again = !show.lost.IsZero()
			case err = <-over:
				over <- err
				return nil
			}
			if again && due == nil {
				due = time.After(min(interval, patience))
			}
		}
		return err
	}()
	stop()
	err := <-over
	switch {
	case shown != nil:
		return shown
	case ctx.Err() != nil:
		return nil
	}
	return err
}

// look sends a status after each interval, until ctx ends.
func look(ctx context.Context, s *session.Session, interval time.Duration, only inspect.Filter, seen chan<- inspect.Status) error {
	watcher := inspect.NewWatcher(s)
	for {
		began := time.Now()
		tree, err := watcher.Read(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(rest(interval, began, s.Restored(), time.Now()))
		select {
		case seen <- inspect.Summarize(tree, time.Now(), only):
		case <-ctx.Done():
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// rest is how long to wait after a look: reading takes at most a fifth of the time. Time
// without a connection does not count as reading.
func rest(interval time.Duration, began, restored, ended time.Time) time.Duration {
	if restored.After(began) {
		began = restored
	}
	return max(interval, 4*ended.Sub(began))
}

// screen shows one status after the other: on a terminal in the same place, else
// one below the other, or as lines of JSON.
type screen struct {
	// Fixed at construction.
	out      io.Writer
	terminal int // its file descriptor; -1 = none
	json     bool

	drawn bool
	last  inspect.Status
	lost  time.Time // since when ZooKeeper is away; zero while it is not
}

func newScreen(out io.Writer, asJSON bool) *screen {
	s := &screen{out: out, terminal: -1, json: asJSON}
	if fd := int(os.Stdout.Fd()); !asJSON && term.IsTerminal(fd) && os.Getenv("TERM") != "dumb" {
		s.terminal = fd
	}
	return s
}

const clock = "15:04:05"

func (s *screen) status(st inspect.Status) error {
	s.last, s.lost = st, time.Time{}
	if s.json {
		return encode(s.out, st)
	}
	return s.draw(st.Time.Format(clock) + "\n" + st.Text())
}

// away shows that ZooKeeper is away, if it is: on a terminal each time, else once. After ctx
// has ended the session is closed, which says nothing about ZooKeeper.
func (s *screen) away(ctx context.Context, ss *session.Session) error {
	lost, suspended := ss.Suspended()
	if !suspended && ss.Err() == nil || ctx.Err() != nil { // ctx last: it ends first
		return nil
	}
	first := s.lost.IsZero()
	if first {
		s.lost = time.Now()
		if suspended {
			s.lost = lost
		}
	}
	now := time.Now()
	text := fmt.Sprintf("%s  ZooKeeper has been away since %s, for %s\n",
		now.Format(clock), s.lost.Format(clock), now.Sub(s.lost).Round(time.Second))
	switch {
	case s.terminal >= 0:
		return s.draw(text + "\nbefore that:\n" + s.last.Text())
	case !first:
		return nil
	case s.json:
		return encode(s.out, struct {
			Time  time.Time `json:"time"`
			Since time.Time `json:"away_since"`
		}{now, s.lost})
	}
	return s.draw(text)
}

// draw writes a text over the last one, cut to what the terminal holds, or below it.
func (s *screen) draw(text string) error {
	var b bytes.Buffer
	switch {
	case s.terminal < 0 && s.drawn:
		b.WriteString("\n" + text)
	case s.terminal < 0:
		b.WriteString(text)
	default:
		if !s.drawn {
			b.WriteString("\x1b[2J")
		}
		width, height, err := term.GetSize(s.terminal)
		if err != nil || width <= 0 || height <= 1 {
			width, height = 80, 24
		}
		b.WriteString("\x1b[H")
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		for _, line := range lines[:min(len(lines), height-1)] {
			if r := []rune(line); len(r) > width {
				line = string(r[:width-1]) + "…"
			}
			b.WriteString(line + "\x1b[K\n")
		}
		b.WriteString("\x1b[J")
	}
	s.drawn = true
	_, err := s.out.Write(b.Bytes())
	return err
}
