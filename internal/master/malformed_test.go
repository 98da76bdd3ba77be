package master

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestMalformedZnodes(t *testing.T) {
	begin := func() (*malformed, *strings.Builder) {
		log := new(strings.Builder)
		return newMalformed(slog.New(slog.NewTextHandler(log, nil))), log
	}
	t.Run("are logged once each", func(t *testing.T) {
		c, log := begin()
		for _, path := range []string{"/tasks/a", "/tasks/b", "/tasks/a"} {
			c.warn(path, "odd")
		}
		for _, path := range []string{"/tasks/a", "/tasks/b"} {
			if n := strings.Count(log.String(), path); n != 1 {
				t.Errorf("%d lines about %s:\n%s", n, path, log)
			}
		}
	})
	t.Run("take little memory and log when they are a megabyte long", func(t *testing.T) {
		c, log := begin()
		megabyte := strings.Repeat("x", 1<<20)
		c.warn("/tasks/"+megabyte, megabyte)
		if n := log.Len(); n == 0 || n > 1000 {
			t.Errorf("%d bytes of log", n)
		}
		for path := range c.warned {
			if len(path) > 2*longestPath {
				t.Errorf("%d bytes of a path are kept", len(path))
			}
		}
	})
	t.Run("beyond the first thousand are left to client doctor", func(t *testing.T) {
		c, log := begin()
		for i := range 2 * mostWarned {
			c.warn(fmt.Sprintf("/tasks/%d", i), "odd")
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != mostWarned+1 || !strings.Contains(lines[mostWarned], "client doctor") {
			t.Errorf("%d lines, the last: %s", len(lines), lines[len(lines)-1])
		}
	})
}
