package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// These sessions hold no watches, so that they may reconnect under the race
// detector.

func giveUp(d time.Duration) func(*Config) { return func(c *Config) { c.GiveUp = d } }

// patient is for sessions that outlast a restart: on a busy machine seconds of
// their timeouts pass between the server's start and its first answer.
func patient(c *Config) { c.Timeout = 8 * time.Second }

// calm is for sessions whose servers have so much to do that they are silent for seconds.
func calm(c *Config) { c.Timeout = 30 * time.Second }

// proven fails the test unless the session still is the one it was.
func proven(t *testing.T, s *Session, id int64) {
	t.Helper()
	zktest.Eventually(t, "reconnect", func() (bool, string) {
		ok, seen := connected(s)()
		return ok || s.Err() != nil, seen
	})
	// The loss of the last connection may show only now.
	zktest.Eventually(t, "write", func() (bool, string) {
		_, err := s.Multi(CreateEphemeralSequential("/proof-", nil))
		return err == nil || !errors.Is(err, ErrUnknown), fmt.Sprint(err)
	})
	if err := s.Err(); err != nil || s.ID() != id {
		t.Fatalf("session %#x, error %v; was %#x", s.ID(), err, id)
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	t.Run("of_any_length_does_not_end_the_session", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr(), giveUp(time.Second), patient)
		id, live, h := s.ID(), s.Live(), s.Hints("/x")
		write(t, s, CreateEphemeral("/x", []byte("1")))

		server.Kill()
		zktest.Eventually(t, "suspension", suspended(s))
		if _, all := take(t, h); !all {
			t.Error("hints do not say all when the connection is lost")
		}
		var readers sync.WaitGroup
		for range 30 { // more than go-zookeeper queues
			readers.Go(func() {
				if data, _, err := s.Get("/x"); err != nil || string(data) != "1" {
					t.Errorf("read %q, %v", data, err)
				}
			})
		}
		readers.Go(func() {
			if _, err := s.Multi(Create("/y", nil)); err != nil {
				t.Errorf("a write begun meanwhile: %v", err)
			}
		})
		zktest.Eventually(t, "end of Live", ended(live))
		if since, is := s.Suspended(); !is || time.Since(since) < 3*time.Second {
			t.Errorf("suspended %v, since %s", is, since)
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}

		must(t, server.Restart())
		readers.Wait()
		proven(t, s, id)
		if s.Live().Err() != nil {
			t.Error("not live again")
		}
		if live.Err() == nil {
			t.Error("what was no longer live is again")
		}
		if _, all := take(t, h); !all {
			t.Error("hints do not say all after the reconnect")
		}
	})
	t.Run("that_is_short_leaves_it_live", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t), func(c *Config) { c.Timeout = 10 * time.Second })
		id, live, h := s.ID(), s.Live(), s.Hints("/x")
		cut(s)
		take(t, h)
		proven(t, s, id)
		if live.Err() != nil || s.Live() != live {
			t.Error("not live")
		}
		if time.Since(s.Restored()) > time.Minute {
			t.Errorf("restored at %s", s.Restored())
		}
	})
	t.Run("makes_the_outcome_of_a_write_unknown", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr(), patient)
		id, group := s.ID(), s.NewGroup()
		server.Pause()
		var sent sync.WaitGroup
		for name, multi := range map[string]func(...Op) ([]Result, error){"alone": s.Multi, "in a group": group.Multi} {
			sent.Go(func() {
				_, err := multi(Create("/x", nil))
				var refused *OpError
				if !errors.Is(err, ErrUnknown) || errors.Is(err, ErrOver) || errors.As(err, &refused) {
					t.Errorf("%s: error %v", name, err)
				}
			})
		}
		sent.Wait() // the server is silent for two thirds of the timeout
		server.Kill()
		must(t, server.Restart())
		must(t, s.Sync())
		if _, _, err := s.Get("/x"); !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("read: %v", err)
		}
		proven(t, s, id)
	})
	t.Run("amid_writes_loses_none_that_was_answered", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr(), patient)
		id, group := s.ID(), s.NewGroup()
		must(t, s.EnsureDirs("/p"))
		var wg sync.WaitGroup
		var written, unknown atomic.Int64
		stop := make(chan struct{})
		var mu sync.Mutex
		var answered []string
		for i := range 40 {
			multi := s.Multi
			if i%2 == 0 {
				multi = group.Multi
			}
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					path := fmt.Sprintf("/p/%d-%d", i, n)
					_, err := multi(Create(path, nil))
					switch {
					case err == nil:
						written.Add(1)
						mu.Lock()
						answered = append(answered, path)
						mu.Unlock()
					case errors.Is(err, ErrUnknown):
						unknown.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		more := func(n int64) {
			goal := written.Load() + n
			zktest.Eventually(t, "writes", func() (bool, string) {
				now := written.Load()
				return now >= goal, fmt.Sprint(now)
			})
		}
		more(300)
		server.Kill()
		must(t, server.Restart())
		more(300)
		cut(s)
		more(300)
		close(stop)
		wg.Wait()
		proven(t, s, id)
		must(t, s.Sync())
		names, _, err := s.Children("/p")
		must(t, err)
		there := map[string]bool{}
		for _, n := range names {
			there["/p/"+n] = true
		}
		for _, path := range answered {
			if !there[path] {
				t.Errorf("%s is lost", path)
			}
		}
		if extra := len(there) - len(answered); extra > int(unknown.Load()) {
			t.Errorf("%d znodes too many, %d of unknown outcome", extra, unknown.Load())
		}
	})
	t.Run("of_a_silent_server_ends_Live_after_the_timeout", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr())
		server.Pause()
		paused := time.Now()
		live := s.Live()
		zktest.Eventually(t, "suspension", suspended(s))
		if live.Err() != nil {
			t.Error("Live ended with the connection")
		}
		zktest.Eventually(t, "end of Live", ended(live))
		// The server may have been heard up to one ping, a third, earlier.
		if took := time.Since(paused); took < testTimeout/2 || took > testTimeout+time.Second {
			t.Errorf("Live ended after %s", took)
		}
		if err := s.Err(); err != nil {
			t.Errorf("error %v", err)
		}
		server.Resume()
		// A server that wakes ends old sessions, unless they are faster.
		zktest.Eventually(t, "end of the session, or Live", func() (bool, string) {
			return errors.Is(s.Err(), zk.ErrSessionExpired) || s.Live().Err() == nil, fmt.Sprint(s.Err())
		})
	})
	t.Run("of_one_server_among_others_costs_no_session", func(t *testing.T) {
		t.Parallel()
		mute := listen(t, silent)
		connect := mute + "," + zktest.Connect(t)
		s := newSession(t, connect, func(c *Config) { c.Timeout = 3 * time.Second })
		id, live := s.ID(), s.Live()
		for range 3 {
			began := time.Now()
			cut(s) // the next in turn is the silent one
			zktest.Eventually(t, "suspension", suspended(s))
			proven(t, s, id)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("away for %s", took)
			}
		}
		if live.Err() != nil {
			t.Error("not live")
		}
	})
	t.Run("that_is_as_short_as_an_election_is_over_soon", func(t *testing.T) {
		for name, addresses := range map[string]func(*Config){
			"one_address":     func(*Config) {},
			"three_addresses": threefold,
		} {
			t.Run(name, func(t *testing.T) {
				proxy, via := zktest.Via(t, zktest.Connect(t))
				s := newSession(t, via, addresses, patient)
				id := s.ID()
				proxy.Refuse(true)
				zktest.Eventually(t, "suspension", suspended(s))
				<-time.After(300 * time.Millisecond) // the election
				proxy.Refuse(false)
				began := time.Now()
				zktest.Eventually(t, "reconnect", connected(s))
				if took := time.Since(began); took > 450*time.Millisecond {
					t.Errorf("took %v", took)
				}
				proven(t, s, id)
			})
		}
	})
	t.Run("that_wiped_the_server_ends_the_session", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr(), giveUp(1500*time.Millisecond))
		for i := range 50 { // it has seen more than the new server will have
			write(t, s, Create(fmt.Sprintf("/%d", i), nil))
		}
		server.Kill()
		must(t, os.RemoveAll(server.DataDir()))
		back := time.Now()
		must(t, server.Restart())
		zktest.Eventually(t, "end of the session", ended(s))
		if took := time.Since(back); took < 1500*time.Millisecond {
			t.Errorf("given up after %s", took)
		}
		if err := s.Err(); !errors.Is(err, ErrOver) || !strings.Contains(err.Error(), server.Addr()+" serves, but has refused this session") {
			t.Errorf("error %v", err)
		}
		write(t, newSession(t, server.Addr()), Create("/0", nil))
	})
	// After a long outage the first server that is back may lag behind the others.
	t.Run("is_not_held_against_it_by_the_first_server_that_is_back", func(t *testing.T) {
		t.Parallel()
		var refusals atomic.Int32
		var lags atomic.Bool
		lagging := listen(t, func(c net.Conn) {
			if !lags.Load() {
				return
			}
			word := make([]byte, 4)
			if _, err := io.ReadFull(c, word); err == nil && string(word) == "srvr" {
				_, _ = io.WriteString(c, "Zookeeper version: 3.8.0\nMode: follower\n")
				refusals.Add(1)
				lags.Store(false)
			}
		})
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, lagging+","+server.Addr(), giveUp(time.Second), patient)
		id := s.ID()
		server.Kill()
		zktest.Eventually(t, "a long outage", func() (bool, string) {
			since, is := s.Suspended()
			return is && time.Since(since) > 2*time.Second, fmt.Sprint(is, since)
		})
		lags.Store(true)
		zktest.Eventually(t, "refusal", func() (bool, string) {
			n := refusals.Load()
			return n > 0, fmt.Sprint(n)
		})
		must(t, server.Restart())
		proven(t, s, id)
	})
}

