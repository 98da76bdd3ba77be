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

func places(room int, workers ...string) (ps []place) {
	for _, w := range workers {
		ps = append(ps, place{worker: w, room: room})
	}
	return ps
}

func TestPlan(t *testing.T) {
	lost := func(id string) claim { return claim{id: id, losses: 1} }
	tests := []struct {
		name    string
		waiting []claim
		free    []place
		want    string
	}{
		{"nothing_to_do", nil, nil, "[] and []"},
		{"tasks_wait_while_there_are_no_workers", claims("a", "b"), nil, "[] and [a b]"},
		{"workers_wait_while_there_are_no_tasks", nil, places(1, "w1"), "[] and []"},
		{"the_first_task_goes_to_the_first_worker", claims("a", "b"), places(1, "w1", "w2"), "[w1:a w2:b] and []"},
		{"what_is_left_over_waits", claims("a", "b", "c"), places(1, "w1", "w2"), "[w1:a w2:b] and [c]"},
		{"workers_left_over_stay_free", claims("a"), places(9, "w1", "w2"), "[w1:a] and []"},
		{"more_than_one_each_go_round_by_round", claims("a", "b", "c", "d", "e"), places(3, "w1", "w2"), "[w1:ace w2:bd] and []"},
		{"each_as_it_has_room", claims("a", "b", "c", "d", "e"), append(places(1, "w1"), places(3, "w2")...), "[w1:a w2:bcd] and [e]"},
		{"one_that_was_lost_goes_alone", append(claims("a"), lost("b"), claim{id: "c"}, claim{id: "d"}), places(2, "w1", "w2"), "[w1:ac w2:b] and [d]"},
		{"one_that_was_lost_joins_no_other", append(claims("a"), lost("b"), claim{id: "c"}), places(3, "w1"), "[w1:ac] and [b]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, left := plan(tt.waiting, tt.free)
			given, rest := []string{}, []string{}
			for _, a := range out {
				s := a.worker + ":"
				for _, c := range a.tasks {
					s += c.id
				}
				given = append(given, s)
			}
			for _, c := range left {
				rest = append(rest, c.id)
			}
			if got := fmt.Sprint(given, " and ", rest); got != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// FuzzPlan checks that no task is lost or given twice, that no worker gets more
// than it has room for, and that none stays free while a task waits.
func FuzzPlan(f *testing.F) {
	f.Add(uint8(3), uint8(2), uint64(1))
	f.Add(uint8(0), uint8(9), uint64(2))
	f.Add(uint8(200), uint8(9), uint64(3))
	f.Fuzz(func(t *testing.T, tasks, workers uint8, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var waiting []claim
		var free []place
		room := map[string]int{}
		for i := range tasks {
			waiting = append(waiting, claim{id: fmt.Sprintf("t%03d", i), version: int32(i), losses: r.IntN(8) / 7, lost: r.IntN(8) == 0})
		}
		for i := range workers {
			p := place{worker: fmt.Sprintf("w%03d", i), room: 1 + r.IntN(5)}
			free = append(free, p)
			room[p.worker] = p.room
		}
		out, left := plan(waiting, free)
		seen := map[string]bool{}
		take := func(c claim) {
			if !slices.Contains(waiting, c) || seen[c.id] {
				t.Fatalf("task %s is not waiting", c.id)
			}
			seen[c.id] = true
		}
		full := true
		for i, a := range out {
			if len(a.tasks) == 0 || len(a.tasks) > room[a.worker] {
				t.Fatalf("worker %s gets %d tasks, and has room for %d", a.worker, len(a.tasks), room[a.worker])
			}
			shared := len(a.tasks) > 1
			for _, c := range a.tasks {
				take(c)
				if shared && c.alone() {
					t.Fatalf("task %s, lost before, shares a turn", c.id)
				}
			}
			full = full && (a.tasks[0].alone() || len(a.tasks) == room[a.worker])
			if a.worker != free[i].worker || a.tasks[0] != waiting[i] {
				t.Fatalf("%s begins with %s", a.worker, a.tasks[0].id)
			}
			room[a.worker] = 0 // once
		}
		for _, c := range left {
			take(c)
			if !c.alone() && !full {
				t.Fatalf("task %s is left over though there is room", c.id)
			}
		}
		if len(seen) != len(waiting) || len(out) != min(len(waiting), len(free)) {
			t.Fatalf("%d of %d tasks are accounted for, %d of %d workers got some", len(seen), len(waiting), len(out), len(free))
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
