package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/lab/load"
)

// unit is what a figure is in.
type unit string

const (
	perSecond unit = "/s"
	ms        unit = "ms"
	seconds   unit = "s"
	megabytes unit = "MB"
	requests  unit = "req"
	switches  unit = "×"
	percent   unit = "%"
)

func (u unit) format(v float64) string {
	switch {
	case u == perSecond:
		return thousands(v) + " /s"
	case u == megabytes, u == percent, u == ms && v >= 100:
		return fmt.Sprintf("%.0f %s", v, u)
	case u == ms && v < 0.1:
		return fmt.Sprintf("%.3f %s", v, u)
	}
	return fmt.Sprintf("%.2f %s", v, u)
}

// thousands formats a whole number with commas.
func thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// target is a bound for a figure, or for its ratio to the figure beside it. The zero value is
// no target.
type target struct {
	sign  string // ≤ or ≥
	ratio bool
	bound float64
}

func ratioAtMost(bound float64) target  { return target{"≤", true, bound} }
func ratioAtLeast(bound float64) target { return target{"≥", true, bound} }
func atMost(bound float64) target       { return target{"≤", false, bound} }

func (t target) reached(v float64) bool {
	if t.sign == "≥" {
		return v >= t.bound
	}
	return v <= t.bound
}

func (t target) format(u unit) string {
	switch {
	case t == (target{}):
		return ""
	case t.ratio:
		return fmt.Sprintf("%s %.2f", t.sign, t.bound)
	}
	return t.sign + " " + u.format(t.bound)
}

// sample is a figure of one round.
type sample struct {
	what   string
	unit   unit
	value  float64
	beside float64 // the figure of the same round that it is compared with; 0: none
	target target
}

func took(what string, d time.Duration) sample {
	return sample{what: what, unit: ms, value: float64(d.Microseconds()) / 1000}
}

// than sets what the sample is compared with, and the target.
func (s sample) than(beside float64, t target) sample {
	s.beside, s.target = beside, t
	return s
}

// line is a figure over all rounds. Value, Beside and Ratio are medians: Ratio is that of the
// ratios, each within one round.
type line struct {
	Row     string    `json:"row"`
	What    string    `json:"what"`
	Unit    unit      `json:"unit"`
	Value   float64   `json:"value"`
	Rounds  []float64 `json:"rounds"`
	Beside  float64   `json:"beside,omitempty"`
	Ratio   float64   `json:"ratio,omitempty"`
	Target  string    `json:"target,omitempty"`
	Reached *bool     `json:"reached,omitempty"`

	besides, ratios []float64
}

func (l *line) add(s sample) {
	l.Rounds = append(l.Rounds, s.value)
	if s.beside > 0 {
		l.besides, l.ratios = append(l.besides, s.beside), append(l.ratios, s.value/s.beside)
	}
	l.Value, l.Beside, l.Ratio = load.Quantile(l.Rounds, 0.5), load.Quantile(l.besides, 0.5), load.Quantile(l.ratios, 0.5)
	if s.target == (target{}) {
		return
	}
	v := l.Value
	if s.target.ratio {
		v = l.Ratio
	}
	reached := s.target.reached(v)
	l.Target, l.Reached = s.target.format(s.unit), &reached
}

// lines are all figures, in the order in which they were measured first.
type lines []*line

// of returns a figure; nil if it was not measured.
func (ls lines) of(row, what string) *line {
	i := slices.IndexFunc(ls, func(l *line) bool { return l.Row == row && l.What == what })
	if i < 0 {
		return nil
	}
	return ls[i]
}

// last returns what a row has measured last; 0 if it has not.
func (ls lines) last(row, what string) float64 {
	if l := ls.of(row, what); l != nil {
		return l.Rounds[len(l.Rounds)-1]
	}
	return 0
}

// add adds what a row has measured in a round.
func (ls *lines) add(row string, samples ...sample) {
	for _, s := range samples {
		l := ls.of(row, s.what)
		if l == nil {
			l = &line{Row: row, What: s.what, Unit: s.unit}
			*ls = append(*ls, l)
		}
		l.add(s)
	}
}

// table formats the lines for a person.
func (ls lines) table() string {
	var b strings.Builder
	write := func(cells ...any) {
		text := fmt.Sprintf("%-13s  %-42s  %10s  %10s  %10s  %10s  %5s  %9s  %s", cells...)
		fmt.Fprintln(&b, strings.TrimRight(text, " "))
	}
	write("row", "", "median", "lowest", "highest", "beside", "ratio", "target", "")
	for i, l := range ls {
		row, beside, ratio, reached := l.Row, "", "", ""
		if i > 0 && ls[i-1].Row == l.Row {
			row = ""
		} else if i > 0 {
			fmt.Fprintln(&b)
		}
		if l.Beside > 0 {
			beside, ratio = l.Unit.format(l.Beside), fmt.Sprintf("%.2f", l.Ratio)
		}
		if l.Reached != nil {
			reached = map[bool]string{true: "reached", false: "missed"}[*l.Reached]
		}
		write(row, l.What, l.Unit.format(l.Value), l.Unit.format(slices.Min(l.Rounds)), l.Unit.format(slices.Max(l.Rounds)),
			beside, ratio, l.Target, reached)
	}
	return b.String()
}
