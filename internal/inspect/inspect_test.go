package inspect

import (
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// now is the time at which all trees of these tests were read.
var now = time.UnixMilli(1_700_000_000_000)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// ephemeral returns an ephemeral znode that was created and last written so long ago.
func ephemeral(name string, made, written time.Duration) Znode {
	return Znode{Name: name, Created: ago(made), Modified: ago(written), Mzxid: int64(now.Sub(ago(made)) - written), Owner: 7}
}

// permanent makes a znode permanent: it has no session.
func permanent(z Znode) Znode { z.Owner = 0; return z }

func candidate(name, who string, made, written time.Duration) Candidate {
	return Candidate{ephemeral(name, made, written), who}
}

// workerWith returns a worker with tasks, whose list was written so long ago.
func workerWith(name string, written time.Duration, tasks ...string) Worker {
	return Worker{Znode: ephemeral(name, time.Hour, written), Tasks: tasks}
}

// taskIn returns a task in a state, submitted so long ago and written a second later.
func taskIn(name string, made time.Duration, state string) Task {
	return newTask(ephemeral(name, made, made-time.Second), []byte(state))
}

// znodes returns ephemeral znodes with these names.
func znodes(names ...string) (all []Znode) {
	for _, name := range names {
		all = append(all, ephemeral(name, time.Minute, time.Minute))
	}
	return all
}

func TestTextIsOnePrintableLine(t *testing.T) {
	long := strings.Repeat("x", beginning)
	for name, tc := range map[string]struct{ text, want string }{
		"plain":                    {"lost with 3 workers", "lost with 3 workers"},
		"empty":                    {"", `""`},
		"with_blanks_at_its_ends":  {" a ", `" a "`},
		"of_several_lines":         {"a\nb", `"a\nb"`},
		"with_quotes":              {`a "b"`, `"a \"b\""`},
		"with_control_characters":  {"a\tb\n\x1b[2J\u202e\"", `"a\tb\n\x1b[2J\u202e\""`},
		"that_is_no_UTF-8":         {"a\xff", `"a` + "\ufffd" + `"`},
		"as_long_as_what_is_kept":  {long, long},
		"longer_than_what_is_kept": {long + "yz", long + "… (82 bytes)"},
		"cut_amid_a_letter":        {long[1:] + "ä…", long[1:] + "… (84 bytes)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newText([]byte(tc.text)).String(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s":     0,
		"12ms":   12*time.Millisecond + 300*time.Microsecond,
		"1.5s":   1500 * time.Millisecond,
		"1m05s":  65 * time.Second,
		"59m59s": time.Hour - time.Second,
		"1h00m":  time.Hour,
		"2d03h":  51 * time.Hour,
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %s, want %s", d, got, want)
		}
	}
	if got := since(now, now.Add(time.Second)); got != 0 {
		t.Errorf("a time to come was %v ago", got)
	}
}
