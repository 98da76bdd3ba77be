package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	working := tally{done: 10, failed: 2, taken: 20, total: 30, took: 2 * time.Minute}
	for _, c := range []struct {
		name  string
		t     tally
		width int
		want  string
	}{
		{"shows all in 160 columns", working, 159, "40% of 30  [########            ]  10 done, 2 failed, 8 under way  0.1 tasks/s  ETA 3m0s"},
		{"leaves out the rate in 80 columns", working, 79, "40% of 30  [########            ]  10 done, 2 failed, 8 under way  ETA 3m0s"},
		{"leaves out the bar in 40 columns", working, 39, "40% of 30  10 done, 2 failed  ETA 3m0s"},
		{"leaves out the failures in 20 columns", working, 19, "40% of 30  10 done"},
		{"shows only the percentage in 10 columns", working, 9, "40% of 30"},
		{"is empty in 2 columns", working, 2, ""},
		{"has no ETA before the first task has ended", tally{taken: 3, total: 20, took: time.Minute}, 159, "0% of 20  [                    ]  0 done, 0 failed, 3 under way"},
		{"has no percentage of an unknown total", tally{done: 1, taken: 3, took: time.Second}, 159, "1 done, 0 failed, 2 under way  1.0 tasks/s"},
		{"begins with the cause of a stall after the percentage", tally{taken: 3, total: 20, took: time.Second, cause: "no worker: start one"}, 39, "0% of 20  (no worker: start one)"},
		{"is cut where the cause is too long", tally{taken: 3, total: 20, took: time.Second, cause: "no worker: start one"}, 9, "(no worke"},
		{"ends with 100%", tally{done: 20, taken: 20, total: 20, took: 10 * time.Second}, 79, "100% of 20  [####################]  20 done, 0 failed, 0 under way  ETA 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.t.line(c.width); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func FuzzProgressLine(f *testing.F) {
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
