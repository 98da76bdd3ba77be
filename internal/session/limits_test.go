package session

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestALowerLimitOfTheServerIsFound(t *testing.T) {
	t.Parallel()
	const limit = 262_144
	server := zktest.NewServer(t, zktest.Options{Flags: []string{fmt.Sprint("-Djute.maxbuffer=", limit)}})
	s := newSession(t, server.Addr(), patient)
	id := s.ID()
	// try repeats what has an unknown outcome, as every caller does.
	try := func(multi func(...Op) ([]Result, error), ops ...Op) error {
		for end := time.Now().Add(15 * time.Second); ; {
			_, err := multi(ops...)
			if !errors.Is(err, ErrUnknown) || time.Now().After(end) {
				return err
			}
			if err := s.Sync(); err != nil {
				return err
			}
			if _, _, err := s.Get(ops[0].Path); err == nil {
				return nil
			}
		}
	}
	if err := try(s.Multi, Create("/large", make([]byte, 300_000))); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	again := time.Now()
	if _, err := s.Multi(Create("/large", make([]byte, 300_000))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	write(t, s, Create("/fits", make([]byte, limit-200)))
	if _, suspended := s.Suspended(); suspended || s.Restored().After(again) {
		t.Error("the connection was lost once more")
	}
	// Of a group those go on that the server takes.
	group := s.NewGroup()
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			size := []int{100_000, 10, 280_000}[i%3]
			err := try(group.Multi, Create(fmt.Sprint("/", i), make([]byte, size)))
			if want := size > limit; errors.Is(err, ErrTooLarge) != want || !want && err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		})
	}
	wg.Wait()
	if s.ID() != id || s.Err() != nil {
		t.Errorf("another session: %v", s.Err())
	}
}

// Who removes things repeats that at once: what was removed is refused then. Nothing
// else may be asked over the new connection before.
func TestALowerLimitOfTheServerIsFoundByRequestsThatAreRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{Flags: []string{"-Djute.maxbuffer=262144"}})
	s := newSession(t, server.Addr(), patient)
	sent := 0
	for end := time.Now().Add(15 * time.Second); ; sent++ {
		_, err := s.Multi(Create("/large", make([]byte, 300_000)))
		if errors.Is(err, ErrTooLarge) {
			break
		}
		if !errors.Is(err, ErrUnknown) || time.Now().After(end) {
			t.Fatalf("sent %d times: %v", sent, err)
		}
	}
	if sent > 10 {
		t.Errorf("sent %d times", sent)
	}
}

// Whatever else cuts a connection at a large request, the next time it passes.
func TestLostConnectionsAloneMakeNoRequestTooLarge(t *testing.T) {
	t.Parallel()
	proxy, through := zktest.Via(t, zktest.Connect(t))
	s := newSession(t, through, func(c *Config) { c.Timeout = 20 * time.Second })
	must(t, s.EnsureDirs("/x"))
	for range 2 {
		for range 2 {
			cut := proxy.CutBefore(zktest.OpMulti, 1)
			if _, err := s.Multi(Set("/x", make([]byte, 500_000), AnyVersion)); !errors.Is(err, ErrUnknown) {
				t.Fatalf("error %v", err)
			}
			<-cut
			must(t, s.Sync())
		}
		write(t, s, Set("/x", make([]byte, 500_000), AnyVersion))
	}
	if got := s.MaxPacket(); got != MaxPacket {
		t.Errorf("at most %d bytes", got)
	}
}
