package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/master/sched"
)

// parsed returns a part of the page as its readers get it.
func parsed[T any](t *testing.T, h *hub, name string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(unseen(h, map[string]int{})[name]), &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestRecordsOfThePageAreCutAndPrintable(t *testing.T) {
	h := newHub()
	p := &Page{hub: h}
	var out bytes.Buffer
	log := p.Records(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("who", "<b>me</b>")
	log.Debug("not shown")
	log.Info("assigned", "task", "t")
	log.Info("connected", "session", "0x1000012345", "server", "h:1")
	log.Warn("hostile \x1b[31m\nname", "znode", "/tasks/\u202e<script>alert(1)</script>", "err", errors.New(strings.Repeat("x", 9999)))
	got := parsed[[]record](t, h, "records")
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("%d lines are logged:\n%s", n, &out)
	}
	if !strings.Contains(out.String(), "session=0x1000012345") {
		t.Errorf("the log has no session: %s", &out)
	}
	if len(got) != 2 {
		t.Fatalf("%d are shown: %v", len(got), got)
	}
	if want := map[string]string{"who": "<b>me</b>", "server": "h:1"}; !reflect.DeepEqual(got[0].Attrs, want) {
		t.Errorf("%v, want %v: whoever knows a session's id can take the session over", got[0].Attrs, want)
	}
	hostile := got[1]
	if hostile.Level != "warn" || hostile.Text != `hostile \x1b[31m\nname` || hostile.Attrs["znode"] != `/tasks/\u202e<script>alert(1)</script>` {
		t.Errorf("%+v", hostile)
	}
	if n := len(hostile.Attrs["err"]); n < longest || n > longest+30 {
		t.Errorf("%d bytes of a long text are shown", n)
	}
	for range mostRecords {
		log.Info("x")
	}
	if got := parsed[[]record](t, h, "records"); len(got) != mostRecords || got[0].Text != "x" {
		t.Errorf("%d are kept, the first is %v", len(got), got[0])
	}
}

func TestRateBetweenTwoReads(t *testing.T) {
	a := sched.Totals{Assigned: 10, Waited: 10 * time.Second, Released: 5, Held: time.Second}
	b := sched.Totals{Assigned: 14, Waited: 12 * time.Second, Released: 15, Held: 6 * time.Second}
	for name, c := range map[string]struct {
		a, b sched.Totals
		took time.Duration
		want rate
	}{
		"has_the_means_of_what_came_in_between":   {a, b, time.Second, rate{Time: noon.Unix(), Finished: 10, Waited: new(0.5), Held: new(0.5)}},
		"is_no_peak_when_the_second_read_is_late": {a, b, 2 * time.Second, rate{Time: noon.Unix(), Finished: 5, Waited: new(0.5), Held: new(0.5)}},
		"is_zero_when_nothing_happened":           {b, b, time.Second, rate{Time: noon.Unix()}},
		"has_no_wait_when_nothing_was_assigned":   {a, sched.Totals{Assigned: 10, Waited: 10 * time.Second, Released: 15, Held: 6 * time.Second}, time.Second, rate{Time: noon.Unix(), Finished: 10, Held: new(0.5)}},
		"is_not_negative_for_a_new_leader":        {sched.Totals{}, a, time.Second, rate{Time: noon.Unix(), Finished: 5, Waited: new(1.0), Held: new(0.2)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := encode(between(c.a, c.b, noon, c.took)), encode(c.want); !bytes.Equal(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func TestElectionOnThePage(t *testing.T) {
	after := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	is := func(who string, leads bool) candidate {
		return candidate{Znode: "/master/" + who, Who: who, Leads: leads}
	}
	p := &Page{hub: newHub()}
	for _, step := range []struct {
		name    string
		now     time.Time
		of      []candidate
		err     string
		hears   func()     // of the leader's page, before
		away    *time.Time // since when nobody leads
		silent  *time.Time
		before  string
		unheard float64
		gap     float64
	}{
		{name: "nobody has led yet", now: after(-900), of: nil, away: new(after(-900))},
		{name: "before the first leader nobody vanished", now: after(0), of: []candidate{is("a", true)}},
		{name: "nobody is there", now: after(1000), of: nil, away: new(after(1000)), before: "a"},
		{name: "somebody is, but has not begun", now: after(1500), of: []candidate{is("b", false)}, away: new(after(1000)), before: "a"},
		{name: "it has begun", now: after(2500), of: []candidate{is("b", true)}, before: "a", gap: 1.5},
		{name: "it goes on", now: after(9000), of: []candidate{is("b", true)}, before: "a", gap: 1.5},
		{name: "nobody knows", now: after(9500), err: "away", before: "a", gap: 1.5},
		{name: "it leads still", now: after(9900), of: []candidate{is("b", true)}, before: "a", gap: 1.5},
		{name: "the next one took over between two looks", now: after(10000), of: []candidate{is("c", true)}, before: "b"},

		{name: "the leader is heard", hears: func() { p.answers(is("c", true), true, after(11000)) },
			now: after(12000), of: []candidate{is("c", true), is("d", false)}, before: "b"},
		{name: "it ends its session while it is heard", now: after(12500), of: []candidate{is("d", false)}, away: new(after(12500)), before: "c"},
		{name: "and that is all that is known", now: after(12600), of: []candidate{is("d", true)}, before: "c", gap: 0.1},

		{name: "the leader's connection ends", hears: func() {
			p.answers(is("d", true), true, after(20000))
			p.answers(is("d", true), false, after(20050))
		}, now: after(20100), of: []candidate{is("d", true), is("e", false)}, silent: new(after(20000)), before: "c", gap: 0.1},
		{name: "it does not answer either", hears: func() { p.answers(is("d", true), false, after(21000)) },
			now: after(21000), of: []candidate{is("d", true), is("e", false)}, silent: new(after(20000)), before: "c", gap: 0.1},
		{name: "its znode vanishes", now: after(24000), of: []candidate{is("e", false)}, away: new(after(24000)), before: "d", unheard: 4},
		{name: "the next one begins", now: after(24100), of: []candidate{is("e", true)}, before: "d", unheard: 4, gap: 0.1},

		{name: "the leader stands still, and its session ends before its page is taken for silent", hears: func() { p.answers(is("e", true), true, after(30000)) },
			now: after(32500), of: []candidate{is("f", true)}, before: "e", unheard: 2.5},

		{name: "the leader never answered", hears: func() { p.answers(is("f", true), false, after(40000)) },
			now: after(41000), of: []candidate{is("f", true)}, silent: new(after(40000)), before: "e", unheard: 2.5},
		{name: "so it may have led until its znode vanished", now: after(44000), of: []candidate{is("g", true)}, before: "f"},

		{name: "nobody listens any more", hears: func() { p.answers(is("g", true), true, after(50000)); p.listens(hearing{}) },
			now: after(59000), of: []candidate{is("h", true)}, before: "g"},
		{name: "a candidate made by hand comes first, and the leader has not vanished", now: after(60000),
			of: []candidate{is("by hand", false), is("h", true)}, away: new(after(60000))},
		{name: "it goes", now: after(61000), of: []candidate{is("h", true)}},
	} {
		if step.hears != nil {
			step.hears()
		}
		if step.err != "" {
			p.unknown(errors.New(step.err))
		} else {
			p.elected(step.of, 0, step.now)
		}
		got := parsed[ballot](t, p.hub, "election")
		if step.err == "" && len(got.Candidates) != len(step.of) || step.err != "" && len(got.Candidates) == 0 || got.Error != step.err {
			t.Errorf("%s: %+v", step.name, got)
		}
		for what, times := range map[string][2]*time.Time{"nobody leads": {got.Leaderless, step.away}, "the leader is silent": {got.Silent, step.silent}} {
			if got, want := times[0], times[1]; (got == nil) != (want == nil) || want != nil && !got.Equal(*want) {
				t.Errorf("%s: %s since %v, want %v", step.name, what, got, want)
			}
		}
		if got.Before != step.before || got.Unheard != step.unheard || got.Gap != step.gap {
			t.Errorf("%s: %q led, not heard for %v, gap %v; want %q, %v, %v", step.name, got.Before, got.Unheard, got.Gap, step.before, step.unheard, step.gap)
		}
	}
}

func TestViewOnThePage(t *testing.T) {
	p := &Page{hub: newHub()}
	log := p.Records(slog.New(slog.DiscardHandler))
	t.Run("a_lost_worker_is_shown_with_its_tasks_for_half_a_minute", func(t *testing.T) {
		began := time.Now()
		log.Warn("worker gone, its tasks are free again", "worker", "gpu.h:7-0c5b0c5b-0000-4000-8000-000000000000", "tasks", "t1 t2")
		log.Info("worker left or lost its session, with no task", "worker", "h:8-0c5b0c5b-0000-4000-8000-000000000000")
		got := p.show(sched.View{}, began.Add(lostFor-time.Second)).Lost
		if len(got) != 1 || got[0].Host != "h" || got[0].PID != 7 || got[0].Tasks != "t1 t2" {
			t.Errorf("%+v", got)
		}
		if got := p.show(sched.View{}, time.Now().Add(lostFor+time.Millisecond)).Lost; len(got) != 0 {
			t.Errorf("after half a minute: %+v", got)
		}
	})
	t.Run("names_are_printable_and_lists_are_never_null", func(t *testing.T) {
		v := p.show(sched.View{
			Queues:  []sched.Count{{Queue: "\x1b]0;x\a", Pending: 3, Busy: 1, Free: 2, Oldest: noon.Add(-90 * time.Second)}},
			Workers: []sched.Holder{{ID: "b\u202e", Tasks: []string{"\x1b"}}, {ID: "a"}},
		}, noon)
		q := v.Queues[0]
		if q.Name != `\x1b]0;x\x07` || q.Oldest != 90 || q.Workers != 3 || v.Total != 3 || v.Busy != 1 {
			t.Errorf("%+v", v)
		}
		if v.Workers[1].ID != `b\u202e` || v.Workers[1].Tasks[0] != `\x1b` {
			t.Errorf("%+v", v.Workers)
		}
		if text := string(encode(p.show(sched.View{}, noon))); strings.Contains(text, "null") {
			t.Error(text)
		}
	})
	t.Run("a_draining_worker_without_tasks_is_drained", func(t *testing.T) {
		v := p.show(sched.View{
			Queues:  []sched.Count{{Free: 2, Busy: 1, Draining: 2}},
			Workers: []sched.Holder{{ID: "a", Draining: true}, {ID: "b", Draining: true, Tasks: []string{"t"}}, {ID: "c"}},
		}, noon)
		if v.Total != 3 || v.Busy != 1 || v.Draining != 2 || v.Drained != 1 {
			t.Errorf("%+v", v)
		}
	})
	t.Run("the_first_of_many_workers_are_shown_and_all_are_counted", func(t *testing.T) {
		of := sched.View{Queues: []sched.Count{{Free: 2 * mostWorkers}}, Workers: make([]sched.Holder, 2*mostWorkers)}
		if v := p.show(of, noon); len(v.Workers) != mostWorkers || v.Total != 2*mostWorkers {
			t.Errorf("%d of %d", len(v.Workers), v.Total)
		}
	})
	t.Run("the_queues_with_most_to_be_done_are_shown_by_name", func(t *testing.T) {
		var of sched.View
		for i := range 3 * mostQueues {
			of.Queues = append(of.Queues, sched.Count{Queue: fmt.Sprintf("q%03d", i), Pending: i / mostQueues, Done: mostQueues - i})
		}
		v := p.show(of, noon)
		if len(v.Queues) != mostQueues || v.Others != 2*mostQueues || v.Queues[0].Name != "q200" || v.Queues[mostQueues-1].Name != "q299" {
			t.Errorf("%d from %s to %s, and %d others", len(v.Queues), v.Queues[0].Name, v.Queues[len(v.Queues)-1].Name, v.Others)
		}
	})
}

func TestRatesComeOnceAndInTheirOrder(t *testing.T) {
	p := &Page{hub: newHub()}
	p.rate(rate{Time: 1}, rate{Time: 2})
	p.rate(rate{Time: 1}, rate{Time: 2}, rate{Time: 4}) // from another leader
	p.rate(rate{Time: 3})
	news, _ := p.hub.since(make(map[string]int))
	var got []rate
	if err := json.Unmarshal(news[0].json, &got); err != nil || len(got) != 3 || got[0].Time != 1 || got[1].Time != 2 || got[2].Time != 4 {
		t.Errorf("%v %+v", err, got)
	}
}
