package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/task"
)

// idMade is an id like those of task.NewID, made at a time.
func idMade(at time.Time) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return ms[:8] + "-" + ms[8:] + task.NewID()[13:]
}

func TestClockDifference(t *testing.T) {
	ahead := func(d time.Duration) *Tree {
		tree := usualTree()
		tree.Workers[1].Modified = now.Add(d)
		return tree
	}
	submitted := func(made, created time.Duration) *Tree {
		tree := usualTree()
		tree.Tasks = append(tree.Tasks, taskIn(idMade(ago(made)), created, "pending"))
		return tree
	}
	for name, tc := range map[string]struct {
		tree *Tree
		want string // a warning
	}{
		"that is none needs no warning":                            {usualTree(), ""},
		"of servers a little ahead needs no warning":               {ahead(tolerance), ""},
		"of servers an hour ahead is a warning":                    {ahead(time.Hour), "the clock of ZooKeeper's servers is ahead of this machine's by 1h00m or more: ages count only up to the last write"},
		"is not seen in a task that was created long after its id": {submitted(time.Hour, time.Second), ""},
		"of servers an hour behind a client is a warning":          {submitted(time.Second, time.Hour+time.Second), "the clock of ZooKeeper's servers is behind that of a client by 1h00m or more: ages may be too long by as much"},
		"of servers a little behind a client needs no warning":     {submitted(time.Second, 5*time.Second), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := Summarize(tc.tree, now, Filter{})
			switch {
			case tc.want == "" && len(s.Warnings) > 0, tc.want != "" && (len(s.Warnings) != 1 || s.Warnings[0].Text != tc.want):
				t.Errorf("warnings %q, want %q", s.Warnings, tc.want)
			}
			c := &Case{Tree: tc.tree, Task: tc.tree.Tasks[len(tc.tree.Tasks)-1]}
			if text := Explain(c, now).Text(); strings.Contains(text, "the clock of ") != (tc.want != "") || !strings.Contains(text, tc.want) {
				t.Errorf("explained as\n%s", text)
			}
		})
	}
	t.Run("of servers ahead has ages count from the last write", func(t *testing.T) {
		s := Summarize(ahead(time.Hour), now, Filter{})
		if got := s.Workers.List[0].Seconds; got != 3600+90 {
			t.Errorf("busy for %v s", got)
		}
		if !s.Time.Equal(now) {
			t.Errorf("read at %v, not by this machine's clock", s.Time)
		}
	})
}
