package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// summary is what came of the demo.
type summary struct {
	submitted, done, repeated, left int
	elected, reassigned             time.Duration
}

// bound is the longest that a reassignment may take after a SIGKILL: the
// session timeout, two ticks of the server, and what a busy machine needs.
const bound = sessionTimeout + 2*serverTick + 2*time.Second

// print prints the table, and fails if anything is not as it must be.
func (s summary) print(out io.Writer) error {
	lost := s.submitted - s.done
	rows := []struct {
		what, value, note string
		bad               bool
	}{
		{"tasks submitted", fmt.Sprint(s.submitted), "by two clients", false},
		{"tasks done", fmt.Sprint(s.done), "each counted once", false},
		{"tasks lost", fmt.Sprint(lost), "", lost != 0},
		{"executions begun again", fmt.Sprint(s.repeated), "the tasks of the killed worker", s.repeated < 1 || s.repeated > 2},
		{"time to the new leader", ms(s.elected), "after its SIGTERM", s.elected > sessionTimeout},
		{"time to the reassignment", ms(s.reassigned), "after SIGKILL: the session timeout is " + sessionTimeout.String(), s.reassigned > bound},
		{"znodes left", fmt.Sprint(s.left), "", s.left != 0},
	}
	var bad []string
	fmt.Fprintln(out)
	for _, r := range rows {
		mark := ""
		if r.bad {
			mark = "  ← not as it must be"
			bad = append(bad, r.what)
		}
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-26s %8s  %s", r.what, r.value, r.note+mark), " "))
	}
	fmt.Fprintln(out)
	if bad != nil {
		return fmt.Errorf("not as it must be: %s", strings.Join(bad, ", "))
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
