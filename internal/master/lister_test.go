package master

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
)

func TestLister(t *testing.T) {
	began := time.UnixMilli(1_000_000)
	for _, tt := range []struct {
		name  string
		names int
		took  time.Duration
		err   error
		short bool          // the loop lists it by itself
		from  time.Duration // when the next may begin, from the end of this one
		due   bool          // there is to be a next one though nothing happened
	}{
		{"lists what is short in the loop", shortList, time.Millisecond, nil, true, -listCredit - time.Millisecond + listShare*time.Millisecond, false},
		{"lists what is long beside the loop", shortList + 1, 100 * time.Millisecond, nil, false, -listCredit - 100*time.Millisecond + listShare*100*time.Millisecond, false},
		{"tries again after a while what is refused", 0, time.Millisecond, zk.ErrNoAuth, false, session.RefusedPause, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLister("/tasks", nil, nil)
			l.due, l.busy = false, true
			ended := began.Add(tt.took)
			ok := l.merge(listing{names: make([]string, tt.names), began: began, ended: ended, err: tt.err})
			if ok != (tt.err == nil) || l.busy || l.due != tt.due || l.short != tt.short {
				t.Errorf("merged %t; busy %t, due %t, short %t", ok, l.busy, l.due, l.short)
			}
			if from := l.pace.from.Sub(ended); from != tt.from {
				t.Errorf("the next may begin after %v, want %v", from, tt.from)
			}
			if ok && !l.pace.last.Equal(ended) {
				t.Errorf("ended at %v, not %v", l.pace.last, ended)
			}
		})
	}
}

// TestDirs arms one watch at a time: a watch cannot be removed.
func TestDirs(t *testing.T) {
	d := newDirs(nil)
	for i, step := range []struct {
		fired bool
		want  bool // it is to be set
	}{{false, true}, {false, false}, {true, true}, {false, false}} {
		if step.fired {
			d.fired("/tasks")
		}
		if got := d.needsWatch("/tasks"); got != step.want {
			t.Errorf("step %d: to be set %t", i, got)
		}
		if !d.isWatched("/tasks") || d.isWatched("/workers") {
			t.Errorf("step %d: it does not know which is set", i)
		}
	}
}

func TestPace(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	for _, tt := range []struct {
		name string
		took []int // each begins as soon as it may; ms
		want int   // when the next may begin; ms
	}{
		{"a short listing after quiet may be followed by another at once", []int{1}, -5},
		{"short listings come to a fifth of the time", []int{2, 2, 2}, 20},
		{"a listing of 60 ms is followed by a pause of 240 ms", []int{60}, 290},
		{"however long one took, the next begins a second after it began", []int{3_600_000}, 990},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			now := 0
			for _, took := range tt.took {
				now = max(now, int(p.from.Sub(at(0)).Milliseconds()))
				if p.from.IsZero() {
					now = 0
				}
				p.listed(at(now), at(now+took))
				now += took
			}
			if got := int(p.from.Sub(at(0)).Milliseconds()); got != tt.want {
				t.Errorf("at %d ms, want %d", got, tt.want)
			}
		})
	}
}
