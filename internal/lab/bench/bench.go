package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/session"
)

// options are what the arguments and flags say.
type options struct {
	rows         []row
	installation session.Address // that is running; the zero value: a server that the bench starts
	rounds       int
	scale        float64
	timeout      time.Duration // 0: see newServers
	json         bool
}

func (o options) running() bool { return len(o.installation.Servers) > 0 }

// round is what a row measures, and what other rows have measured before.
type round struct {
	*service
	lines
	scale float64
}

// some returns a share of an amount, and at least the other one.
func (rd *round) some(n, least int) int { return max(least, int(rd.scale*float64(n))) }

// long returns a share of a time, and at least a time that is long enough to count anything.
func (rd *round) long(d time.Duration) time.Duration {
	return max(300*time.Millisecond, time.Duration(rd.scale*float64(d)))
}

// chosen returns the rows of these names, and those that they need. Without names it returns
// all rows that can be measured: a running installation is not compared with a closed one.
func chosen(names []string, installation bool) ([]row, error) {
	all, wanted := rows(), make(map[string]bool)
	for _, name := range names {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q", name)
		}
		if installation && all[i].closed {
			return nil, fmt.Errorf("row %q compares two servers that the bench starts: leave out --zk", name)
		}
		wanted[name] = true
	}
	for _, r := range slices.Backward(all) { // a row comes after those that it needs
		if len(names) == 0 && !(installation && r.closed) {
			wanted[r.name] = true
		}
		for _, need := range r.needs {
			wanted[need] = wanted[need] || wanted[r.name]
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return !wanted[r.name] }), nil
}

// outcome is what is printed.
type outcome struct {
	ZooKeeper  string    `json:"zookeeper"`
	Processors int       `json:"processors"`
	Rounds     int       `json:"rounds"`
	Scale      float64   `json:"scale"`
	Seconds    float64   `json:"seconds"`
	Load       []float64 `json:"load"` // one-minute load averages: before, and after each round
	Lines      lines     `json:"lines"`
}

// bench measures all rows in each round, and prints what it has measured, also when a row fails.
func bench(ctx context.Context, o options, out, progress io.Writer) (err error) {
	byTLS := make(map[bool]*servers)
	defer func() {
		if ctx.Err() != nil {
			err = ctx.Err() // whatever failed because of it
		}
		for _, sv := range byTLS {
			err = errors.Join(err, sv.close())
		}
	}()
	for _, r := range o.rows {
		if byTLS[r.closed] == nil {
			sv, err := newServers(o, r.closed)
			if err != nil {
				return err
			}
			byTLS[r.closed] = sv
		}
	}
	began := time.Now()
	res := outcome{ZooKeeper: "a server of its own, fsync on", Processors: runtime.NumCPU(), Rounds: o.rounds, Scale: o.scale, Load: []float64{loadAverage()}}
	if o.running() {
		res.ZooKeeper = o.installation.String()
		base := byTLS[false].base
		fmt.Fprintf(progress, "putting %s under load, below %s\n", strings.Join(base.Servers, ","), base.Chroot)
	}
	measure := func(what string, rows []row, found *lines) error {
		for _, r := range rows {
			fmt.Fprintf(progress, "%5.0f s  %s: %s\n", time.Since(began).Seconds(), what, r.name)
			if err := r.run(ctx, byTLS[r.closed], o.scale, found); err != nil {
				return fmt.Errorf("%s: %s cannot be measured: %w", what, r.name, err)
			}
		}
		return nil
	}
	if err := measure("warming up", warmUp(o.rows), new(lines)); err != nil {
		return err
	}
	var failed error
	for n := 0; n < o.rounds && failed == nil; n++ {
		failed = measure(fmt.Sprintf("round %d of %d", n+1, o.rounds), o.rows, &res.Lines)
		res.Load = append(res.Load, loadAverage())
	}
	if ctx.Err() != nil || len(res.Lines) == 0 {
		return failed
	}
	res.Seconds = time.Since(began).Seconds()
	return errors.Join(failed, res.print(out, o.json))
}

// warmUp returns the rows that are measured before the first round, and do not count. They are
// the same whatever was chosen, but for TLS: a server that was just started is several times
// slower, and its compiler takes the processors from the others, until the code that runs often
// is compiled.
func warmUp(chosen []row) (warm []row) {
	for _, r := range rows() {
		if !r.closed || slices.ContainsFunc(chosen, func(c row) bool { return c.closed }) {
			warm = append(warm, slices.Repeat([]row{r}, r.warm)...)
		}
	}
	return warm
}

// run measures a row on a new service.
func (r row) run(ctx context.Context, sv *servers, scale float64, found *lines) error {
	s, err := sv.open(ctx, r.masters, r.slots)
	if err != nil {
		return err
	}
	samples, err := r.measure(ctx, &round{s, *found, scale})
	if err == nil {
		err = s.failed()
	}
	if err == nil {
		found.add(r.name, samples...)
	}
	return errors.Join(err, s.close())
}

// print prints the outcome for a person, or as JSON. Targets are left out where they are not
// meant.
func (o outcome) print(out io.Writer, asJSON bool) error {
	not := o.notMeant()
	if not != "" {
		for _, l := range o.Lines {
			l.Reached = nil
		}
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(o)
	}
	_, err := fmt.Fprintf(out, "%s\n%s; rounds: %d, in %.0f s%s\n%d processors, load averages %s\n",
		o.Lines.table(), o.ZooKeeper, o.Rounds, o.Seconds, not, o.Processors, strings.Trim(fmt.Sprintf("%.1f", o.Load), "[]"))
	return err
}

// notMeant says why the targets are not meant for this run; "" if they are.
func (o outcome) notMeant() string {
	switch {
	case o.Scale != 1:
		return fmt.Sprintf("; scale %g, for which the targets are not meant", o.Scale)
	case o.Load[0] > float64(o.Processors):
		return "; other programs used the processors before, so the targets are not meant"
	}
	return ""
}
