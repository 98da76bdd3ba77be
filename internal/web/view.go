package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

const (
	sampleEvery = time.Second
	samples     = 300 // kept: five minutes
	mostWorkers = 500 // shown
	mostQueues  = 100 // with a line of their own
	lostFor     = 30 * time.Second
)

// view is the part "view": what the leader knows.
type view struct {
	Leads    bool       `json:"leads"`          // this master leads, and has the rest
	From     string     `json:"from,omitempty"` // another master leads, and its page has the rest
	Note     string     `json:"note,omitempty"` // why there is no newer data
	Queues   []queue    `json:"queues"`
	Others   int        `json:"others,omitempty"` // further queues
	Total    int        `json:"workers"`
	Busy     int        `json:"busy"`
	Draining int        `json:"draining"` // workers that get no more tasks
	Drained  int        `json:"drained"`  // of Draining, those without tasks
	Workers  []worker   `json:"list"`     // some of them, if there are many
	Lost     []lost     `json:"lost"`
	Now      *time.Time `json:"now,omitempty"`         // the time of these data, by the leader's clock; nil: no data yet
	Age      float64    `json:"age_seconds,omitempty"` // their age; 0: they are new
}

type queue struct {
	Name      string  `json:"name"`
	Pending   int     `json:"pending"`
	Running   int     `json:"running"`
	Done      int     `json:"done"`
	Failed    int     `json:"failed"`
	Malformed int     `json:"malformed"`
	Oldest    float64 `json:"oldest_seconds"` // 0: none is pending
	Workers   int     `json:"workers"`
}

type worker struct {
	ID       string    `json:"id"`
	Queue    string    `json:"queue"`
	Host     string    `json:"host"`
	PID      int       `json:"pid"`
	Tasks    []string  `json:"tasks"`
	More     int       `json:"more"`
	Since    time.Time `json:"since,omitzero"` // zero: since the worker came, or since the leader began
	Draining bool      `json:"draining"`
	Version  string    `json:"version,omitempty"` // of its program; "": unknown yet
}

// lost is a worker that is gone, with its tasks.
type lost struct {
	ID    string    `json:"id"`
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Tasks string    `json:"tasks"`
	At    time.Time `json:"at"`
}

// rate is a line of the part "rates": the last second.
type rate struct {
	Time     int64    `json:"time"`     // Unix, in seconds
	Finished float64  `json:"finished"` // tasks a second that left their workers' lists
	Waited   *float64 `json:"waited"`   // mean time until assignment, in seconds; nil: none was assigned
	Held     *float64 `json:"held"`     // mean time from assignment to the end, in seconds; nil: none ended
}

// sample asks the leader once a second until ctx ends: for all if somebody looks, else only for the
// totals. The first reader does not wait for that second.
func (p *Page) sample(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	var before sched.Totals
	var at time.Time // zero: no totals before
	first := p.hub.first()
	for {
		select {
		case <-ctx.Done():
			return
		case <-first:
			first = p.hub.first()
			p.look(ctx, time.Now())
			wait(ctx, pause) // however often readers come
		case now := <-ticker.C:
			totals, leads := p.look(ctx, now)
			if leads && !at.IsZero() {
				p.rate(between(before, totals, now, now.Sub(at)))
			}
			before, at = totals, now
			if !leads {
				at = time.Time{}
			}
		}
	}
}

// look shows what the leader knows, if this master leads and somebody looks.
func (p *Page) look(ctx context.Context, now time.Time) (t sched.Totals, leads bool) {
	ctx, cancel := context.WithTimeout(ctx, sampleEvery)
	defer cancel()
	if !p.leader.Leads() {
		return t, false // see relay
	}
	if !p.hub.watched() {
		t, err := p.leader.Totals(ctx)
		return t, err == nil
	}
	v, err := p.leader.View(ctx)
	if err != nil {
		p.misses("The leader is busy, or waits for ZooKeeper.")
		return t, false
	}
	p.knows(p.show(v, now))
	return v.Totals, true
}

// whole returns the view without nil lists: a view from another page may have them.
func (v view) whole() view {
	v.Queues, v.Workers, v.Lost = append([]queue{}, v.Queues...), append([]worker{}, v.Workers...), append([]lost{}, v.Lost...)
	for i, w := range v.Workers {
		v.Workers[i].Tasks = append([]string{}, w.Tasks...)
	}
	return v
}

// knows shows new data.
func (p *Page) knows(v view) {
	p.mu.Lock()
	p.view, p.viewed = v, time.Now()
	p.mu.Unlock()
	p.hub.renew("view", v)
}

