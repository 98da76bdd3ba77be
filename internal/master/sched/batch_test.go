package sched

import (
	"slices"
	"testing"
	"time"
)

func TestNextBatch(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, given int
		took        time.Duration
		want        int
	}{
		{"a full batch done quickly doubles", 4, 4, shortBatch, 8},
		{"a batch that was not full keeps its size", 4, 3, time.Millisecond, 4},
		{"a batch never exceeds maxBatch", maxBatch, maxBatch, time.Millisecond, maxBatch},
		{"a batch between short and long keeps its size", 4, 4, longBatch, 4},
		{"a long batch shrinks to what would have been short", 8, 8, 600 * time.Millisecond, 2},
		{"a batch has at least one task", 8, 8, time.Hour, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := nextBatch(c.size, c.given, c.took); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	ids := newIDs(40)
	// finish has w1 finish its list.
	finish := func(r *run, took time.Duration) {
		r.carryOut()
		r.after(took)
		r.given(WorkerRead{ID: "w1", Version: r.last[0].Version + 2})
	}
	sizes := func(r *run) (sizes []int) {
		for _, m := range r.decide().Moves {
			sizes = append(sizes, len(m.Tasks))
		}
		return sizes
	}
	t.Run("grow while they are short, up to the share of each worker", func(t *testing.T) {
		r := lead(t, nil, "w1", "w2")
		held := WorkerRead{ID: "w2", List: ids[39:], Version: 1}
		r.given(held)
		r.list(ids...)
		r.given(pending(ids[39], 0, 0), held)
		var got []int
		for range 5 {
			got = append(got, sizes(r)...)
			finish(r, time.Millisecond)
		}
		if !slices.Equal(got, []int{1, 2, 4, 8, 12}) { // the last is half of 24
			t.Errorf("batches of %v", got)
		}
	})
	t.Run("begin with the oldest tasks at each worker", func(t *testing.T) {
		r := lead(t, ids[:12], "w1", "w2")
		for range 2 {
			r.decide()
			r.carryOut()
			for _, w := range []string{"w1", "w2"} {
				r.given(WorkerRead{ID: w, Version: r.last[0].Version + 2})
			}
		}
		// Two and four are gone; each worker may have its share of six.
		r.decides("assign "+ids[6]+" "+ids[8]+" "+ids[10]+" w1", "assign "+ids[7]+" "+ids[9]+" "+ids[11]+" w2")
	})
	// batched returns a leader whose w1 has four tasks, and w2 none; there are more.
	batched := func(t *testing.T, more ...string) *run {
		r := lead(t, nil, "w1", "w2")
		held := WorkerRead{ID: "w1", List: ids[:4], Version: 1}
		r.given(held)
		r.list(append(ids[:4:4], more...)...)
		r.given(pending(ids[0], 0, 0), held)
		return r
	}
	t.Run("are asked back from a worker that stands still while another is free", func(t *testing.T) {
		r := batched(t)
		d := r.decide()
		if len(d.Moves) > 0 || !d.Wake.Equal(r.now.Add(reclaimIdle)) {
			t.Fatalf("decided %+v", d)
		}
		r.after(reclaimIdle)
		r.decides("reclaim " + ids[3] + " w1") // for one worker, one task
		if m := r.last[0]; !slices.Equal(m.List, ids[:4]) || !slices.Equal(m.Back, ids[3:4]) {
			t.Errorf("move %+v", m)
		}
		r.carryOut()
		r.after(time.Hour)
		r.decides() // it has not answered
		r.given(WorkerRead{ID: "w1", List: ids[:3], Version: 3})
		r.reads(ids[3])
		r.given(pending(ids[3], 0, 0))
		r.decides("assign " + ids[3] + " w2")
	})
	t.Run("are all asked back, but the first, from a worker that stands still for long", func(t *testing.T) {
		r := batched(t, ids[4])
		r.decides("assign " + ids[4] + " w2") // now none is free
		r.carryOut()
		r.after(reclaimIdle)
		r.decides()
		r.after(reclaimStuck - reclaimIdle)
		r.decides("reclaim " + ids[1] + " " + ids[2] + " " + ids[3] + " w1")
	})
	t.Run("begin anew at one after a reclaim", func(t *testing.T) {
		r := lead(t, nil, "w1")
		r.list(ids...)
		for range 3 {
			r.decide()
			finish(r, time.Millisecond)
		}
		r.decide()
		r.carryOut()
		r.after(reclaimStuck)
		if r.decide(); len(r.last) != 1 || r.last[0].Kind != Reclaim {
			t.Fatalf("decided %+v", r.last)
		}
		first := r.last[0].List[:1]
		r.carryOut()
		r.given(WorkerRead{ID: "w1", List: first, Version: 9}, WorkerRead{ID: "w1", Version: 10})
		if got := sizes(r); !slices.Equal(got, []int{1}) {
			t.Errorf("batches of %v", got)
		}
	})
	t.Run("are reclaimed further when the task that was returned is finished already", func(t *testing.T) {
		r := batched(t)
		r.after(reclaimIdle)
		r.decides("reclaim " + ids[3] + " w1")
		r.carryOut()
		r.given(WorkerRead{ID: "w1", List: ids[:3], Version: 3}, done(ids[3], 1)) // done before it was asked
		r.after(reclaimIdle)
		r.decides("reclaim " + ids[2] + " w1")
	})
}
