package session

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// tally is a Meter that keeps its counts.
type tally struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

func (m *tally) add(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

func (m *tally) of(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[what]
}

func (m *tally) Request(kind string, _ time.Time) { m.add(kind) }
func (m *tally) Operation(kind string)            { m.add("operation " + kind) }
func (m *tally) Connected(first bool)             { m.add(fmt.Sprint("connected ", first)) }
func (m *tally) Disconnected()                    { m.add("disconnected") }

func TestMeter(t *testing.T) {
	m := &tally{counts: map[string]int{}}
	s := newSession(t, zktest.Connect(t), calm, func(c *Config) { c.Meter = m })
	must(t, s.EnsureDirs("/a"))
	kinds := map[string]func(){
		"exists":  func() { _, err := s.Stat("/a"); must(t, err) },
		"get":     func() { _, _, err := s.Get("/a"); must(t, err) },
		"list":    func() { _, _, err := s.Children("/a"); must(t, err) },
		"get_acl": func() { _, _, err := s.ACL("/a"); must(t, err) },
		"set_acl": func() { must(t, s.SetACL("/a", zk.WorldACL(zk.PermAll), 0)) },
		"sync":    func() { must(t, s.Sync()) },
		"multi":   func() { write(t, s, Create("/a/b", nil), Set("/a", nil, AnyVersion)) },
	}
	for kind, do := range kinds {
		t.Run(kind+" is counted once, and nothing else", func(t *testing.T) {
			before := map[string]int{}
			for k := range kinds {
				before[k] = m.of(k)
			}
			do()
			before[kind]++
			for k := range kinds {
				if got := m.of(k); got != before[k] {
					t.Errorf("%s: %d, want %d", k, got, before[k])
				}
			}
		})
	}
	if c, set := m.of("operation create"), m.of("operation set"); c != 1 || set != 1 {
		t.Errorf("operations: %v", m.counts)
	}
	t.Run("a lost connection is counted, and one found again, but no session", func(t *testing.T) {
		cut(s)
		zktest.Eventually(t, "connected again", func() (bool, string) {
			return m.of("connected false") == 1, fmt.Sprint(m.of("connected false"))
		})
		if first, lost := m.of("connected true"), m.of("disconnected"); first != 1 || lost != 1 {
			t.Errorf("%d sessions, lost %d times", first, lost)
		}
	})
	t.Run("the end of a session is counted as a lost connection", func(t *testing.T) {
		s.Close()
		zktest.Eventually(t, "disconnected", func() (bool, string) {
			return m.of("disconnected") == 2, fmt.Sprint(m.of("disconnected"))
		})
	})
}
