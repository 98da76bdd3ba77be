package main

import (
	"fmt"
	"strings"
	"time"
)

// tally is the progress of a batch.
type tally struct {
	done, failed, taken int
	total               int // 0: unknown
	took                time.Duration
	cause               string // why nothing happens
}

// The parts of its line, from left to right.
const (
	partShare = iota
	partBar
	partCounts
	partRate
	partLeft
	partCause
	parts
)

// line returns the tally in at most width columns. The most important parts are placed
// first, each in its longest form that fits; a part that does not fit is left out.
func (t tally) line(width int) string {
	var line [parts]string
	free := width // columns
	place := func(part int, forms ...string) {
		for _, form := range forms {
			gap := 0
			if free < width {
				gap = 2
			}
			if form != "" && gap+len(form) <= free {
				line[part] = form
				free -= gap + len(form)
				return
			}
		}
	}
	ended := t.done + t.failed
	t.taken = max(t.taken, ended) // a task may end before the reader has counted it
	if t.cause != "" {
		cause := "(" + t.cause + ")"
		place(partCause, cause, cause[:max(0, min(width, len(cause)))])
	}
	if t.total > 0 {
		t.total = max(t.total, t.taken)
		share := fmt.Sprintf("%d%%", 100*ended/t.total)
		place(partShare, fmt.Sprintf("%s of %d", share, t.total), share)
	}
	some := fmt.Sprintf("%d done, %d failed", t.done, t.failed)
	place(partCounts, fmt.Sprintf("%s, %d under way", some, t.taken-ended), some, fmt.Sprintf("%d done", t.done))
	if t.total > 0 && ended > 0 {
		left := time.Duration(float64(t.took) * float64(t.total-ended) / float64(ended))
		place(partLeft, "ETA "+left.Round(time.Second).String())
	}
	if t.total > 0 {
		place(partBar, t.bar(20), t.bar(10))
	}
	if ended > 0 && t.took > 0 {
		place(partRate, fmt.Sprintf("%.1f tasks/s", float64(ended)/t.took.Seconds()))
	}
	var shown []string
	for _, part := range line {
		if part != "" {
			shown = append(shown, part)
		}
	}
	return strings.Join(shown, "  ")
}

func (t tally) bar(width int) string {
	full := width * (t.done + t.failed) / t.total
	return "[" + strings.Repeat("#", full) + strings.Repeat(" ", width-full) + "]"
}
