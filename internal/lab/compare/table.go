package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/lab/load"
)

// columns are the services that are compared.
var columns = [2]struct {
	name    string
	servers int
}{{"standalone", 1}, {"ensemble", 3}}

// latency is the row of which two quantiles are shown, and each value goes to the CSV.
const latency = "idle latency of a task"

// table is the comparison: its rows in the order in which they were measured first.
type table []*row

type row struct {
	what, format string
	values       [len(columns)][]float64
}

// add adds a value to a row, which it makes if there is none.
func (t *table) add(column int, what, format string, value float64) {
	i := slices.IndexFunc(*t, func(r *row) bool { return r.what == what })
	if i < 0 {
		i = len(*t)
		*t = append(*t, &row{what: what, format: format})
	}
	(*t)[i].values[column] = append((*t)[i].values[column], value)
}

// addTime is add, in ms.
func (t *table) addTime(column int, what string, took time.Duration) {
	t.add(column, what, "%.1f ms", float64(took.Microseconds())/1000)
}

// markdown shows the medians, and the ratio where both services have the row.
func (t table) markdown() string {
	var b strings.Builder
	write := func(cells ...any) { fmt.Fprintf(&b, "| %-62s | %12s | %12s | %6s |\n", cells...) }
	write("", "one server", "three", "ratio")
	fmt.Fprintf(&b, "| %s | %s: | %s: | %s: |\n", strings.Repeat("-", 62), strings.Repeat("-", 11), strings.Repeat("-", 11), strings.Repeat("-", 5))
	line := func(r *row, what string, share float64) {
		cells := []any{what, "-", "-", ""}
		for i, values := range r.values {
			if len(values) > 0 {
				cells[1+i] = fmt.Sprintf(r.format, load.Quantile(values, share))
			}
		}
		if one, three := load.Quantile(r.values[0], share), load.Quantile(r.values[1], share); one > 0 && three > 0 {
			cells[3] = fmt.Sprintf("%.2f", three/one)
		}
		write(cells...)
	}
	for _, r := range t {
		if r.what == latency {
			line(r, latency+", p50", 0.5)
			line(r, latency+", p99", 0.99)
		} else {
			line(r, r.what, 0.5)
		}
	}
	return b.String()
}

// latencyCSV has a line for each task: the name of the service, and the time in ms.
func (t table) latencyCSV() string {
	var b strings.Builder
	fmt.Fprintln(&b, "servers,ms")
	for i, values := range t[0].values { // the latency is measured first
		for _, ms := range values {
			fmt.Fprintf(&b, "%s,%.3f\n", columns[i].name, ms)
		}
	}
	return b.String()
}