// misses shows why there is no newer data, with the last data.
func (p *Page) misses(why string) {
	p.mu.Lock()
	v, at := p.view, p.viewed
	p.mu.Unlock()
	v.Leads, v.From, v.Note = false, "", why
	if v.Now != nil {
		v.Age = time.Since(at).Round(time.Second).Seconds()
	}
	p.hub.renew("view", v.whole())
}

// rate adds newer rates to the shown ones, whichever master led then. Older ones are known
// already.
func (p *Page) rate(all ...rate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range all {
		if r.Time > p.rated {
			p.rated = r.Time
			p.hub.add("rates", samples, r)
		}
	}
}

func between(a, b sched.Totals, now time.Time, d time.Duration) rate {
	mean := func(sum time.Duration, n int) *float64 {
		if n == 0 {
			return nil
		}
		return new(sum.Seconds() / float64(n))
	}
	return rate{
		Time: now.Unix(), Finished: float64(b.Released-a.Released) / d.Seconds(),
		Waited: mean(b.Waited-a.Waited, b.Assigned-a.Assigned), Held: mean(b.Held-a.Held, b.Released-a.Released),
	}
}

// show makes the part "view" of what the leader knows.
func (p *Page) show(of sched.View, now time.Time) view {
	v := view{Leads: true, Queues: []queue{}, Workers: []worker{}, Lost: p.missed(now), Now: &now}
	for _, c := range of.Queues {
		v.Queues = append(v.Queues, lineOf(c, now))
		v.Total, v.Busy, v.Draining = v.Total+c.Free+c.Busy, v.Busy+c.Busy, v.Draining+c.Draining
	}
	v.Queues, v.Others = foremost(v.Queues)
	p.mu.Lock()
	versions := p.versions
	p.mu.Unlock()
	for _, w := range of.Workers {
		queue, host, pid := task.ParseWorkerName(w.ID)
		one := worker{ID: shown(w.ID), Queue: shown(queue), Host: shown(host), PID: pid, Tasks: []string{}, More: w.More, Since: w.Since, Draining: w.Draining, Version: versions[process{queue, host, pid}]}
		for _, id := range w.Tasks {
			one.Tasks = append(one.Tasks, shown(id))
		}
		if w.Draining && len(w.Tasks) == 0 {
			v.Drained++
		}
		v.Workers = append(v.Workers, one)
	}
	slices.SortFunc(v.Workers, func(a, b worker) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), strings.Compare(a.ID, b.ID))
	})
	v.Workers = v.Workers[:min(len(v.Workers), mostWorkers)]
	return v
}

func lineOf(c sched.Count, now time.Time) queue {
	q := queue{
		Name: shown(c.Queue), Pending: c.Pending, Running: c.Running, Done: c.Done, Failed: c.Failed, Malformed: c.Malformed,
		Workers: c.Free + c.Busy,
	}
	if !c.Oldest.IsZero() {
		q.Oldest = max(0, now.Sub(c.Oldest).Truncate(time.Second).Seconds())
	}
	return q
}

// foremost returns the queues to show, and the number of the others. Of many queues it shows those
// with most tasks, sorted by name.
func foremost(all []queue) (some []queue, others int) {
	if len(all) <= mostQueues {
		return all, 0
	}
	slices.SortStableFunc(all, func(a, b queue) int {
		return cmp.Or(cmp.Compare(b.Pending+b.Running, a.Pending+a.Running), cmp.Compare(b.Workers, a.Workers))
	})
	some = all[:mostQueues]
	slices.SortFunc(some, func(a, b queue) int { return strings.Compare(a.Name, b.Name) })
	return some, len(all) - mostQueues
}

// missed lists the workers that went within lostFor.
func (p *Page) missed(now time.Time) []lost {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = slices.DeleteFunc(p.lost, func(l lost) bool { return now.Sub(l.At) > lostFor })
	return append([]lost{}, p.lost...)
}

// keepLost keeps the log line of a worker that is gone with its tasks.
func (p *Page) keepLost(r record) {
	if !strings.HasPrefix(r.Text, "worker gone") {
		return
	}
	_, host, pid := task.ParseWorkerName(r.Attrs["worker"])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, lost{ID: r.Attrs["worker"], Host: host, PID: pid, Tasks: r.Attrs["tasks"], At: r.Time})
	p.lost = p.lost[max(0, len(p.lost)-mostWorkers):]
}
