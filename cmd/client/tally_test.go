package main

import (
	"strings"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	working := tally{done: 10, failed: 2, taken: 20, total: 30, took: 2 * time.Minute}
	for _, c := range []struct {
		name  string
		t     tally
		width int
		want  string
	}{
		{"all that is known, where there is room", working, 159, "40% of 30  [########            ]  10 done, 2 failed, 8 under way  0.1 tasks/s  ETA 3m0s"},
		{"80 columns", working, 79, "40% of 30  [########            ]  10 done, 2 failed, 8 under way  ETA 3m0s"},
		{"40 columns", working, 39, "40% of 30  10 done, 2 failed  ETA 3m0s"},
		{"20 columns", working, 19, "40% of 30  10 done"},
		{"10 columns", working, 9, "40% of 30"},
		{"2 columns", working, 2, ""},
		{"no ETA before anything has ended", tally{taken: 3, total: 20, took: time.Minute}, 159, "0% of 20  [                    ]  0 done, 0 failed, 3 under way"},
		{"no share of what is unknown", tally{done: 1, taken: 3, took: time.Second}, 159, "1 done, 0 failed, 2 under way  1.0 tasks/s"},
		{"why nothing happens comes first", tally{taken: 3, total: 20, took: time.Second, cause: "no worker: start one"}, 39, "0% of 20  (no worker: start one)"},
		{"and is cut where it has no room", tally{taken: 3, total: 20, took: time.Second, cause: "no worker: start one"}, 9, "(no worke"},
		{"the end", tally{done: 20, taken: 20, total: 20, took: 10 * time.Second}, 79, "100% of 20  [####################]  20 done, 0 failed, 0 under way  ETA 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.t.line(c.width); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func FuzzTally(f *testing.F) {
	f.Add(10, 2, 20, 30, int64(time.Minute), "cause", 80)
	f.Fuzz(func(t *testing.T, done, failed, taken, total int, took int64, cause string, width int) {
		for _, n := range []*int{&done, &failed, &taken, &total} {
			*n = max(0, *n%1_000_000_000)
		}
		width = max(0, width%300)
		line := tally{done, failed, taken, total, time.Duration(took), cause}.line(width)
		if len(line) > width || strings.Contains(line, "\n") && !strings.Contains(cause, "\n") {
			t.Errorf("%d columns for %d: %q", len(line), width, line)
		}
	})
}
