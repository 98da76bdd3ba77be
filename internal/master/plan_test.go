package master

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

func claims(ids ...string) []claim {
	var cs []claim
	for _, id := range ids {
		cs = append(cs, claim{id: id})
	}
	return cs
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name    string
		waiting []claim
		free    []string
		want    string
	}{
		{"nothing_to_do", nil, nil, "[]"},
		{"tasks_wait_while_there_are_no_workers", claims("a", "b"), nil, "[]"},
		{"workers_wait_while_there_are_no_tasks", nil, []string{"w1"}, "[]"},
		{"the_first_task_goes_to_the_first_worker", claims("a", "b"), []string{"w1", "w2"}, "[w1:a w2:b]"},
		{"what_is_left_over_waits", claims("a", "b", "c"), []string{"w1", "w2"}, "[w1:a w2:b]"},
		{"workers_left_over_stay_free", claims("a"), []string{"w1", "w2"}, "[w1:a]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := []string{}
			for _, a := range plan(tt.waiting, tt.free) {
				s := a.worker + ":"
				for _, c := range a.tasks {
					s += c.id
				}
				got = append(got, s)
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(uint8(3), uint8(2))
	f.Add(uint8(0), uint8(9))
	f.Fuzz(func(t *testing.T, tasks, workers uint8) {
		var waiting []claim
		var free []string
		for i := range tasks {
			waiting = append(waiting, claim{id: fmt.Sprintf("t%03d", i), version: int32(i)})
		}
		for i := range workers {
			free = append(free, fmt.Sprintf("w%03d", i))
		}
		seen, used := map[string]bool{}, map[string]bool{}
		for _, a := range plan(waiting, free) {
			if !slices.Contains(free, a.worker) || used[a.worker] {
				t.Fatalf("worker %s is not free", a.worker)
			}
			used[a.worker] = true
			if len(a.tasks) == 0 {
				t.Fatalf("worker %s gets nothing", a.worker)
			}
			for _, c := range a.tasks {
				if !slices.Contains(waiting, c) || seen[c.id] {
					t.Fatalf("task %s is not waiting", c.id)
				}
				seen[c.id] = true
			}
		}
		if len(seen) < min(len(waiting), len(free)) {
			t.Fatalf("%d of %d tasks given to %d workers", len(seen), tasks, workers)
		}
		for i, c := range waiting { // the oldest first
			if i > 0 && seen[c.id] && !seen[waiting[i-1].id] {
				t.Fatalf("%s goes before %s", c.id, waiting[i-1].id)
			}
		}
	})
}

func TestQueue(t *testing.T) {
	t.Run("keeps_its_order_however_it_is_filled", func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		var q queue
		var want []item
		n := 0
		for range 500 {
			switch r.IntN(4) {
			case 0: // newer than all
				n++
				q.push(item{id: fmt.Sprintf("%08d", n*100)})
				want = append(want, item{id: fmt.Sprintf("%08d", n*100)})
			case 1: // a few somewhere
				it := item{id: fmt.Sprintf("%08d-%d", r.IntN(n*100+1), r.Uint64()), hand: r.IntN(10) == 0}
				q.push(it)
				want = append(want, it)
			case 2: // many somewhere
				var some []item
				for range 20 {
					some = append(some, item{id: fmt.Sprintf("%08d-%d", r.IntN(n*100+1), r.Uint64())})
				}
				want = append(want, some...)
				q.push(some...)
			default:
				slices.SortFunc(want, compareItems)
				for range r.IntN(30) {
					id, ok := q.pop()
					if ok != (len(want) > 0) {
						t.Fatalf("pop says %t, %d are in it", ok, len(want))
					}
					if !ok {
						break
					}
					if id != want[0].id {
						t.Fatalf("pop = %s, want %s", id, want[0].id)
					}
					want = want[1:]
				}
			}
			if q.len() != len(want) {
				t.Fatalf("length %d, want %d", q.len(), len(want))
			}
		}
	})
	t.Run("does_not_hold_on_to_what_was_taken", func(t *testing.T) {
		var q queue
		for range 100_000 {
			q.push(item{id: task.NewID()})
		}
		for range 99_000 {
			q.pop()
		}
		if cap(q.items) > 50_000 {
			t.Errorf("room for %d items is kept for %d", cap(q.items), q.len())
		}
	})
}
