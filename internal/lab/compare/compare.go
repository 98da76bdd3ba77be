package compare

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/lab/load"
	"taskkeeper/internal/lab/zktest"
)

const (
	standalone = "standalone"
	ensemble   = "ensemble"
)

// perMulti is how many writes go in one Multi, and how many Multis each writer
// sends.
var perMulti = [...]struct{ writes, multis int }{{1, 200}, {16, 100}, {100, 20}}

// figures are what was measured at one site.
type figures struct {
	latency                    []time.Duration
	rate                       []float64
	writes                     [len(perMulti)][]float64
	term, kill                 []time.Duration // of the leader: until the next assignment
	only, follower, leaderDown []time.Duration // of a server: the longest time without a result
}

func compare(ctx context.Context, out io.Writer, evidence string) error {
	names := []string{standalone, ensemble}
	sites, got := make(map[string]*site), make(map[string]*figures)
	for i, name := range names {
		s, err := open(ctx, []int{1, 3}[i])
		if err != nil {
			return err
		}
		defer s.close()
		sites[name], got[name] = s, new(figures)
	}
	for round := range rounds {
		for _, name := range names { // in turns: the machine may be faster or slower by the minute
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, name)
			if err := sites[name].measure(ctx, got[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	text := table(got[standalone], got[ensemble])
	fmt.Fprint(out, text)
	if evidence == "" {
		return nil
	}
	if err := os.MkdirAll(evidence, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(evidence, "compare.txt"), []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(evidence, "compare-latency.csv"), []byte(latencyCSV(got)), 0o644)
}

// measure adds a round.
func (s *site) measure(ctx context.Context, f *figures) error {
	if _, err := s.client.Latencies(ctx, latencies/10, "0"); err != nil { // to get going
		return err
	}
	l, err := s.client.Latencies(ctx, latencies, "0")
	if err != nil {
		return err
	}
	f.latency = append(f.latency, l...)
	r, err := s.client.Rate(ctx, tasks, window, "0")
	if err != nil {
		return err
	}
	f.rate = append(f.rate, r)
	for i, m := range perMulti {
		r, err := s.writes(ctx, m.writes, m.multis)
		if err != nil {
			return err
		}
		f.writes[i] = append(f.writes[i], r)
	}
	for _, m := range []struct {
		sig syscall.Signal
		to  *[]time.Duration
	}{{syscall.SIGTERM, &f.term}, {syscall.SIGKILL, &f.kill}} {
		took, err := s.masterFails(ctx, m.sig)
		if err != nil {
			return err
		}
		*m.to = append(*m.to, took)
	}
	type failing struct {
		server *zktest.Server
		to     *[]time.Duration
	}
	var failures []failing
	if len(s.Servers) == 1 {
		failures = []failing{{s.Servers[0], &f.only}}
	} else {
		failures = []failing{{s.Ensemble.Follower(), &f.follower}, {s.Ensemble.Leader(), &f.leaderDown}}
	}
	for _, x := range failures {
		if x.server == nil {
			return fmt.Errorf("the ensemble has no leader, or no follower")
		}
		took, err := s.serverFails(ctx, x.server)
		if err != nil {
			return err
		}
		*x.to = append(*x.to, took)
	}
	return nil
}

// table is the comparison, in Markdown.
func table(one, three *figures) string {
	var b strings.Builder
	row := func(what, a, b2, ratio string) {
		fmt.Fprintf(&b, "| %-62s | %12s | %12s | %6s |\n", what, a, b2, ratio)
	}
	median := func(what string, a, c []time.Duration) {
		x, y := load.Quantile(a, 0.5), load.Quantile(c, 0.5)
		row(what, ms(x), ms(y), quotient(float64(y), float64(x)))
	}
	row("", "one server", "three", "ratio")
	fmt.Fprintf(&b, "| %s | %s: | %s: | %s: |\n", strings.Repeat("-", 62), strings.Repeat("-", 11), strings.Repeat("-", 11), strings.Repeat("-", 5))
	for _, q := range []float64{0.5, 0.99} {
		x, y := load.Quantile(one.latency, q), load.Quantile(three.latency, q)
		row(fmt.Sprintf("idle latency of a task, p%.0f", 100*q), ms(x), ms(y), quotient(float64(y), float64(x)))
	}
	rate := func(what string, a, c []float64) {
		x, y := load.Quantile(a, 0.5), load.Quantile(c, 0.5)
		row(what, fmt.Sprintf("%.0f", x), fmt.Sprintf("%.0f", y), quotient(y, x))
	}
	rate(fmt.Sprintf("tasks per second, %d in flight", window), one.rate, three.rate)
	for i, m := range perMulti {
		rate(fmt.Sprintf("bare writes per second, %d at a time, %d in each Multi", writers, m.writes), one.writes[i], three.writes[i])
	}
	median("SIGTERM to the leading master, until the next assignment", one.term, three.term)
	median("SIGKILL to the leading master, until the next assignment", one.kill, three.kill)
	row("the only server killed and restarted: time without a result", ms(load.Quantile(one.only, 0.5)), "-", "")
	row("a follower killed and restarted: time without a result", "-", ms(load.Quantile(three.follower, 0.5)), "")
	row("the leading server killed and restarted: the same", "-", ms(load.Quantile(three.leaderDown, 0.5)), "")
	return b.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func quotient(a, b float64) string { return fmt.Sprintf("%.2f", a/b) }

// latencyCSV has a line for each task: where, and for how many ms.
func latencyCSV(got map[string]*figures) string {
	var b strings.Builder
	fmt.Fprintln(&b, "servers,ms")
	for _, name := range []string{standalone, ensemble} {
		for _, l := range got[name].latency {
			fmt.Fprintf(&b, "%s,%.3f\n", name, float64(l.Microseconds())/1000)
		}
	}
	return b.String()
}
