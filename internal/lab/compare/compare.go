package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/lab/zktest"
)

const (
	sessionTimeout = 2 * time.Second

	rounds    = 3
	latencies = 300  // tasks one after the other, in a round
	tasks     = 5000 // tasks as fast as possible, in a round
	window    = 1000 // most of them under way
	writers   = 64   // writes under way
)

// perMulti is how many writes are in one Multi, and how many Multis each writer sends.
var perMulti = []struct{ writes, multis int }{{1, 200}, {16, 100}, {100, 20}}

func compare(ctx context.Context, out io.Writer, evidence string) error {
	services := make([]*service, len(columns))
	for i, c := range columns {
		s, err := open(ctx, c.servers)
		if err != nil {
			return err
		}
		defer s.close()
		services[i] = s
	}
	var t table
	for round := range rounds {
		for i, c := range columns { // in turns: the machine may be faster or slower by the minute
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, c.name)
			if err := services[i].measure(ctx, &t, i); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	text := t.markdown()
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
	return os.WriteFile(filepath.Join(evidence, "compare-latency.csv"), []byte(t.latencyCSV()), 0o644)
}

// measure measures each figure once.
func (s *service) measure(ctx context.Context, t *table, column int) error {
	all, err := s.inProcess.Latencies(ctx, latencies, "0")
	if err != nil {
		return err
	}
	for _, took := range all {
		t.addTime(column, latency, took)
	}
	rate, err := s.rate(ctx)
	if err != nil {
		return err
	}
	t.add(column, fmt.Sprintf("tasks per second, %d in flight", window), "%.0f", rate)
	for _, m := range perMulti {
		rate, err := s.writes(ctx, m.writes, m.multis)
		if err != nil {
			return err
		}
		t.add(column, fmt.Sprintf("bare writes per second, %d at a time, %d in each Multi", writers, m.writes), "%.0f", rate)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		took, err := s.masterFails(ctx, sig)
		if err != nil {
			return err
		}
		t.addTime(column, unix.SignalName(sig)+" to the leading master, until the next assignment", took)
	}
	kill := func(server *zktest.Server, what string) error {
		if server == nil {
			return errors.New("the ensemble has no leader, or no follower")
		}
		took, err := s.serverFails(ctx, server)
		t.addTime(column, what, took)
		return err
	}
	if len(s.Servers) == 1 {
		return kill(s.Servers[0], "the only server killed and restarted: time without a result")
	}
	if err := kill(s.Ensemble.Follower(), "a follower killed and restarted: time without a result"); err != nil {
		return err
	}
	return kill(s.Ensemble.Leader(), "the leading server killed and restarted: the same")
}
