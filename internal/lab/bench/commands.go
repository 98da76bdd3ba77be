package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// commands has a worker execute a program that does nothing, once for each line of a client's
// input, and compares it with xargs. The start and the end of the client and of xargs count.
func commands(ctx context.Context, rd *round) ([]sample, error) {
	const slots = 2 // a small machine has as many processors
	n := rd.some(2000, 100)
	if _, err := rd.worker(ctx, slots, "--exec", "true"); err != nil {
		return nil, err
	}
	if _, err := rd.execute(ctx, strings.Repeat("x\n", n/10), "run"); err != nil { // they do not count
		return nil, err
	}
	ours, err := rd.execute(ctx, strings.Repeat("x\n", n), "run")
	if err != nil {
		return nil, err
	}
	xargs := exec.CommandContext(ctx, "xargs", "-P", fmt.Sprint(slots), "-n", "1", "true")
	xargs.Stdin = strings.NewReader(strings.Repeat("x\n", n))
	began := time.Now()
	if out, err := xargs.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("xargs: %w: %.500s", err, out)
	}
	theirs := time.Since(began)
	return []sample{
		sample{what: fmt.Sprintf("%d × true, %d slots; xargs -P", n, slots), unit: seconds, value: ours.Seconds()}.
			than(theirs.Seconds(), ratioAtMost(2)),
	}, nil
}

// execute runs a client, and returns how long it ran.
func (s *service) execute(ctx context.Context, in string, args ...string) (time.Duration, error) {
	began := time.Now()
	client, err := s.start(in, "client", args...)
	if err != nil {
		return 0, err
	}
	if _, err := client.Wait(ctx); err != nil {
		return 0, err
	}
	return time.Since(began), s.failed()
}
