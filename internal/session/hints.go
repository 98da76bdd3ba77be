package session

import (
	"strings"
	"sync"
)

// Hints collects the paths whose watch has fired, for one owner, until the owner takes
// them. After a reconnect, and when more than mostHints paths wait, Take reports all: the
// owner must read every watched path.
type Hints struct {
	// C receives when there are hints to take.
	C <-chan struct{}

	wake chan struct{}
	mu   sync.Mutex // guards the rest
	set  map[string]Hint
	all  bool
}

// Hint counts the events of one path.
type Hint struct {
	Times int  // how many events there were
	Gone  bool // the last event was the deletion of the znode
}

// mostHints is how many paths may wait to be taken. They need about 15 MB.
const mostHints = 100_000

// Take returns the hints since the last call, by path. If all is set, the owner must read
// every watched path: the connection was lost meanwhile, and with it every persistent
// watch; or more than mostHints paths have changed.
func (h *Hints) Take() (paths map[string]Hint, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths, h.set = h.set, make(map[string]Hint)
	all, h.all = h.all, false
	return paths, all
}

func (h *Hints) add(path string, gone bool) {
	h.change(func() {
		if len(h.set) >= mostHints {
			h.all = true
		} else {
			h.set[path] = Hint{h.set[path].Times + 1, gone}
		}
	})
}

func (h *Hints) addAll() { h.change(func() { h.all = true }) }

func (h *Hints) change(do func()) {
	h.mu.Lock()
	do()
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hub routes events to the Hints of their paths.
type hub struct {
	mu    sync.Mutex // guards byKey
	byKey map[string]*Hints
}

// Hints returns the hints for the given keys: a path, or a path ending in "/" for all its
// children. A key has one owner at a time.
func (s *Session) Hints(keys ...string) *Hints {
	wake := make(chan struct{}, 1)
	h := &Hints{C: wake, wake: wake, set: make(map[string]Hint)}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, k := range keys {
		s.hub.byKey[k] = h
	}
	return h
}

// Forget stops the hints for the given keys.
func (s *Session) Forget(keys ...string) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, k := range keys {
		delete(s.hub.byKey, k)
	}
}

func (b *hub) fired(path string, gone bool) {
	dir := path[:strings.LastIndexByte(path, '/')+1]
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range []string{path, dir} {
		if h := b.byKey[key]; h != nil {
			h.add(path, gone)
		}
	}
}

func (b *hub) all() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.byKey {
		h.addAll()
	}
}
