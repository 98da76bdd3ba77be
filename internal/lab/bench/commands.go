package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// commandSlots is how many commands run at a time: a small machine's processors.
const commandSlots = 2

// commands has a worker execute a program that does nothing, beside xargs and, where it is
// there, GNU parallel. All three take the same lines on standard input, in turns.
func commands(ctx context.Context, rd *round) ([]sample, error) {
	s := rd.site
	n := rd.some(2000, 100)
	w, err := s.start("worker", os.DevNull, "", "--slots", fmt.Sprint(commandSlots), "--exec", "true")
	if err != nil {
		return nil, err
	}
	if err := s.registered(ctx, commandSlots); err != nil {
		return nil, err
	}
	if _, err := s.runLines(ctx, rd.some(200, 20)); err != nil { // to get going
		return nil, err
	}
	before := withChildren(w.Pid())
	ours, err := s.runLines(ctx, n)
	if err != nil {
		return nil, err
	}
	after := withChildren(w.Pid())
	supervisors := children(w.Pid())
	if len(supervisors) == 0 {
		return nil, errors.New("the worker has no supervisor")
	}
	slot := sample{what: "memory a slot: its supervisor's own", unit: megabytes}
	for _, pid := range supervisors {
		own, err := ownMemory(pid)
		if err != nil {
			return nil, err
		}
		slot.value += own / float64(len(supervisors))
	}
	theirs, used, err := feed(ctx, n, "xargs", "-P", fmt.Sprint(commandSlots), "-n", "1", "true")
	if err != nil {
		return nil, err
	}
	took := sample{what: fmt.Sprintf("%d × true, %d slots", n, commandSlots), unit: seconds, value: ours.Seconds()}
	besides := took.than(sample{value: theirs.Seconds()}, ratioAtMost(2))
	besides.what += "; xargs -P"
	out := []sample{besides}
	if _, err := exec.LookPath("parallel"); err == nil {
		theirs, _, err := feed(ctx, n, "parallel", "-j", fmt.Sprint(commandSlots), "true")
		if err != nil {
			return nil, err
		}
		besides := took.than(sample{value: theirs.Seconds()}, ratioAtMost(1.0/3))
		besides.what += "; parallel -j"
		out = append(out, besides)
	}
	each := perTask("processor time a command: worker, supervisor, command; xargs and command", after-before, n)
	return append(out, each.than(perTask("", used, n), target{}), slot), nil
}

func perTask(what string, d time.Duration, n int) sample {
	return sample{what: what, unit: ms, value: d.Seconds() * 1000 / float64(n)}
}

// runLines has the client run that many tasks, and returns how long it took. The client's
// start and its end count, as those of the others do.
func (s *site) runLines(ctx context.Context, n int) (time.Duration, error) {
	began := time.Now()
	m, err := s.start("client", os.DevNull, strings.Repeat("x\n", n), "run")
	if err != nil {
		return 0, err
	}
	err = m.succeeds(ctx)
	return time.Since(began), err
}

// feed gives lines to a program, and returns how long it took and the processor time that
// it and its children took.
func feed(ctx context.Context, n int, program string, args ...string) (took, used time.Duration, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(strings.Repeat("x\n", n))
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %.500s", program, err, out)
	}
	state := cmd.ProcessState
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		used = time.Duration(u.Utime.Nano() + u.Stime.Nano()) // with what it has waited for
	}
	return time.Since(began), used, nil
}
