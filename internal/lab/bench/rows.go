package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
)

var (
	nobody  = cast{}
	usual   = cast{masters: 1, workers: 1, slots: 64}
	several = cast{masters: 1, workers: 4, slots: 64}
	backlog = cast{masters: 2, waiting: true}
	watched = cast{masters: 1, workers: 1, slots: 64, page: true}
	secured = cast{masters: 1, workers: 1, slots: 64, closed: true}
)

// rows in the order in which they are measured: each close to what it is
// compared with.
func rows() []row {
	return []row{
		{name: "floor-latency", cast: nobody, measure: floorLatency,
			about: "the calls that a task costs, one after the other"},
		{name: "idle", needs: []string{"floor-latency"}, cast: usual, measure: idle,
			about: "a task while nothing else is there, from its submission to its result"},
		{name: "hundred", needs: []string{"floor-latency"}, cast: usual, measure: hundred,
			about: "client --count 100: a hundred tasks one after the other, from its start to its end"},
		{name: "floor-rate", cast: nobody, measure: floorRate,
			about: "the calls of many tasks, 64 at a time: by one task each, 16 and 100"},
		{name: "throughput", needs: []string{"floor-rate"}, cast: usual, measure: throughput,
			about: "no-op tasks a second: one client process, one leader, one worker process"},
		{name: "tls", needs: []string{"idle", "throughput"}, cast: secured, measure: underTLS,
			about: "idle and throughput under TLS and a policy, beside the same without"},
		{name: "page", cast: watched, measure: page,
			about: "throughput while ten read the leader's page, beside the same while nobody does"},
		{name: "callers", needs: []string{"floor-rate"}, cast: usual, measure: callers,
			about: "64 callers with one task each, on one session; the bench is the client"},
		{name: "steady", cast: usual, measure: steady,
			about: "detached tasks, 1,000 of them waiting at any time"},
		{name: "processes", needs: []string{"throughput"}, cast: several, measure: processes,
			about: "throughput with 4 client and 4 worker processes"},
		{name: "memory", cast: backlog, measure: memory,
			about: "the leader's memory while 100,000 tasks wait"},
		{name: "takeover", cast: backlog, measure: takeover,
			about: "a new leader while 100,000 tasks wait; the bench is the worker, by hand"},
		{name: "drain", needs: []string{"steady"}, cast: backlog, leaves: true, measure: drain,
			about: "100,000 waiting tasks are done by one worker process"},
		{name: "loss", cast: cast{masters: 1}, leaves: true, measure: loss,
			about: "half of 1,000 slots are lost at once, in two of four processes"},
		{name: "commands", cast: cast{masters: 1}, leaves: true, measure: commands,
			about: "2,000 × true by one worker process with 2 slots, beside xargs and parallel"},
		{name: "mixed", cast: cast{masters: 1, workers: 1, slots: 8}, measure: mixed,
			about: "80 tasks of 1 s among 2,000 short ones, on 8 slots"},
	}
}

// What the rows call their figures, where others look for them.
const (
	untilResult = "submission to result, p50"
	withCleanUp = "with its clean-up, p50"
	tasksRate   = "tasks"
)

func batchOf(n int) string { return fmt.Sprintf("tasks, batch %d", n) }

func floorLatency(ctx context.Context, rd *round) ([]sample, error) {
	f, err := openFloor(ctx, rd.site.cfg.Address)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if _, _, err := f.latencies(ctx, rd.some(30, 3)); err != nil { // to get going
		return nil, err
	}
	result, whole, err := f.latencies(ctx, rd.some(300, 10))
	return []sample{
		took(untilResult, load.Quantile(result, 0.5)),
		took(withCleanUp, load.Quantile(whole, 0.5)),
		took("with its clean-up, p99", load.Quantile(whole, 0.99)),
	}, err
}

func floorRate(ctx context.Context, rd *round) ([]sample, error) {
	f, err := openFloor(ctx, rd.site.cfg.Address)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var out, costs []sample
	for _, batch := range []int{1, 16, 100} {
		before := rd.site.usage()
		rate, n, err := f.rate(ctx, batch, rd.long(3*time.Second))
		if err != nil {
			return nil, err
		}
		out = append(out, sample{what: batchOf(batch), unit: perSecond, value: rate})
		if batch != 16 {
			costs = append(costs, rd.site.usage().since(before, n, fmt.Sprintf(" (batch %d)", batch))...)
		}
	}
	return append(out, costs...), nil
}

// idle is what one client sees that does one task after the other: the bench
// itself, on a session of its own. Each clean-up goes with the next submission.
func idle(ctx context.Context, rd *round) ([]sample, error) {
	result, whole, err := oneByOne(ctx, rd)
	return []sample{
		took(untilResult, load.Quantile(result, 0.5)).than(rd.of("floor-latency", untilResult), ratioAtMost(1.15)),
		took("until the next one, p50", load.Quantile(whole, 0.5)).than(rd.of("floor-latency", withCleanUp), ratioAtMost(1.15)),
		took("until the next one, p99", load.Quantile(whole, 0.99)),
	}, err
}

