package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/session"
)

// options are what the flags say.
type options struct {
	rows    []row
	zk      *session.Address // nil: a server of our own
	rounds  int
	scale   float64
	timeout time.Duration
	level   string
	json    bool
}

// row measures a few figures.
type row struct {
	name, about string
	needs       []string // rows that stand beside it
	cast        cast
	leaves      bool // workers of its own: no other row is measured beside them
	measure     func(context.Context, *round) ([]sample, error)
}

// rigs are those without TLS (false) and with it (true); nil where no row needs it.
type rigs map[bool]*rig

// round is one turn of all rows.
type round struct {
	rigs  rigs
	scale float64
	site  *site // where this row is measured
	found map[key]sample
}

// some is an amount, to scale, and at least the other one.
func (r *round) some(n, least int) int { return max(least, int(r.scale*float64(n))) }

// long is a time, to scale, and no shorter than shows anything.
func (r *round) long(d time.Duration) time.Duration {
	return max(300*time.Millisecond, time.Duration(r.scale*float64(d)))
}

// of is what another row found in this round.
func (r *round) of(row, what string) sample { return r.found[key{row, what}] }

// chosen are the rows of these names and what they need; without names all are that can be
// measured: a running installation is not both with TLS and without.
func chosen(names []string, installation bool) ([]row, error) {
	all := rows()
	wanted := make(map[string]bool)
	var want func(name string) error
	want = func(name string) error {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			var known []string
			for _, r := range all {
				known = append(known, r.name)
			}
			return fmt.Errorf("there is no row %q; there are: %s", name, strings.Join(known, ", "))
		}
		if installation && all[i].cast.closed {
			return fmt.Errorf("row %q compares servers of the bench's own: leave out --zk", name)
		}
		wanted[name] = true
		for _, n := range all[i].needs {
			if err := want(n); err != nil {
				return err
			}
		}
		return nil
	}
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(r row) bool { return installation && r.cast.closed }), nil
	}
	for _, n := range names {
		if err := want(n); err != nil {
			return nil, err
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
	Lines      []line    `json:"lines"`
}

func bench(ctx context.Context, o options, out, progress io.Writer) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	timeout := o.timeout
	if timeout == 0 {
		timeout = ownTimeout
		if o.zk != nil {
			timeout = session.DefaultTimeout
		}
	}
	rs := make(rigs)
	defer func() {
		if ctx.Err() != nil {
			err = ctx.Err() // whatever did not work then
		}
		for _, r := range rs {
			err = errors.Join(err, r.close())
		}
	}()
	for _, row := range o.rows {
		if tls := row.cast.closed; rs[tls] == nil {
			r, err := newRig(filepath.Dir(self), o.level, o.zk, tls, timeout)
			if err != nil {
				return err
			}
			rs[tls] = r
		}
	}
	began := time.Now()
	what := "a server of its own, fsync on"
	if o.zk != nil {
		what = o.zk.String()
		fmt.Fprintf(progress, "putting %s under load, below %s\n", strings.Join(rs[false].base.Servers, ","), rs[false].base.Chroot)
	}
	res := outcome{ZooKeeper: what, Processors: runtime.NumCPU(), Rounds: o.rounds, Scale: o.scale, Load: []float64{loadAverage()}}
	say := func(what string) { fmt.Fprintf(progress, "%5.0f s  %s\n", time.Since(began).Seconds(), what) }
	say("warming up")
	if err := warmUp(ctx, rs, o.scale); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	var g gathered
	var failed error // what could be measured is printed all the same
	for n := 0; n < o.rounds && failed == nil; n++ {
		rd := &round{rigs: rs, scale: o.scale, found: make(map[key]sample)}
		failed = rd.turn(ctx, o.rows, func(row string) {
			say(fmt.Sprintf("round %d of %d: %s", n+1, o.rounds, row))
		}, &g)
		res.Load = append(res.Load, loadAverage())
	}
	if ctx.Err() != nil || len(g.keys) == 0 {
		return failed
	}
	res.Seconds, res.Lines = time.Since(began).Seconds(), g.lines()
	if res.notMeant() != "" {
		for i := range res.Lines {
			res.Lines[i].Reached = nil
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return errors.Join(failed, e.Encode(res))
	}
	_, err = fmt.Fprint(out, table(res.Lines), "\n", res.footing())
	return errors.Join(failed, err)
}

// warmUp has the floor's calls made for a while, and then the service do tasks: a
// server that was just started is several times slower, and its compiler takes the
// processors from all others, until what it does often is compiled.
func warmUp(ctx context.Context, rs rigs, scale float64) (err error) {
	rd := &round{rigs: rs, scale: scale, found: make(map[key]sample)}
	warm := []row{
		{name: "the bare calls", cast: nobody, measure: floorRate},
		{name: "the service", cast: usual, measure: throughput},
		{name: "the service", cast: usual, measure: callers},
		{name: "the service", cast: usual, measure: throughput},
		{name: "the service", cast: usual, measure: idle},
	}
	if rs[true] != nil {
		for range 3 {
			warm = append(warm, row{name: "the service under TLS", cast: secured, measure: underTLS})
		}
	}
	return rd.turn(ctx, warm, func(string) {}, new(gathered))
}

// footing is what the figures stand on.
func (o outcome) footing() string {
	var loads []string
	for _, l := range o.Load {
		loads = append(loads, fmt.Sprintf("%.1f", l))
	}
	rounds := fmt.Sprintf("%d rounds", o.Rounds)
	if o.Rounds == 1 {
		rounds = "1 round"
	}
	return fmt.Sprintf("%s; %s in %.0f s%s\n%d processors, load averages %s\n",
		o.ZooKeeper, rounds, o.Seconds, o.notMeant(), o.Processors, strings.Join(loads, " "))
}

// notMeant says why the targets are not meant for this run; "" if they are.
func (o outcome) notMeant() string {
	switch {
	case o.Scale != 1:
		return fmt.Sprintf("; scale %g, for which the targets are not meant", o.Scale)
	case o.Load[0] > busyBefore*float64(o.Processors):
		return "; other programs used the processors before, so the targets are not meant"
	}
	return ""
}

// busyBefore is the load average for each processor from which on a machine counts as busy.
const busyBefore = 1

// turn measures the rows, neighbours with the same cast at one site.
func (rd *round) turn(ctx context.Context, rows []row, say func(string), g *gathered) (err error) {
	var there cast
	leave := func(well bool) error {
		if rd.site == nil {
			return nil
		}
		s := rd.site
		rd.site = nil
		return s.close(well)
	}
	defer func() { err = errors.Join(err, leave(err == nil)) }()
	for _, r := range rows {
		say(r.name)
		if rd.site == nil || r.cast != there {
			if err := leave(true); err != nil {
				return err
			}
			if rd.site, err = rd.rigs[r.cast.closed].open(ctx, r.cast); err != nil {
				return fmt.Errorf("%s cannot be measured: %w", r.name, err)
			}
			there = r.cast
			if there.waiting {
				if err := rd.site.fill(ctx, rd.some(100_000, 1000)); err != nil {
					return fmt.Errorf("%s cannot be measured: %w", r.name, err)
				}
			}
		}
		samples, err := r.measure(ctx, rd)
		if err == nil {
			err = rd.site.alive()
		}
		if err != nil {
			return fmt.Errorf("%s cannot be measured: %w", r.name, err)
		}
		for _, s := range samples {
			rd.found[key{r.name, s.what}] = s
		}
		g.add(r.name, samples...)
		if r.leaves {
			if err := leave(true); err != nil {
				return err
			}
		}
	}
	return nil
}

func loadAverage() (one float64) {
	text, _ := os.ReadFile("/proc/loadavg") // 0 where there is none
	fmt.Sscan(string(text), &one)
	return one
}
