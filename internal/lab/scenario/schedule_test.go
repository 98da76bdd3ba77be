package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	const length = 10 * time.Minute
	faults := schedule(1, length, counts)
	t.Run("is_the_same_for_the_same_seed", func(t *testing.T) {
		if !slices.Equal(faults, schedule(1, length, counts)) {
			t.Error("another schedule")
		}
		if slices.Equal(faults, schedule(2, length, counts)) {
			t.Error("the same schedule for another seed")
		}
	})
	t.Run("that_is_longer_begins_the_same", func(t *testing.T) {
		if short := schedule(1, time.Minute, counts); !slices.Equal(short, faults[:len(short)]) {
			t.Error("the first minute differs")
		}
	})
	t.Run("leaves_nobody_and_nothing_out", func(t *testing.T) {
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
		for _, c := range chances {
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
	t.Run("is_in_order_and_gives_each_target_a_breath", func(t *testing.T) {
		over := make(map[string]time.Duration)
		last := time.Duration(0)
		for _, f := range faults {
			who := fmt.Sprint(f.target, f.number)
			if f.at < last || f.at >= length || f.at < over[who]+breath {
				t.Errorf("%+v, after one at %s; the last of %s is over at %s", f, last, who, over[who])
			}
			last, over[who] = f.at, f.at+f.lasts
		}
	})
	t.Run("has_faults_amid_others", func(t *testing.T) {
		amid := 0
		for i, f := range faults[1:] {
			if f.at < faults[i].at+faults[i].lasts {
				amid++
			}
		}
		if amid < len(faults)/4 {
			t.Errorf("%d of %d", amid, len(faults))
		}
	})
}
