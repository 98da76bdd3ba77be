package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
)

// errFirst ends a batch at its first failure.
var errFirst = errors.New("stopped at the first failure")

// running is a run of 'client run'.
type running struct {
	// Fixed before it begins.
	batch    client.Batch
	in       *input
	print    printing
	failFast bool
	bar      *progress

	// Owned by the goroutine that prints.
	printer      *printer
	done, failed int
	last         int   // the largest index that was taken up
	undone       []int // withdrawn
	unprinted    []int // finished, and not printed because one before them is not
	unwritten    int   // finished, and could not be printed
}

func (r *running) run(ctx context.Context, cmd *cobra.Command, c *client.Client) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the reading
	r.printer = newPrinter(cmd, r.print, byPayload)
	r.batch.Judge = r.judge
	err := r.batch.Do(ctx, c, r.in.items(ctx), r.emit)
	sum := fmt.Sprintf("%d done, %d failed, %d withdrawn", r.done, r.failed, len(r.undone))
	if err != nil && r.unwritten == 0 {
		r.tellLeft(cmd.ErrOrStderr())
	}
	switch {
	case ctx.Err() != nil:
		return cli.SoFar(ctx.Err(), "%s", sum)
	case r.unwritten > 0:
		return fmt.Errorf("%w: %d done, %d failed, %d not written, %d withdrawn", err, r.done, r.failed, r.unwritten, len(r.undone))
	case err != nil:
		return fmt.Errorf("%w: %s", err, sum)
	case r.in.failure() != nil:
		return fmt.Errorf("%w: %d done, %d failed", r.in.failure(), r.done, r.failed)
	case r.failed > 0:
		return fmt.Errorf("%s failed", of(r.failed, r.done+r.failed))
	}
	return nil
}

// judge is told of each task as it ends.
func (r *running) judge(o client.Outcome) error {
	r.bar.count(o)
	if r.failFast && isFailure(o) {
		return errFirst
	}
	return nil
}

// emit prints what became of a task, when it is its turn. In order, standard output ends
// before the first task that is not done.
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
	case isFailure(o):
		r.failed++
	default:
		r.done++
	}
	return nil
}

// tellLeft says which inputs are not done, and which results are not printed.
func (r *running) tellLeft(errs io.Writer) {
	from := 0
	if !r.in.exhausted.Load() {
		from = r.last + 1
	}
	if left := ranges(r.undone, from); left != "" {
		fmt.Fprintf(errs, "not done: inputs %s\n", left)
	}
	if len(r.unprinted) > 0 {
		fmt.Fprintf(errs, "finished, but not printed, because one before is not done: inputs %s\n", ranges(r.unprinted, 0))
	}
}
