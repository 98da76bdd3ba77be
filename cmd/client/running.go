package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// running is one 'client run'.
type running struct {
	// Fixed before it begins.
	batch   client.Batch
	in      *input
	asks    task.Facts // of each task
	print   printing
	halt    halt
	bar     *progress
	log     *joblog  // nil: none
	results *results // nil: they are not kept

	stopReading     context.CancelFunc
	ended, failures int         // owned by judge, of this run
	halted          atomic.Bool // no more tasks are begun, as halt says

	// Owned by the goroutine that prints.
	printer                  *printer
	done, failed             int
	doneBefore, failedBefore int   // in earlier runs
	last                     int   // the largest index that emit got
	undone                   []int // withdrawn
	unprinted                []int // finished, but not printed, because an earlier one is not done
	unwritten                int   // finished, but printing failed
}

func (r *running) run(parent context.Context, cmd *cobra.Command, c *client.Client) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	r.stopReading = stopReading
	r.printer = newPrinter(cmd, r.print, byPayload)
	r.batch.OnOutcome, r.batch.NewID = r.judge, c.NewID
	err := r.batch.Each(ctx, r.in.items(reading), func(ctx context.Context, id string, it client.Item) client.Outcome {
		o, err := r.do(ctx, c, id, it)
		if err != nil {
			stop(err)
			o.Err = context.Cause(ctx) // it counts as withdrawn
		}
		return o
	}, r.emit)
	if err == nil && r.halted.Load() {
		err = r.halt.err()
	}
	r.doneBefore += int(r.in.skipped.Load() - r.in.skippedFailed.Load())
	r.failedBefore += int(r.in.skippedFailed.Load())
	sum := fmt.Sprintf("%d done, %d failed, %d withdrawn", r.done, r.failed, len(r.undone))
	if n := r.doneBefore + r.failedBefore; n > 0 {
		sum += fmt.Sprintf(", %d ended in earlier runs", n)
	}
	if ended := r.done + r.failed + r.doneBefore + r.failedBefore; err != nil && r.unwritten == 0 && ended > 0 {
		r.reportLeft(cmd.ErrOrStderr())
	}
	switch {
	case parent.Err() != nil:
		return cli.SoFar(parent.Err(), "%s", sum)
	case r.unwritten > 0:
		return fmt.Errorf("%w: %d done, %d failed, %d not written, %d withdrawn", err, r.done, r.failed, r.unwritten, len(r.undone))
	case err != nil:
		return fmt.Errorf("%w: %s", err, sum)
	case errors.Is(r.in.failure(), errOtherRun): // nothing was done
		return r.in.failure()
	case r.in.failure() != nil:
		return fmt.Errorf("%w: %d done, %d failed", r.in.failure(), r.done, r.failed)
	case r.failedBefore > 0:
		return fmt.Errorf("%s failed, %d of them in an earlier run, which --resume-failed does again",
			of(r.failed+r.failedBefore, r.done+r.failed+r.doneBefore+r.failedBefore), r.failedBefore)
	case r.failed > 0:
		return fmt.Errorf("%s failed", of(r.failed, r.done+r.failed+r.doneBefore))
	}
	return nil
}

// do executes a task, or loads its outcome from an earlier run, and stores the outcome. It
// fails if the outcome cannot be stored.
func (r *running) do(ctx context.Context, c *client.Client, id string, it client.Item) (client.Outcome, error) {
	if r.log != nil && r.results != nil {
		if past, did, _ := r.log.did(it); did {
			if o, ok := r.results.load(it, past, r.asks); ok {
				return o, nil
			}
		}
	}
	o := r.batch.Attempt(ctx, c, id, it)
	if r.results == nil || ctx.Err() != nil && errors.Is(o.Err, context.Cause(ctx)) {
		return o, nil
	}
	return o, r.results.store(o)
}

// earlier reports whether an outcome comes from an earlier run.
func (r *running) earlier(o client.Outcome) bool {
	if r.log == nil || o.Attempts > 0 || o.Withdrawn {
		return false
	}
	_, did, _ := r.log.did(o.Item)
	return did
}

// judge gets the outcome of each task when the task ends.
func (r *running) judge(o client.Outcome) error {
	r.bar.count(o)
	if o.Withdrawn || r.earlier(o) {
		return nil
	}
	if r.results != nil && o.Attempts == 0 { // it could not be submitted
		if err := r.results.store(o); err != nil {
			return err
		}
	}
	if r.log != nil {
		if err := r.log.add(newEntry(o, time.Now())); err != nil {
			return err
		}
	}
	r.ended++
	if isFailure(o) {
		r.failures++
	}
	if !isFailure(o) || !r.halt.due(r.failures, r.ended) {
		return nil
	}
	if !r.halt.soon {
		return r.halt.err()
	}
	r.halted.Store(true)
	r.stopReading()
	return nil
}

// emit prints the outcome of a task. Ordered output ends before the first task that is not
// done.
func (r *running) emit(o client.Outcome) error {
	r.last = max(r.last, o.Index)
	if o.Withdrawn {
		r.undone = append(r.undone, o.Index)
		r.printer.silent = !r.batch.Unordered
		if !r.print.json {
			return nil
		}
	}
	if r.printer.silent && !r.print.json {
		r.unprinted = append(r.unprinted, o.Index)
	}
	if err := r.printer.show(o); err != nil {
		r.unwritten++
		return err
	}
	switch {
	case o.Withdrawn:
	case r.earlier(o) && isFailure(o):
		r.failedBefore++
	case r.earlier(o):
		r.doneBefore++
	case isFailure(o):
		r.failed++
	default:
		r.done++
	}
	return nil
}

// reportLeft prints which inputs are not done, and which results are not printed.
func (r *running) reportLeft(errs io.Writer) {
	from := r.last + 1
	for ; r.log != nil && from <= r.log.last; from++ {
		if past, ok := r.log.past[from]; !ok || past.failed && r.log.again {
			r.undone = append(r.undone, from)
		}
	}
	if r.in.exhausted.Load() {
		from = 0
	}
	if left := ranges(r.undone, from); left != "" {
		fmt.Fprintf(errs, "not done: inputs %s\n", left)
	}
	if len(r.unprinted) > 0 {
		fmt.Fprintf(errs, "finished, but not printed, because an earlier one is not done: inputs %s\n", ranges(r.unprinted, 0))
	}
}
