package sched

import (
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

// pops takes everything out of an order.
func pops(o *Order) (ids []string) {
	for id, ok := o.Pop(); ok; id, ok = o.Pop() {
		ids = append(ids, id)
	}
	return ids
}

func TestOrder(t *testing.T) {
	a, b := newIDs(6), newIDs(6) // of two submitters; a's are older
	t.Run("one submitter's tasks go by age", func(t *testing.T) {
		o := NewOrder()
		for _, id := range slices.Backward(a) {
			o.Push(id)
		}
		if got := pops(o); !slices.Equal(got, a) {
			t.Errorf("got %q, want %q", got, a)
		}
	})
	t.Run("submitters take turns", func(t *testing.T) {
		o := NewOrder()
		for i := range a {
			o.Push(a[i])
			o.Push(b[i])
		}
		for i := 0; i < 2*len(a); i += 2 {
			x, _ := o.Pop()
			y, _ := o.Pop()
			if pair := []string{x, y}; !slices.Contains(pair, a[i/2]) || !slices.Contains(pair, b[i/2]) {
				t.Fatalf("turn %d: %q", i/2, pair)
			}
		}
	})
	t.Run("who comes later has every second turn from then on, and no more", func(t *testing.T) {
		o := NewOrder()
		many := newIDs(1000)
		for _, id := range many {
			o.Push(id)
		}
		for range 500 {
			o.Pop()
		}
		for _, id := range b {
			o.Push(id)
		}
		seen := 0
		for range 2*len(b) + 1 {
			if id, _ := o.Pop(); slices.Contains(b, id) {
				seen++
			}
		}
		if seen != len(b) {
			t.Errorf("%d of its %d tasks in %d turns", seen, len(b), 2*len(b)+1)
		}
	})
	t.Run("a back-dated id gains nothing over other submitters", func(t *testing.T) {
		o := NewOrder()
		old := []string{"00000000-0000-7000-8000-00000000000a", "00000000-0001-7000-8000-00000000000a", "00000000-0002-7000-8000-00000000000a"}
		for _, id := range slices.Concat(a, old) {
			o.Push(id)
		}
		got := pops(o)
		if slices.Index(got, old[2]) < 4 {
			t.Errorf("the third of them is number %d of %q", slices.Index(got, old[2])+1, got)
		}
	})
	t.Run("all that is made by hand is one submitter", func(t *testing.T) {
		o := NewOrder()
		for _, id := range append([]string{"t1", "t2", "t3", "t4"}, a[:2]...) {
			o.Push(id)
		}
		if got := pops(o)[:4]; !slices.Contains(got, a[0]) || !slices.Contains(got, a[1]) {
			t.Errorf("the first four are %q", got)
		}
	})
	t.Run("a task that is put back has had no turn", func(t *testing.T) {
		o := NewOrder()
		for i := range a {
			o.Push(a[i])
			o.Push(b[i])
		}
		first, _ := o.Pop()
		o.PutBack(first)
		if again, _ := o.Pop(); again != first {
			t.Errorf("first %s, then %s", first, again)
		}
		o = NewOrder()
		o.Push(a[0])
		o.Pop()
		o.PutBack(a[0])
		if got := pops(o); !slices.Equal(got, a[:1]) || o.Len() != 0 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a removed task does not come, and a task pushed twice comes once", func(t *testing.T) {
		o := NewOrder()
		for _, id := range slices.Concat(a, a, b) {
			o.Push(id)
		}
		for _, id := range append(b, "never") {
			o.Remove(id)
			o.Remove(id)
		}
		if got := pops(o); !slices.Equal(got, a) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("nobody waits for more than a turn of each other submitter, however many come later", func(t *testing.T) {
		o := NewOrder()
		for _, id := range append(newIDs(1), a...) {
			o.Push(id)
		}
		served := 0
		for range 3 * len(a) { // each time one more comes that has a single task
			o.Push(newIDs(1)[0])
			if id, _ := o.Pop(); slices.Contains(a, id) {
				served++
			}
		}
		if served < 4 {
			t.Errorf("%d of %d tasks were served in %d turns", served, len(a), 3*len(a))
		}
	})
	t.Run("next names as many as are asked for", func(t *testing.T) {
		o := NewOrder()
		for range 10 {
			for _, id := range newIDs(10) {
				o.Push(id)
			}
		}
		if n := len(o.Next(20)); n < 20 || n > 30 {
			t.Errorf("%d named", n)
		}
		if n := len(o.Next(1000)); n != 100 {
			t.Errorf("%d named of 100", n)
		}
	})
}

func TestBeforeListsTheTasksThatAreAssignedFirst(t *testing.T) {
	a, b := newIDs(3), newIDs(2)
	gpu := task.NewSubmitter("gpu").NewID()
	waiting := slices.Concat(b, []string{gpu}, a)
	for _, tt := range []struct {
		name, id string
		want     []string
	}{
		{"the oldest", a[0], nil},
		{"the second of the first submitter", a[1], []string{a[0], b[0]}},
		{"the last one", a[2], []string{a[0], b[0], a[1], b[1]}},
		{"one of another queue", gpu, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Before(waiting, tt.id); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A thousand submitters cost a turn little more than one.
func BenchmarkOrder(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(map[int]string{1: "one_submitter", 1000: "a_thousand_submitters"}[n], func(b *testing.B) {
			o := NewOrder()
			for range n {
				s := task.NewSubmitter("")
				for range 100_000 / n {
					o.Push(s.NewID())
				}
			}
			for b.Loop() {
				id, _ := o.Pop()
				o.PutBack(id)
			}
		})
	}
}
