package bench

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

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
	switches  unit = "sw"
	percent   unit = "%"
	count     unit = ""
)

func (u unit) format(v float64) string {
	switch {
	case u == count:
		return thousands(v)
	case u == perSecond:
		return thousands(v) + " /s"
	case u == megabytes, u == ms && v >= 100, u == percent:
		return fmt.Sprintf("%.0f %s", v, u)
	case u == ms && v < 0.1:
		return fmt.Sprintf("%.3f %s", v, u)
	}
	return fmt.Sprintf("%.2f %s", v, u)
}

// thousands is a whole number with commas.
func thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// target is what is to be reached: by the figure, or by its ratio to what stands
// beside it. Its zero value is no target.
type target struct {
	sign  string // least or most
	ratio bool
	bound float64
}

const (
	least = "≥"
	most  = "≤"
)

func ratioAtMost(bound float64) target  { return target{most, true, bound} }
func ratioAtLeast(bound float64) target { return target{least, true, bound} }
func atMost(bound float64) target       { return target{most, false, bound} }
func atLeast(bound float64) target      { return target{least, false, bound} }

func (t target) reached(v float64) bool {
	if t.sign == least {
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
	beside float64 // what it is compared with, in the same unit and round; 0 is nothing
	target target
}

func took(what string, d time.Duration) sample {
	return sample{what: what, unit: ms, value: float64(d.Microseconds()) / 1000}
}

// than sets what a sample is compared with, and what is to be reached.
func (s sample) than(beside sample, t target) sample {
	s.beside, s.target = beside.value, t
	return s
}

func (s sample) to(t target) sample {
	s.target = t
	return s
}

// line is a figure over all rounds: medians, also of the ratios, which are those
// of figures of the same round.
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
}

// gathered is the samples of all rounds, in the order of their first coming.
type gathered struct {
	keys    []key
	samples map[key][]sample
}

type key struct{ row, what string }

func (g *gathered) add(row string, samples ...sample) {
	if g.samples == nil {
		g.samples = make(map[key][]sample)
	}
	for _, s := range samples {
		k := key{row, s.what}
		if g.samples[k] == nil {
			g.keys = append(g.keys, k)
		}
		g.samples[k] = append(g.samples[k], s)
	}
}

func (g *gathered) lines() []line {
	var out []line
	for _, k := range g.keys {
		samples := g.samples[k]
		l := line{Row: k.row, What: k.what, Unit: samples[0].unit, Target: samples[0].target.format(samples[0].unit)}
		var besides, ratios []float64
		for _, s := range samples {
			l.Rounds = append(l.Rounds, s.value)
			if s.beside > 0 {
				besides = append(besides, s.beside)
				ratios = append(ratios, s.value/s.beside)
			}
		}
		l.Value, l.Beside, l.Ratio = load.Quantile(l.Rounds, 0.5), load.Quantile(besides, 0.5), load.Quantile(ratios, 0.5)
		if t := samples[0].target; t != (target{}) {
			v := l.Value
			if t.ratio {
				v = l.Ratio
			}
			reached := t.reached(v)
			l.Reached = &reached
		}
		out = append(out, l)
	}
	return out
}

// table is the lines for a person.
func table(lines []line) string {
	cells := [][]string{{"row", "", "median", "lowest", "highest", "beside", "ratio", "target", ""}}
	for i, l := range lines {
		lowest, highest := l.Rounds[0], l.Rounds[0]
		for _, v := range l.Rounds {
			lowest, highest = min(lowest, v), max(highest, v)
		}
		c := []string{l.Row, l.What, l.Unit.format(l.Value), l.Unit.format(lowest), l.Unit.format(highest), "", "", l.Target, ""}
		if i > 0 && lines[i-1].Row == l.Row {
			c[0] = ""
		}
		if l.Beside > 0 {
			c[5], c[6] = l.Unit.format(l.Beside), fmt.Sprintf("%.2f", l.Ratio)
		}
		if l.Reached != nil {
			c[8] = map[bool]string{true: "reached", false: "missed"}[*l.Reached]
		}
		cells = append(cells, c)
	}
	widths := make([]int, len(cells[0]))
	for _, c := range cells {
		for i := range c {
			widths[i] = max(widths[i], utf8.RuneCountInString(c[i]))
		}
	}
	var b strings.Builder
	for n, c := range cells {
		if n > 1 && c[0] != "" {
			fmt.Fprintln(&b)
		}
		var text strings.Builder
		for i := range c {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c[i]))
			if i < 2 || i == len(c)-1 {
				text.WriteString(c[i] + pad + "  ")
			} else {
				text.WriteString(pad + c[i] + "  ")
			}
		}
		fmt.Fprintln(&b, strings.TrimRight(text.String(), " "))
	}
	return b.String()
}
