package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/election"
	"taskkeeper/internal/inspect"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// redraw is how often the bar is drawn.
	redraw = 200 * time.Millisecond
	// still is how long no task has finished before the bar says why.
	still = 3 * time.Second
	// question is the least time between two looks for the cause.
	question = time.Second
)

// progress is a bar on a terminal: how far a batch is, and what it waits for. A nil
// progress draws nothing.
type progress struct {
	in    *input
	queue *string   // of all tasks; nil: they may be of several queues
	began time.Time // when it was started

	mu           sync.Mutex // guards the rest
	done, failed int
	last         time.Time // when a task last finished
	cause        string    // why nothing happens
}

// newProgress returns a bar, or nil if out is no terminal for a bar.
func newProgress(out *os.File, in *input) *progress {
	if !term.IsTerminal(int(out.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &progress{in: in}
}

// count counts a finished task. Its result may still wait for an earlier one to be printed.
func (p *progress) count(o client.Outcome) {
	if p == nil || o.Withdrawn {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.Err == nil && o.State.Phase == task.Done {
		p.done++
	} else {
		p.failed++
	}
	p.last, p.cause = time.Now(), ""
}

// start draws the bar, until ctx ends or end is called.
func (p *progress) start(ctx context.Context, current func() *session.Session) (end func()) {
	if p == nil {
		return func() {}
	}
	p.began, p.last = time.Now(), time.Now()
	ctx, stop := context.WithCancel(ctx)
	var drawing sync.WaitGroup
	drawing.Go(func() { p.draw(ctx, current) })
	go p.in.count(ctx) // ends with ctx, or when a read returns
	return func() {
		stop()
		drawing.Wait()
	}
}

func (p *progress) draw(ctx context.Context, current func() *session.Session) {
	defer cli.ShowBar(nil)
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	var asked time.Time
	causes, asking := make(chan string, 1), false
	for {
		cli.ShowBar(p.line)
		select {
		case <-ctx.Done():
			return
		case cause := <-causes:
			asking = false
			p.explain(cause)
		case <-ticker.C:
			if !asking && time.Since(asked) > question && p.quiet() {
				asking, asked = true, time.Now()
				go func() { causes <- why(current(), p.queue) }() // ends with the session at the latest
			}
		}
	}
}

func (p *progress) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last) > still
}

// explain sets why nothing happens, unless a task has finished meanwhile.
func (p *progress) explain(cause string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) > still {
		p.cause = cause
	}
}

func (p *progress) line(width int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken, total := p.in.sizes()
	return tally{
		done: p.done, failed: p.failed, taken: taken, total: total, took: time.Since(p.began), cause: p.cause,
	}.line(width)
}

// of sets the queue of all tasks.
func (p *progress) of(queue string) *progress {
	if p != nil {
		p.queue = &queue
	}
	return p
}

// why says what keeps all tasks of a queue (nil: of any) from being done; "" if nothing does.
func why(s *session.Session, queue *string) string {
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
	workers, err := client.Workers(s)
	if err != nil {
		return ""
	}
	others := len(workers)
	workers = slices.DeleteFunc(workers, func(worker string) bool {
		q, _ := task.SplitQueue(worker)
		return queue != nil && q != *queue
	})
	if queue == nil {
		queue = new(string)
	}
	if len(workers) == 0 {
		return inspect.NoWorker(*queue, others)
	}
	taking, drains, err := client.Taking(s, workers)
	if err != nil || taking > 0 {
		return ""
	}
	return inspect.AllDrained(*queue, len(workers), drains)
}
