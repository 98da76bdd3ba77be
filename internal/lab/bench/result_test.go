package bench

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTarget(t *testing.T) {
	tests := []struct {
		name            string
		target          target
		unit            unit
		text            string
		reached, missed []float64
	}{
		{"at most", atMost(1000), ms, "≤ 1000 ms", []float64{0, 1000}, []float64{1000.1}},
		{"ratio at least", ratioAtLeast(0.7), perSecond, "≥ 0.70", []float64{0.7, 2}, []float64{0.69}},
		{"ratio at most", ratioAtMost(1.25), ms, "≤ 1.25", []float64{1.25, 0.5}, []float64{1.26}},
		{"no target", target{}, ms, "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			if got := tt.target.format(tt.unit); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			for _, v := range tt.reached {
				if !tt.target.reached(v) {
					t.Errorf("%v is not reached", v)
				}
			}
			for _, v := range tt.missed {
				if tt.target.reached(v) {
					t.Errorf("%v is reached", v)
				}
			}
		})
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		unit unit
		v    float64
		want string
	}{
		{perSecond, 0, "0 /s"},
		{perSecond, 999.6, "1,000 /s"},
		{perSecond, 1234567, "1,234,567 /s"},
		{ms, 0.0412, "0.041 ms"},
		{ms, 2.345, "2.35 ms"},
		{ms, 123.4, "123 ms"},
		{seconds, 3.5, "3.50 s"},
		{megabytes, 49.7, "50 MB"},
	}
	for _, tt := range tests {
		if got := tt.unit.format(tt.v); got != tt.want {
			t.Errorf("%v %q is %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	rate := func(v float64) sample { return sample{what: "tasks", unit: perSecond, value: v} }
	t.Run("hold_medians_and_compare_within_a_round", func(t *testing.T) {
		var ls lines
		for _, x := range []struct{ floor, service float64 }{{1000, 700}, {100, 90}, {4000, 3200}} {
			ls.add("floor", rate(x.floor))
			ls.add("service", rate(x.service).than(ls.last("floor", "tasks"), ratioAtLeast(0.7)))
		}
		if len(ls) != 2 || ls[0].Row != "floor" || ls[0].Reached != nil || ls[0].Value != 1000 {
			t.Fatalf("%+v", ls)
		}
		l := ls[1]
		// The ratios are 0.7, 0.9 and 0.8; the ratio of the medians is 0.7.
		if l.Value != 700 || l.Beside != 1000 || l.Ratio != 0.8 || l.Reached == nil || !*l.Reached {
			t.Errorf("%+v", l)
		}
		if !slices.Equal(l.Rounds, []float64{700, 90, 3200}) {
			t.Errorf("rounds %v", l.Rounds)
		}
	})
	t.Run("compare_with_nothing_where_the_other_row_was_not_measured", func(t *testing.T) {
		var ls lines
		ls.add("memory", sample{what: "resident", unit: megabytes, value: 200, target: atMost(150)})
		if l := ls[0]; l.Reached == nil || *l.Reached || l.Ratio != 0 || ls.last("floor", "tasks") != 0 {
			t.Errorf("%+v", l)
		}
	})
	t.Run("are_a_table_for_a_person", func(t *testing.T) {
		var ls lines
		for _, v := range []float64{1500, 900, 2000} {
			ls.add("floor", sample{what: "batch 1", unit: perSecond, value: v})
		}
		ls.add("floor", sample{what: "batch 100", unit: perSecond, value: 12000})
		ls.add("throughput", rate(9000).than(12000, ratioAtLeast(0.7)))
		ls.add("drain", sample{what: "memory", unit: megabytes, value: 151, target: atMost(150)})
		want := `
row                                                            median      lowest     highest      beside  ratio     target
floor          batch 1                                       1,500 /s      900 /s    2,000 /s
               batch 100                                    12,000 /s   12,000 /s   12,000 /s

throughput     tasks                                         9,000 /s    9,000 /s    9,000 /s   12,000 /s   0.75     ≥ 0.70  reached

drain          memory                                          151 MB      151 MB      151 MB                      ≤ 150 MB  missed
`
		if got := ls.table(); got != want[1:] {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	})
}

func TestChosen(t *testing.T) {
	names := func(rows []row) (names []string) {
		for _, r := range rows {
			names = append(names, r.name)
		}
		return names
	}
	all := names(rows())
	open := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "tls" })
	tests := []struct {
		name         string
		asked        []string
		installation bool
		want         []string
		err          string // a part of it
	}{
		{"all", nil, false, all, ""},
		{"all of a running installation", nil, true, open, ""},
		{"with what they need, in the order of measuring", []string{"drain", "idle"}, false, []string{"floor-latency", "idle", "drain"}, ""},
		{"with what that needs", []string{"tls"}, false, []string{"floor-rate", "throughput", "tls"}, ""},
		{"twice", []string{"loss", "loss"}, true, []string{"loss"}, ""},
		{"a row that no running installation has", []string{"idle", "tls"}, true, nil, `"tls"`},
		{"a row that does not exist", []string{"speed"}, false, nil, `"speed"`},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got, err := chosen(tt.asked, tt.installation)
			if !slices.Equal(names(got), tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, %v, want %v, %q", names(got), err, tt.want, tt.err)
			}
		})
	}
	for i, r := range rows() {
		for _, need := range r.needs {
			if !slices.Contains(all[:i], need) {
				t.Errorf("%s needs %s, which is not measured before it", r.name, need)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	t.Run("reads_the_requests_of_a_server", func(t *testing.T) {
		if n := parseReceived("Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.5/9\nReceived: 1234\nSent: 1233\n"); n != 1234 {
			t.Error(n)
		}
		if n := parseReceived(""); n != 0 {
			t.Error(n)
		}
	})
	t.Run("is_shared_by_the_tasks", func(t *testing.T) {
		before := usage{map[string]time.Duration{"server": time.Second}, 100, 1000, 50, 100}
		after := usage{map[string]time.Duration{"server": 3 * time.Second, "worker": time.Second}, 1100, 1600, 100, 300}
		var got []float64
		for _, s := range after.since(before, 100, "") {
			got = append(got, s.value)
		}
		if want := []float64{20, 10, 30, 10, 6, 25}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("of_this_process_and_this_machine_grows_with_work", func(t *testing.T) {
		began := time.Now()
		own := processorTime(os.Getpid())
		switches, idle, all := machine()
		for now := own; now < own+20*time.Millisecond; now = processorTime(os.Getpid()) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s before, %s after %s of work", own, now, time.Since(began))
			}
		}
		if switchesNow, idleNow, allNow := machine(); allNow <= all || idleNow < idle || switchesNow <= switches {
			t.Errorf("of %v s, %v idle; then of %v s, %v idle", all, idle, allNow, idleNow)
		}
		if most, err := mostMemory(os.Getpid()); err != nil || most < 1 || most > 10_000 {
			t.Errorf("%v MB, %v", most, err)
		}
	})
}