// hundred is what somebody sees who runs the client of the assignment for a while.
func hundred(ctx context.Context, rd *round) ([]sample, error) {
	n := rd.some(100, 3)
	began := time.Now()
	m, err := rd.site.start("client", os.DevNull, "", "--count", fmt.Sprint(n), "--max-sleep", "0s")
	if err != nil {
		return nil, err
	}
	if err := m.succeeds(ctx); err != nil {
		return nil, err
	}
	floor := rd.of("floor-latency", withCleanUp)
	floor.value *= float64(n)
	return []sample{took("from the client's start to its end", time.Since(began)).than(floor, ratioAtMost(1.3))}, nil
}

// oneByOne tells of each task how long it took until its result was there, and until the
// next one could be done.
func oneByOne(ctx context.Context, rd *round) (result, whole []time.Duration, err error) {
	defer runtime.GOMAXPROCS(cli.Tune()) // as the program
	c := load.Open(ctx, rd.site.cfg)
	defer c.Close()
	if _, err := c.Latencies(ctx, rd.some(30, 3), "0"); err != nil { // to get going
		return nil, nil, err
	}
	for range rd.some(300, 10) {
		r, w, err := c.Times(ctx, "0")
		if err != nil {
			return nil, nil, err
		}
		result, whole = append(result, r), append(whole, w)
	}
	return result, whole, nil
}

func throughput(ctx context.Context, rd *round) ([]sample, error) {
	return flood(ctx, rd, 1, func(rate sample) []sample {
		again := rate
		again.what = "tasks, as a number"
		return []sample{rate.than(rd.of("floor-rate", batchOf(100)), ratioAtLeast(1)), again.to(atLeast(10_000))}
	})
}

// underTLS is what the service is like in a closed installation, beside what it was in this
// round in an open one.
func underTLS(ctx context.Context, rd *round) ([]sample, error) {
	result, _, err := oneByOne(ctx, rd)
	if err != nil {
		return nil, err
	}
	latency := took(untilResult, load.Quantile(result, 0.5)).than(rd.of("idle", untilResult), target{})
	return flood(ctx, rd, 1, func(rate sample) []sample {
		return []sample{latency, rate.than(rd.of("throughput", tasksRate), target{})}
	})
}

func processes(ctx context.Context, rd *round) ([]sample, error) {
	return flood(ctx, rd, 4, func(rate sample) []sample {
		return []sample{rate.than(rd.of("throughput", tasksRate), ratioAtLeast(1))}
	})
}

const (
	floodFor = 5 * time.Second
	plenty   = 200_000 // tasks for each client: more than it does in that time
)

// flood has clients do tasks as fast as they go. It counts for some time once each
// has come as far as its window. A result is two bytes in the file that a client prints to.
func flood(ctx context.Context, rd *round, clients int, figures func(sample) []sample) ([]sample, error) {
	s := rd.site
	const result = "0\n"
	var outs []string
	var members []*member
	for range clients {
		out := filepath.Join(s.logs, fmt.Sprintf("results-%d", len(s.members)+1)) // one of its own: no results of an earlier client are counted
		m, err := s.start("client", out, strings.Repeat("0\n", plenty), "run")
		if err != nil {
			return nil, err
		}
		outs, members = append(outs, out), append(members, m)
	}
	results := func() (n int) {
		for _, out := range outs {
			if info, err := os.Stat(out); err == nil {
				n += int(info.Size()) / len(result)
			}
		}
		return n
	}
	warm := clients * rd.some(client.DefaultWindow, 100)
	err := s.until(ctx, "a window of results is there", func() (bool, error) { return results() >= warm, nil })
	if err != nil {
		return nil, err
	}
	began, had, before := time.Now(), results(), s.usage()
	if err := harness.Pause(ctx, rd.long(floodFor)); err != nil {
		return nil, err
	}
	// A time scaled down may be too short for any on a busy machine.
	if err := s.until(ctx, "more results are there", func() (bool, error) { return results() > had, nil }); err != nil {
		return nil, err
	}
	n, used := results()-had, s.usage()
	rate := sample{what: tasksRate, unit: perSecond, value: float64(n) / time.Since(began).Seconds()}
	if had+n == clients*plenty {
		return nil, fmt.Errorf("%d results, then %d more, of %d: no steady load", had, n, clients*plenty)
	}
	for _, m := range members {
		if err := m.Signal(syscall.SIGTERM); err != nil {
			return nil, err
		}
	}
	for _, m := range members { // they withdraw what is open
		if _, err := m.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return append(figures(rate), used.since(before, n, "")...), nil
}

// callers is a load of requests and responses.
func callers(ctx context.Context, rd *round) ([]sample, error) {
	defer runtime.GOMAXPROCS(cli.Tune()) // as the program
	c := load.Open(ctx, rd.site.cfg)
	defer c.Close()
	if err := c.Do(ctx, "0"); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var result []time.Duration
	var all errgroup.Group
	began := time.Now()
	for range 64 {
		all.Go(func() error {
			for time.Since(began) < rd.long(4*time.Second) {
				r, _, err := c.Times(ctx, "0")
				if err != nil {
					return err
				}
				mu.Lock()
				result = append(result, r)
				mu.Unlock()
			}
			return nil
		})
	}
	err := all.Wait()
	rate := sample{what: tasksRate, unit: perSecond, value: float64(len(result)) / time.Since(began).Seconds()}
	return []sample{
		rate.than(rd.of("floor-rate", batchOf(1)), ratioAtLeast(1.3)),
		took(untilResult, load.Quantile(result, 0.5)),
	}, err
}
