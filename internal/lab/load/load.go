// Package load puts the service under load as clients do, and measures what they
// see. It is for comparisons within one run: the machine's own speed is in every
// figure.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Client is a client of the service within this process, on one session.
type Client struct {
	do   *client.Client
	stop context.CancelFunc
	run  sync.WaitGroup
	err  error // what its session ended with; after run
}

// Open connects a client. It must be closed.
func Open(ctx context.Context, cfg session.Config) *Client {
	ctx, stop := context.WithCancel(ctx)
	c := &Client{do: client.New(client.Config{Logger: cfg.Logger}), stop: stop}
	c.run.Go(func() { c.err = session.Run(ctx, cfg, time.Minute, c.do.Serve) })
	return c
}

// Close withdraws what is not finished and ends the session.
func (c *Client) Close() error {
	c.stop()
	c.run.Wait()
	return c.err
}

// Do submits a task and fails unless it is done.
func (c *Client) Do(ctx context.Context, payload string) error {
	return failure(c.do.Do(ctx, []byte(payload)))
}

// Times does a task and tells how long it took until its result was there, and
// until the next one can be done.
func (c *Client) Times(ctx context.Context, payload string) (result, whole time.Duration, err error) {
	began := time.Now()
	r, err := c.do.Do(ctx, []byte(payload))
	return r.Took, time.Since(began), failure(r, err)
}

// failure is why there is no result, if so.
func failure(r client.Result, err error) error {
	if err == nil && r.State.Phase != task.Done {
		err = fmt.Errorf("task %s: %s", r.ID, r.State.Text)
	}
	return err
}

// Latencies does n tasks one after the other, and tells how long each took from
// its submission to its result.
func (c *Client) Latencies(ctx context.Context, n int, payload string) ([]time.Duration, error) {
	out := make([]time.Duration, n)
	for i := range out {
		began := time.Now()
		if err := c.Do(ctx, payload); err != nil {
			return nil, err
		}
		out[i] = time.Since(began)
	}
	return out, nil
}

// Rate does n tasks, a window of them at a time, and tells how many were done in
// a second.
func (c *Client) Rate(ctx context.Context, n, window int, payload string) (perSecond float64, err error) {
	began := time.Now()
	err = c.Each(ctx, window, func(i int) (string, bool) { return payload, i < n }, nil)
	return float64(n) / time.Since(began).Seconds(), err
}

// Each does tasks, a window of them at a time, until next has no more; done is
// told of each result as it comes.
func (c *Client) Each(ctx context.Context, window int, next func(i int) (payload string, ok bool), done func()) error {
	items := make(chan client.Item)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with ctx
		defer close(items)
		for i := 0; ; i++ {
			payload, ok := next(i)
			if !ok {
				return
			}
			select {
			case items <- client.Item{Index: i + 1, Payload: []byte(payload)}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return client.Batch{Window: window, Unordered: true}.Do(ctx, c.do, items, func(o client.Outcome) error {
		err := failure(o.Result, o.Err)
		if err == nil && done != nil {
			done()
		}
		return err
	})
}

// Quantile is the value that a share of all are at most, by its rank: 0.5 is the
// median.
func Quantile[T interface{ ~int64 | ~float64 }](values []T, share float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
