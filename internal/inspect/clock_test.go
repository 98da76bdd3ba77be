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

func TestClocks(t *testing.T) {
	ahead := func(d time.Duration) *Tree {
		tree := usual()
		tree.Workers[1].Modified = now.Add(d)
		return tree
	}
	submitted := func(made, created time.Duration) *Tree {
		tree := usual()
		tree.Tasks = append(tree.Tasks, is(idMade(ago(made)), created, "pending"))
		return tree
	}
	for name, tc := range map[string]struct {
		tree *Tree
		want string // a warning
	}{
		"all the same":                            {usual(), ""},
		"the servers' a little ahead":             {ahead(tolerance), ""},
		"the servers' an hour ahead":              {ahead(time.Hour), "the clock of ZooKeeper's servers is ahead of this machine's by 1h00m or more: ages count only up to the last write"},
		"a task that waited for its creation":     {submitted(time.Hour, time.Second), ""},
		"the servers' an hour behind a client's":  {submitted(time.Second, time.Hour+time.Second), "the clock of ZooKeeper's servers is behind that of a client by 1h00m or more: ages may be too long by as much"},
		"the servers' a little behind a client's": {submitted(time.Second, 5*time.Second), ""},
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
	t.Run("ages count from the last write where the servers' is ahead", func(t *testing.T) {
		s := Summarize(ahead(time.Hour), now, Filter{})
		if got := s.Workers.List[0].Seconds; got != 3600+90 {
			t.Errorf("busy for %v s", got)
		}
		if !s.Time.Equal(now) {
			t.Errorf("read at %v, not by this machine's clock", s.Time)
		}
	})
}
