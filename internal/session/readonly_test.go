package session

import (
	"fmt"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

// A server that lost its quorum turns read-only after a while, if it is told to. It
// refuses this session, as a server does whose data was removed.
func TestAReadOnlyServerDoesNotEndTheSession(t *testing.T) {
	t.Parallel()
	e, err := zktest.StartEnsemble(3, zktest.Options{Flags: []string{"-Dreadonlymode.enabled=true"}})
	must(t, err)
	t.Cleanup(e.Stop)
	const limit = time.Second
	s := newSession(t, e.Connect(), giveUp(limit), patient)
	id := s.ID()
	e.Servers[0].Kill()
	e.Servers[1].Kill()
	left := e.Servers[2]
	var since time.Time
	zktest.Eventually(t, "a read-only server for longer than GiveUp", func() (bool, string) {
		mode, err := left.Mode()
		switch {
		case mode != "read-only":
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		return !since.IsZero() && time.Since(since) > 4*limit, fmt.Sprint(mode, err, since)
	})
	if err := s.Err(); err != nil {
		t.Fatalf("the session was given up: %v", err)
	}
	must(t, e.Restart())
	proven(t, s, id)
}
