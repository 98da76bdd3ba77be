package session

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/zktest"
)

func TestPackets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []int // cut at a request of that size; below 0: one was answered
		most   int
	}{
		{"nothing", nil, MaxPacket},
		{"two cuts", []int{500_000, 500_000}, MaxPacket},
		{"three cuts", []int{500_000, 500_000, 500_000}, 499_999},
		{"smaller ones in between", []int{500_000, -499_999, 500_000, -100_000, 500_000}, 499_999},
		{"one as large in between", []int{500_000, 500_000, -500_000, 500_000}, MaxPacket},
		{"a larger one in between", []int{500_000, 500_000, -600_000, 500_000, 500_000}, MaxPacket},
		{"of several sizes", []int{400_000, 500_000, 300_000}, 499_999},
		{"and again", []int{400_000, 500_000, 300_000, 300_000, 300_000, 300_000}, 299_999},
		{"the smallest was answered", []int{400_000, 500_000, -400_000, 300_000}, MaxPacket},
	} {
		var p packets
		for _, e := range tt.events {
			if e < 0 {
				p.taken(-e)
			} else {
				p.cut(e)
			}
		}
		if most, together := p.bounds(); most != tt.most || most < MaxPacket && together != (most+1)/2 {
			t.Errorf("%s: %d, together %d; want %d", tt.name, most, together, tt.most)
		}
	}
}

func TestServerThatTakesLess(t *testing.T) {
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

// Whatever else cuts a connection at a large request, the next time it passes.
func TestCutsByChanceMakeNoRequestTooLarge(t *testing.T) {
	t.Parallel()
	proxy, through := zktest.Via(t, zktest.Connect(t))
	s := newSession(t, through, func(c *Config) { c.Timeout = 20 * time.Second })
	must(t, s.EnsureDirs("/x"))
	for range 2 {
		for range cutsEnough - 1 {
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