func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*zktest.Server){
		"down":   (*zktest.Server).Kill,
		"paused": (*zktest.Server).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := zktest.NewServer(t, zktest.Options{})
			s := newSession(t, server.Addr())
			write(t, s, Create("/x", nil))
			fault(server)
			zktest.Eventually(t, "suspension", suspended(s))
			var stuck sync.WaitGroup
			for range 30 {
				stuck.Go(func() {
					if _, _, err := s.Get("/x"); !errors.Is(err, ErrOver) {
						t.Errorf("read: %v", err)
					}
				})
			}
			began := time.Now()
			s.Close()
			stuck.Wait()
			s.Close()
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	t.Run("ends_before_the_session_knows_that_it_is_away", func(t *testing.T) {
		t.Parallel()
		server := zktest.NewServer(t, zktest.Options{})
		s := newSession(t, server.Addr(), func(c *Config) { c.Timeout = 20 * time.Second })
		server.Pause()
		var stuck sync.WaitGroup
		for i := range 40 { // so much that the socket does not take it
			stuck.Go(func() {
				if _, err := s.Multi(Create(fmt.Sprintf("/%d", i), make([]byte, MaxPacket/2))); !errors.Is(err, ErrOver) {
					t.Errorf("write: %v", err)
				}
			})
		}
		began := time.Now()
		s.Close()
		stuck.Wait()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
