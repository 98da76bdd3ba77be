package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

var errTest = errors.New("ended by the test")

// patience is how long a test waits for an event. It is shorter than recheck, which would
// hide a missing watch.
const patience = recheck - time.Second

var unwatched = session.NewRights(slog.New(slog.DiscardHandler))

func join(t *testing.T, s *session.Session) *Candidate {
	t.Helper()
	c, err := Join(s, "me", unwatched)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// five returns five candidates, each with its own session, the lowest number first.
func five(t *testing.T, root string) []*Candidate {
	t.Helper()
	var candidates []*Candidate
	for range 5 {
		candidates = append(candidates, join(t, harness.Open(t, root)))
	}
	return candidates
}

func elected(t *testing.T, c *Candidate) bool {
	t.Helper()
	leads, err := c.Election()
	if err != nil {
		t.Fatal(err)
	}
	return leads
}

// makeUnreadable creates a candidate with number 0 that nobody may read, and returns its path.
func makeUnreadable(t *testing.T, h *zktest.ManualClient, root string) string {
	t.Helper()
	path := task.MasterDir + "/secret-0000000000"
	_, chroot, _ := strings.Cut(root, "/")
	if _, err := h.Conn.Create("/"+chroot+path, nil, 0, zk.DigestACL(zk.PermAll, "someone", "else")); err != nil {
		t.Fatal(err)
	}
	return path
}

type result struct {
	term *Term
	err  error
}

// campaign campaigns in the background, until the test ends at the latest.
func campaign(ctx context.Context, c *Candidate) <-chan result {
	done := make(chan result, 1)
	go func() {
		term, err := c.Campaign(ctx)
		done <- result{term, err}
	}()
	return done
}

func outcome(t *testing.T, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		t.Fatalf("the campaign goes on after %v", patience)
		panic("unreachable")
	}
}

func await[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
	}
}

// before calls do once: when the next request of an operation that names a path comes, and
// before the server gets it. The channel is closed then. do must not use the proxy.
func before(proxy *zktest.Proxy, op zktest.Op, path string, do func(request []byte)) (met <-chan struct{}) {
	done := make(chan struct{})
	proxy.Hold(op, 1, zktest.Naming(path), func(request []byte) bool {
		select {
		case <-done:
		default:
			do(request)
			close(done)
		}
		return false
	})
	return done
}

// ended waits for the end of a term and returns its cause.
func ended(t *testing.T, term *Term) error {
	t.Helper()
	await(t, "end of the term", term.Context().Done())
	return context.Cause(term.Context())
}

func changed(t *testing.T, c *Candidate) {
	t.Helper()
	await(t, "hint for "+c.Path(), c.Changed())
}

// unchanged fails if a hint has come: what a session's watches have seen
// reaches it before the answer to anything it asks later.
func unchanged(t *testing.T, c *Candidate) {
	t.Helper()
	if err := c.s.Sync(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Changed():
		paths, all := c.hints.Take()
		t.Errorf("%s was woken: %v, %v", c.Path(), paths, all)
	default:
	}
}

// watches returns which sessions watch which paths below root.
func watches(t *testing.T, root string) map[string][]int64 {
	t.Helper()
	answer, err := zktest.Shared(t).Ask("wchp")
	if err != nil {
		t.Fatal(err)
	}
	_, chroot, _ := strings.Cut(root, "/")
	got, path, below := make(map[string][]int64), "", false
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, "\n")
		if watcher, ok := strings.CutPrefix(line, "\t"); ok {
			var id int64
			if _, err := fmt.Sscanf(watcher, "0x%x", &id); err != nil {
				t.Fatalf("wchp: %q: %v", line, err)
			}
			if below {
				got[path] = append(got[path], id)
			}
			continue
		}
		path, below = strings.CutPrefix(line, "/"+chroot)
	}
	for _, sessions := range got {
		slices.Sort(sessions)
	}
	return got
}
