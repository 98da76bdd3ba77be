package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"taskkeeper/internal/client"
	"taskkeeper/internal/election"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// glance is how often the bar is drawn though nothing happened.
	glance = time.Second
	// still is for how long nothing happens until the bar says why.
	still = 3 * time.Second
)

// progress is a bar on a terminal: how far a batch is, and what it waits for.
type progress struct {
	in  *input
	out *os.File

	mu           sync.Mutex // guards the rest, and whatever is printed beside the bar
	bar          *progressbar.ProgressBar
	done, failed int
	last         time.Time // the last outcome came
	cause        string    // why nothing happens
}

// newProgress returns a bar, or nil where there is no terminal for it.
func newProgress(out *os.File, in *input) *progress {
	if !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	p := &progress{in: in, out: out, last: time.Now()}
	total := -1 // unknown until the input has ended
	if len(in.args) > 0 {
		total = len(in.args)
	}
	p.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(20), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("tasks"), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
	return p
}

// around prints outcomes by show, with the bar out of the way.
func (p *progress) around(show func(client.Outcome) error) func(client.Outcome) error {
	if p == nil {
		return show
	}
	return func(o client.Outcome) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = p.bar.Clear() // what fails on a terminal shows there
		err := show(o)
		if reason(o) == "" && o.State.Phase == task.Done {
			p.done++
		} else {
			p.failed++
		}
		p.last, p.cause = time.Now(), ""
		p.draw(1)
		return err
	}
}

// Write passes on what is logged, with the bar out of the way.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Clear()
	return p.out.Write(b)
}

// draw draws the bar anew; the caller holds mu.
func (p *progress) draw(more int) {
	taken := int(p.in.taken.Load())
	if p.in.ended.Load() && p.bar.GetMax() != taken {
		p.bar.ChangeMax(taken)
	}
	text := fmt.Sprintf("%d done, %d failed, %d under way", p.done, p.failed, taken-p.done-p.failed)
	if p.cause != "" {
		text += " (" + p.cause + ")"
	}
	p.bar.Describe(text)
	_ = p.bar.Add(more)
}

// watch draws the bar now and then, and says why nothing happens, until ctx ends.
// A question to ZooKeeper may keep it until the session ends.
func (p *progress) watch(ctx context.Context, current func() *session.Session) {
	if p == nil {
		return
	}
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		quiet := time.Since(p.last) > still
		p.mu.Unlock()
		cause := ""
		if quiet {
			cause = why(current())
		}
		p.mu.Lock()
		if ctx.Err() == nil {
			p.cause = cause
			p.draw(0)
		}
		p.mu.Unlock()
	}
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Finish()
}

// why tells what keeps all tasks from being done; "" if nothing does.
func why(s *session.Session) string {
	if s == nil {
		return "no session with ZooKeeper"
	}
	if since, suspended := s.Suspended(); suspended && !since.IsZero() {
		return fmt.Sprintf("ZooKeeper has been away for %s", time.Since(since).Round(time.Second))
	}
	leader, _, err := election.Leader(s)
	if err == nil && leader == "" {
		return "there is no leader: start a master"
	}
	workers, _, err := s.Children(task.WorkersDir)
	if err == nil && len(workers) == 0 {
		return "there is no worker: start one"
	}
	return ""
}
