package bench

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
)

func TestTarget(t *testing.T) {
	tests := []struct {
		name    string
		target  target
		unit    unit
		text    string
		reached []float64
		missed  []float64
	}{
		{"at least", atLeast(10_000), perSecond, "≥ 10,000 /s", []float64{10_000, 10_001}, []float64{9_999.9, 0}},
		{"at most", atMost(1000), ms, "≤ 1000 ms", []float64{0, 1000}, []float64{1000.1}},
		{"none at all", atMost(0), count, "≤ 0", []float64{0}, []float64{1}},
		{"ratio at least", ratioAtLeast(0.7), perSecond, "≥ 0.70", []float64{0.7, 2}, []float64{0.69}},
		{"ratio at most", ratioAtMost(1.25), ms, "≤ 1.25", []float64{1.25, 0.5}, []float64{1.26}},
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
	if got := (target{}).format(ms); got != "" {
		t.Errorf("no target reads %q", got)
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
		{ms, 2.345, "2.35 ms"},
		{ms, 123.4, "123 ms"},
		{seconds, 3.5, "3.50 s"},
		{megabytes, 49.7, "50 MB"},
		{count, 1000, "1,000"},
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
		var g gathered
		for _, x := range []struct{ floor, service float64 }{{1000, 800}, {100, 90}, {4000, 2000}} {
			g.add("floor", rate(x.floor))
			g.add("service", rate(x.service).than(rate(x.floor), ratioAtLeast(0.7)))
		}
		lines := g.lines()
		if len(lines) != 2 || lines[0].Row != "floor" || lines[0].Reached != nil || lines[0].Value != 1000 {
			t.Fatalf("%+v", lines)
		}
		l := lines[1]
		// The ratios are 0.8, 0.9 and 0.5; that of the medians says nothing.
		if l.Value != 800 || l.Beside != 1000 || l.Ratio != 0.8 || l.Reached == nil || !*l.Reached {
			t.Errorf("%+v", l)
		}
		if !slices.Equal(l.Rounds, []float64{800, 90, 2000}) {
			t.Errorf("rounds %v", l.Rounds)
		}
	})
	t.Run("compare_a_figure_with_nothing_beside_it_by_itself", func(t *testing.T) {
		var g gathered
		g.add("memory", sample{what: "resident", unit: megabytes, value: 200}.to(atMost(150)))
		if l := g.lines()[0]; l.Reached == nil || *l.Reached || l.Ratio != 0 {
			t.Errorf("%+v", l)
		}
	})
}

