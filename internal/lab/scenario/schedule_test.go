package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	const length = 10 * time.Minute
	faults := schedule(1, length)
	t.Run("is_the_same_for_the_same_seed", func(t *testing.T) {
		if !slices.Equal(faults, schedule(1, length)) {
			t.Error("another schedule")
		}
		if slices.Equal(faults, schedule(2, length)) {
			t.Error("the same schedule for another seed")
		}
	})
	t.Run("begins_the_same_if_it_is_longer", func(t *testing.T) {
		if short := schedule(1, time.Minute); !slices.Equal(short, faults[:len(short)]) {
			t.Error("the first minute differs")
		}
	})
	t.Run("has_each_fault_and_hits_each_program", func(t *testing.T) {
		met := make(map[string]bool)
		for _, f := range faults {
			met[fmt.Sprint(f.target, f.number)] = true
			met[fmt.Sprint(f.target, " ", f.kind)] = true
		}
		want := []string{"leader0", "server0"}
		for class, n := range counts {
			for i := range n {
				want = append(want, fmt.Sprint(class, i+1))
			}
		}
		for _, c := range draws {
			for _, k := range c.kinds {
				want = append(want, fmt.Sprint(c.target, " ", k))
			}
		}
		for _, w := range want {
			if !met[w] {
				t.Errorf("no fault for %s in %d faults", w, len(faults))
			}
		}
	})
	t.Run("is_in_order_and_leaves_each_target_alone_for_a_while", func(t *testing.T) {
		over := make(map[string]time.Duration)
		last := time.Duration(0)
		for _, f := range faults {
			who := fmt.Sprint(f.target, f.number)
			if f.at < last || f.at >= length || f.at < over[who]+quiet {
				t.Errorf("%+v, after one at %s; the last of %s is over at %s", f, last, who, over[who])
			}
			last, over[who] = f.at, f.at+f.lasts
		}
	})
	t.Run("has_faults_that_come_while_others_last", func(t *testing.T) {
		while := 0
		for i, f := range faults[1:] {
			if f.at < faults[i].at+faults[i].lasts {
				while++
			}
		}
		if while < len(faults)/4 {
			t.Errorf("%d of %d", while, len(faults))
		}
	})
}
