package master

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestComplaints(t *testing.T) {
	begin := func() (*complaints, *strings.Builder) {
		log := new(strings.Builder)
		return newComplaints(slog.New(slog.NewTextHandler(log, nil))), log
	}
	t.Run("are made once about each znode", func(t *testing.T) {
		c, log := begin()
		for _, path := range []string{"/tasks/a", "/tasks/b", "/tasks/a"} {
			c.tell(path, "odd")
		}
		for _, path := range []string{"/tasks/a", "/tasks/b"} {
			if n := strings.Count(log.String(), path); n != 1 {
				t.Errorf("%d lines about %s:\n%s", n, path, log)
			}
		}
	})
	t.Run("keep and show little of what may be a megabyte", func(t *testing.T) {
		c, log := begin()
		megabyte := strings.Repeat("x", 1<<20)
		c.tell("/tasks/"+megabyte, megabyte)
		if n := log.Len(); n == 0 || n > 1000 {
			t.Errorf("%d bytes of log", n)
		}
		for path := range c.told {
			if len(path) > 2*longestPath {
				t.Errorf("%d bytes of a path are kept", len(path))
			}
		}
	})
	t.Run("end with a line that says where to see the others", func(t *testing.T) {
		c, log := begin()
		for i := range 2 * mostTold {
			c.tell(fmt.Sprintf("/tasks/%d", i), "odd")
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != mostTold+1 || !strings.Contains(lines[mostTold], "client doctor") {
			t.Errorf("%d lines, the last: %s", len(lines), lines[len(lines)-1])
		}
	})
}