func TestTable(t *testing.T) {
	yes, no := true, false
	got := table([]line{
		{Row: "floor", What: "batch 1", Unit: perSecond, Value: 1500, Rounds: []float64{1500, 900, 2000}},
		{Row: "floor", What: "batch 100", Unit: perSecond, Value: 12000, Rounds: []float64{12000}},
		{Row: "throughput", What: "tasks", Unit: perSecond, Value: 9000, Rounds: []float64{9000}, Beside: 12000, Ratio: 0.75, Target: "≥ 0.70", Reached: &yes},
		{Row: "memory", What: "resident", Unit: megabytes, Value: 151, Rounds: []float64{151}, Target: "≤ 150 MB", Reached: &no},
	})
	want := `
row                       median     lowest    highest     beside  ratio    target
floor       batch 1     1,500 /s     900 /s   2,000 /s
            batch 100  12,000 /s  12,000 /s  12,000 /s

throughput  tasks       9,000 /s   9,000 /s   9,000 /s  12,000 /s   0.75    ≥ 0.70  reached

memory      resident      151 MB     151 MB     151 MB                    ≤ 150 MB  missed
`
	if got != want[1:] {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

func TestChosen(t *testing.T) {
	names := func(rows []row) (names []string) {
		for _, r := range rows {
			names = append(names, r.name)
		}
		return names
	}
	tests := []struct {
		name        string
		asked, want []string
	}{
		{"all", nil, names(rows())},
		{"with what they need, in the order of measuring", []string{"drain", "idle"}, []string{"floor-latency", "idle", "steady", "drain"}},
		{"with what that needs", []string{"processes"}, []string{"floor-rate", "throughput", "processes"}},
		{"under TLS, with the same without", []string{"tls"}, []string{"floor-latency", "idle", "floor-rate", "throughput", "tls"}},
		{"twice", []string{"memory", "memory"}, []string{"memory"}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got, err := chosen(tt.asked, false)
			if err != nil || !slices.Equal(names(got), tt.want) {
				t.Errorf("%v, %v, want %v", names(got), err, tt.want)
			}
		})
	}
	without := slices.DeleteFunc(names(rows()), func(name string) bool { return name == "tls" })
	if got, err := chosen(nil, true); err != nil || !slices.Equal(names(got), without) {
		t.Errorf("of a running installation: %v, %v", names(got), err)
	}
	if _, err := chosen([]string{"idle", "tls"}, true); err == nil || !strings.Contains(err.Error(), `"tls"`) {
		t.Errorf("a row that no running installation has: %v", err)
	}
	if _, err := chosen([]string{"speed"}, false); err == nil || !strings.Contains(err.Error(), "floor-latency, idle, ") {
		t.Errorf("a row that is not there: %v", err)
	}
	for i, r := range rows() {
		for _, n := range r.needs {
			if !slices.Contains(names(rows()[:i]), n) {
				t.Errorf("%s needs %s, which is not measured before it", r.name, n)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	t.Run("reads_the_packets_of_a_server", func(t *testing.T) {
		if n := parseReceived("Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.5/9\nReceived: 1234\nSent: 1233\n"); n != 1234 {
			t.Error(n)
		}
		if n := parseReceived(""); n != 0 {
			t.Error(n)
		}
	})
	t.Run("is_told_for_each_task", func(t *testing.T) {
		before := usage{map[string]time.Duration{"server": time.Second}, 100, machine{1000, 50, 100}}
		after := usage{map[string]time.Duration{"server": 3 * time.Second, "worker": time.Second}, 1100, machine{1200, 100, 300}}
		var got []float64
		for _, s := range after.since(before, 100, "") {
			got = append(got, s.value)
		}
		if want := []float64{20, 10, 30, 10, 2, 25}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("of_this_process_and_this_machine_grows_with_work", func(t *testing.T) {
		began, before := time.Now(), readMachine()
		own, _ := processorTime(os.Getpid())
		for now := own; now < own+2*clockTick; now, _ = processorTime(os.Getpid()) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s before, %s after %s of work", own, now, time.Since(began))
			}
		}
		if after := readMachine(); after.switches <= before.switches || after.time <= before.time || after.idle < before.idle {
			t.Errorf("the machine did %+v, then %+v", before, after)
		}
		now, most, err := memoryOf(os.Getpid())
		if share, serr := ownMemory(os.Getpid()); err != nil || serr != nil || now <= 1 || most < now || share <= 0 || share > most {
			t.Errorf("memory: %v MB now, %v at most, %v its own; %v, %v", now, most, share, err, serr)
		}
	})
	t.Run("of_children_counts_those_that_live_and_those_that_were_waited_for", func(t *testing.T) {
		child := harness.Run(t, harness.Command{Path: "/bin/sleep", Args: []string{"100"}})
		if got := children(os.Getpid()); !slices.Contains(got, child.Pid()) {
			t.Errorf("children %v, without %d", got, child.Pid())
		}
		before := withChildren(os.Getpid())
		harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"}}).Exit(0)
		if after := withChildren(os.Getpid()); after <= before {
			t.Errorf("%s before, %s after", before, after)
		}
	})
}

func TestWaits(t *testing.T) {
	long := map[string]bool{"L": true, "M": true}
	tests := []struct {
		name  string
		looks [][][]string
		want  []string
	}{
		{"behind a long one twice, beside the same free slot", [][][]string{{{"L", "s"}, {}}, {{"L", "s"}, {}}}, []string{"s"}},
		{"only once", [][][]string{{{"L"}, {}}, {{"L", "s"}, {}}}, nil},
		{"no slot is free", [][][]string{{{"L", "s"}, {"M"}}, {{"L", "s"}, {"M"}}}, nil},
		{"another slot is free each time", [][][]string{{{"L", "s"}, {}, {"a"}}, {{"L", "s"}, {"a"}, {}}}, nil},
		{"before the long one", [][][]string{{{"s", "L"}, {}}, {{"s", "L"}, {}}}, nil},
		{"a long one behind a long one", [][][]string{{{"L", "M"}, {}}, {{"L", "M"}, {}}}, nil},
		{"behind a short one", [][][]string{{{"r", "s"}, {}}, {{"r", "s"}, {}}}, nil},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			var w waits
			var got []string
			for _, l := range tt.looks {
				got = w.look(l, long)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
