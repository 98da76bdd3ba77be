package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/cli"
	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
)

// row measures a few figures on a service of its own.
type row struct {
	name, about string
	needs       []string // rows of which a figure stands beside one of this row
	warm        int      // how often it is measured before the first round, see warmUp
	closed      bool     // the service is under TLS and a policy
	masters     int
	slots       int // of the only worker; 0: there is none
	measure     func(context.Context, *round) ([]sample, error)
}

const usualSlots = 64

// rows returns all rows in the order of measuring: each is close to those that it needs.
func rows() []row {
	return []row{
		{name: "floor-latency", measure: floorLatency,
			about: "the calls that a task costs, one after the other"},
		{name: "idle", needs: []string{"floor-latency"}, warm: 1, masters: 1, slots: usualSlots, measure: idle,
			about: "a task while there is no other, until its result"},
		{name: "hundred", needs: []string{"floor-latency"}, masters: 1, slots: usualSlots, measure: hundred,
			about: "client --count 100: one task after the other, start to end"},
		{name: "floor-rate", warm: 1, measure: floorRate,
			about: "the calls of many tasks, 64 at a time: of one each, and of 100"},
		{name: "throughput", needs: []string{"floor-rate"}, warm: 2, masters: 1, slots: usualSlots, measure: throughput,
			about: "no-op tasks a second: a client, a leader, a worker of 64 slots"},
		{name: "tls", needs: []string{"throughput"}, warm: 3, closed: true, masters: 1, slots: usualSlots, measure: underTLS,
			about: "throughput under TLS and a policy, beside the same without"},
		{name: "callers", needs: []string{"floor-rate"}, warm: 1, masters: 1, slots: usualSlots, measure: callers,
			about: "64 callers with one task each, on one session of the bench"},
		{name: "drain", masters: 2, measure: drain,
			about: "100,000 tasks wait: a new leader, its memory, then a worker"},
		{name: "loss", masters: 1, measure: loss,
			about: "half of 1,000 slots are lost at once, but no task"},
		{name: "commands", masters: 1, measure: commands,
			about: "2,000 × true by one worker process with 2 slots, beside xargs"},
	}
}

// The names of figures that other rows compare theirs with.
const (
	untilResult = "submission to result, p50"
	withCleanUp = "submission to clean-up, mean"
	tasksRate   = "tasks"
)

func batchOf(n int) string { return fmt.Sprintf("tasks, batch %d", n) }

// idle has a client within the bench execute one task after the other. Each clean-up is part
// of the next submission.
func idle(ctx context.Context, rd *round) ([]sample, error) {
	defer runtime.GOMAXPROCS(cli.Tune()) // as the program
	c := load.Open(ctx, rd.cfg)
	defer c.Close()
	all, err := c.Latencies(ctx, rd.some(300, 10), "0")
	figures := latencies(all)
	figures[0] = figures[0].than(rd.last("floor-latency", untilResult), ratioAtMost(1.15))
	return figures, err
}

// hundred has the client of the assignment execute one task after the other.
func hundred(ctx context.Context, rd *round) ([]sample, error) {
	n := rd.some(100, 3)
	all, err := rd.execute(ctx, "", "--count", fmt.Sprint(n), "--max-sleep", "0s")
	floor := rd.last("floor-latency", withCleanUp) * float64(n)
	return []sample{took("the client's start to its end", all).than(floor, ratioAtMost(1.3))}, err
}

func throughput(ctx context.Context, rd *round) ([]sample, error) {
	return fullLoad(ctx, rd, rd.last("floor-rate", batchOf(100)), ratioAtLeast(1))
}

func underTLS(ctx context.Context, rd *round) ([]sample, error) {
	return fullLoad(ctx, rd, rd.last("throughput", tasksRate), target{})
}

// fullLoad has a client execute no-op tasks as fast as it can. After the first window of results
// it counts for some time.
func fullLoad(ctx context.Context, rd *round, beside float64, t target) ([]sample, error) {
	const plenty = 200_000 // more tasks than are done in that time
	c, err := rd.start(strings.Repeat("0\n", plenty), "client", "run")
	if err != nil {
		return nil, err
	}
	reach := func(n int) error {
		return rd.until(ctx, fmt.Sprintf("the client has %d results", n), func() (bool, error) { return c.results() >= n, nil })
	}
	if err := reach(rd.some(client.DefaultWindow, 100)); err != nil {
		return nil, err
	}
	began, had, before := time.Now(), c.results(), rd.usage()
	if err := harness.Pause(ctx, rd.long(5*time.Second)); err != nil {
		return nil, err
	}
	if err := reach(had + 1); err != nil { // a short time may be too short on a busy machine
		return nil, err
	}
	n, passed, used := c.results()-had, time.Since(began), rd.usage()
	if had+n == plenty {
		return nil, fmt.Errorf("all %d tasks were done before the end: the load was not steady", plenty)
	}
	rate := sample{what: tasksRate, unit: perSecond, value: float64(n) / passed.Seconds()}
	return append([]sample{rate.than(beside, t)}, used.since(before, n, "")...), nil
}

// callers has 64 callers within the bench execute one task after the other each.
func callers(ctx context.Context, rd *round) ([]sample, error) {
	defer runtime.GOMAXPROCS(cli.Tune()) // as the program
	c := load.Open(ctx, rd.cfg)
	defer c.Close()
	if _, err := c.Do(ctx, "0"); err != nil { // it connects
		return nil, err
	}
	var mu sync.Mutex // guards all
	var all []time.Duration
	var g errgroup.Group
	began := time.Now()
	for range 64 {
		g.Go(func() error {
			for time.Since(began) < rd.long(4*time.Second) {
				took, err := c.Do(ctx, "0")
				if err != nil {
					return err
				}
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
			}
			return nil
		})
	}
	err := g.Wait()
	rate := sample{what: tasksRate, unit: perSecond, value: float64(len(all)) / time.Since(began).Seconds()}
	return []sample{
		rate.than(rd.last("floor-rate", batchOf(1)), ratioAtLeast(1.3)),
		took(untilResult, load.Quantile(all, 0.5)),
	}, err
}
