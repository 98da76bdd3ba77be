package session

import (
	"strings"
	"sync"
)

// Hints collects the paths of which a watch has fired, for one owner, until
// the owner takes them. Nothing is lost but in a reconnect, or of an owner that takes
// none for long: either hints at all.
type Hints struct {
	// C receives when there is something to take.
	C <-chan struct{}

	wake chan struct{}
	mu   sync.Mutex // guards the rest
	set  map[string]Hint
	all  bool
}

// Hint is what the watches of one path have told.
type Hint struct {
	Times int  // how often they have
	Gone  bool // the last one did of the znode's end
}

// mostHints is how many paths wait to be taken: some 15 MB.
const mostHints = 100_000

// Take returns what has been hinted at since the last call, by path. With
// all set, every watched path is to be read again: the connection was lost meanwhile,
// and with it every persistent watch, or more was hinted at than is kept.
func (h *Hints) Take() (paths map[string]Hint, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths, h.set = h.set, make(map[string]Hint)
	all, h.all = h.all, false
	return paths, all
}

func (h *Hints) add(path string, gone bool) {
	h.tell(func() {
		if len(h.set) >= mostHints {
			h.all = true
		} else {
			h.set[path] = Hint{h.set[path].Times + 1, gone}
		}
	})
}

func (h *Hints) addAll() { h.tell(func() { h.all = true }) }

func (h *Hints) tell(what func()) {
	h.mu.Lock()
	what()
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hub routes events to the Hints that asked for them.
type hub struct {
	mu    sync.Mutex // guards byKey
	byKey map[string]*Hints
}

// Hints returns the hints for the given keys: a path, or a path ending in "/"
// for all its children. Each key has one owner at a time.
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

// Forget ends what Hints began.
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
