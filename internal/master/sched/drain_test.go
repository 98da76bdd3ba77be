package sched

import (
	"slices"
	"testing"
)

const (
	onHost1  = "host1:7-0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a01"
	alsoOn1  = "host1:8-0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a02"
	gpuOn1   = "gpu.host1:9-0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a03"
	onHost10 = "host10:7-0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a04"
)

// drains is a listing of drains that are open.
func drains(names ...string) DrainsListed {
	e := DrainsListed{Names: names}
	for _, name := range names {
		e.Open = append(e.Open, Drain{Name: name})
	}
	return e
}

func TestDrain(t *testing.T) {
	all := []string{onHost1, alsoOn1, gpuOn1, onHost10, "me"}
	ids := newIDs(9)

	for _, test := range []struct {
		drain string
		takes []string // those that still take tasks of the default queue
	}{
		{"host1", []string{onHost10, "me"}},
		{"host1:7", []string{alsoOn1, onHost10, "me"}},
		{onHost1, []string{alsoOn1, onHost10, "me"}},
		{"me", []string{onHost1, alsoOn1, onHost10}},
		{"host", []string{onHost1, alsoOn1, onHost10, "me"}},
		{"nobody", []string{onHost1, alsoOn1, onHost10, "me"}},
	} {
		t.Run("of "+test.drain+" keeps new tasks from its own workers only", func(t *testing.T) {
			r := lead(t, ids, all...)
			r.given(DrainsListed{Names: []string{test.drain}})
			var got []string
			for _, m := range r.decide().Moves {
				got = append(got, m.Worker)
			}
			slices.Sort(got)
			slices.Sort(test.takes)
			if !slices.Equal(got, test.takes) {
				t.Errorf("assigned to %q, want %q", got, test.takes)
			}
		})
	}
	t.Run("is reported as drained from when its last worker is free until that is written", func(t *testing.T) {
		r := lead(t, ids[:2], onHost1, alsoOn1)
		r.decides("assign "+ids[0]+" "+onHost1, "assign "+ids[1]+" "+alsoOn1)
		reports := func(want ...string) {
			t.Helper()
			var got []string
			for _, d := range r.decide().Drained {
				got = append(got, d.Name)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("reported %q, want %q", got, want)
			}
		}
		assigned := r.last
		r.given(drains("host1", "host2"))
		reports("host2") // it has no worker
		r.given(DrainWritten{"host2"})
		reports()
		for _, m := range assigned {
			r.given(Carried{m, 1})
		}
		r.given(WorkerRead{ID: onHost1, Version: 2})
		reports()
		r.given(WorkerRead{ID: alsoOn1, Version: 2})
		reports("host1")
		reports("host1") // until it was written
		r.given(DrainWritten{"host1"})
		reports()
	})
	t.Run("is not reported as drained while the outcome of an assignment is unknown", func(t *testing.T) {
		r := lead(t, ids[:1], onHost1)
		r.decides("assign " + ids[0] + " " + onHost1)
		r.given(drains("host1"), Unknown{r.last[0]})
		if d := r.decide(); len(d.Drained) > 0 || !slices.Equal(d.ReadWorkers, []string{onHost1}) {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("is reported as drained for a host whose other znode is no worker, and not for one with an unreadable worker", func(t *testing.T) {
		r := lead(t, nil, onHost1, alsoOn1)
		r.given(WorkerUnusable{ID: onHost1, Malformed: true}, drains("host1"))
		if d := r.decide(); len(d.Drained) != 1 {
			t.Errorf("decided %+v", d)
		}
		r.given(WorkersListed{[]string{onHost1, alsoOn1, gpuOn1}}, WorkerUnusable{ID: gpuOn1})
		if d := r.decide(); len(d.Drained) > 0 {
			t.Errorf("decided %+v", d)
		}
	})
	t.Run("that is deleted gives the worker tasks again", func(t *testing.T) {
		r := lead(t, ids[:1], onHost1)
		r.given(drains("host1"))
		r.decides()
		r.given(DrainsListed{})
		r.decides("assign " + ids[0] + " " + onHost1)
	})
	t.Run("holds for a worker that comes later", func(t *testing.T) {
		r := lead(t, ids[:1])
		r.given(drains("host1"), WorkersListed{[]string{onHost1}}, WorkerRead{ID: onHost1})
		r.decides()
	})
	t.Run("is listed before anything is decided", func(t *testing.T) {
		r := &run{t: t, s: New(3)}
		r.list(ids[0])
		r.given(WorkersListed{[]string{onHost1}}, WorkerRead{ID: onHost1})
		r.decides()
		r.given(DrainsListed{})
		r.decides("assign " + ids[0] + " " + onHost1)
	})
}
