package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Client is a client of the service within this process. It has one session.
type Client struct {
	client  *client.Client
	stop    context.CancelFunc
	serving errgroup.Group
}

// Open connects a client. The caller must Close it.
func Open(ctx context.Context, cfg session.Config) *Client {
	ctx, stop := context.WithCancel(ctx)
	c := &Client{client: client.New(client.Config{Logger: cfg.Logger}), stop: stop}
	c.serving.Go(func() error { return session.Run(ctx, cfg, time.Minute, c.client.Serve) })
	return c
}

// Close withdraws the unfinished tasks and ends the session.
func (c *Client) Close() error {
	c.stop()
	return c.serving.Wait()
}

// Do executes a task, and returns the time from its submission to its result. A task that is
// not done is an error.
func (c *Client) Do(ctx context.Context, payload string) (took time.Duration, err error) {
	r, err := c.client.Do(ctx, []byte(payload))
	if err == nil && r.State.Phase != task.Done {
		err = fmt.Errorf("task %s: %s", r.ID, r.State.Text)
	}
	return r.Took, err
}

// Latencies executes n tasks one after the other, and returns the time of each from its
// submission to its result. A tenth as many tasks, executed before, do not count.
func (c *Client) Latencies(ctx context.Context, n int, payload string) ([]time.Duration, error) {
	var all []time.Duration
	for range n/10 + n {
		took, err := c.Do(ctx, payload)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return all[n/10:], nil
}

// Quantile returns the value below or at which a share of the values lie: 0.5 is the median.
// Without values it returns 0.
func Quantile[T interface{ ~int64 | ~float64 }](values []T, share float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
