package web

import (
	"encoding/json"
	"maps"
	"sync"
)

// hub holds the parts of the page, each as JSON, and wakes its readers when a part has
// changed.
type hub struct {
	mu      sync.Mutex // guards the rest
	parts   map[string]part
	changed chan struct{} // closed at the next change
	readers int
	came    chan struct{} // closed at the next first reader
}

// part is a part of the page: it is replaced as a whole, or grows by lines.
type part struct {
	version int
	json    []byte   // the whole part; nil: it grows
	lines   [][]byte // of a growing part, the last lines
	first   int      // the version before the first of the lines
	watched bool     // see renew
}

func newHub() *hub {
	return &hub{parts: make(map[string]part), changed: make(chan struct{}), came: make(chan struct{})}
}

// set replaces a part.
func (h *hub) set(name string, v any) { h.replace(name, v, false) }

// renew is set for a part that is renewed only while somebody reads. It is dropped with the last
// reader, so that a later reader does not get an old one.
func (h *hub) renew(name string, v any) { h.replace(name, v, true) }

func (h *hub) replace(name string, v any, watched bool) {
	text := encode(v)
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.parts[name]
	if string(p.json) == string(text) || watched && h.readers == 0 {
		return
	}
	p.json, p.watched = text, watched
	p.version++
	h.parts[name] = p
	h.wake()
}

// add adds a line to a growing part; the last keep lines are kept.
func (h *hub) add(name string, keep int, v any) {
	text := encode(v)
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.parts[name]
	p.version++
	p.lines = append(p.lines, text)
	if over := len(p.lines) - keep; over > 0 {
		p.lines = append([][]byte(nil), p.lines[over:]...)
	}
	p.first = p.version - len(p.lines)
	h.parts[name] = p
	h.wake()
}

// wake is called with mu held.
func (h *hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// message is a part, or the new lines of a growing part, for a reader.
type message struct {
	part string
	json []byte
}

// since returns the messages that a reader has not seen, and records them in seen. It also returns
// a channel that is closed at the next change.
func (h *hub) since(seen map[string]int) (news []message, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.parts {
		before := seen[name]
		switch {
		case before == p.version:
			continue
		case p.json != nil:
			news = append(news, message{name, p.json})
		default:
			news = append(news, message{name, joined(p.lines[max(0, before-p.first):])})
		}
		seen[name] = p.version
	}
	return news, h.changed
}

// joined makes a JSON array of lines.
func joined(lines [][]byte) []byte {
	all := []byte{'['}
	for i, l := range lines {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, l...)
	}
	return append(all, ']')
}

// mostReaders is how many may read the page at once.
const mostReaders = 200

// enter counts a reader, unless there are too many.
func (h *hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers >= mostReaders {
		return false
	}
	if h.readers++; h.readers == 1 {
		close(h.came)
		h.came = make(chan struct{})
	}
	return true
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers--; h.readers == 0 {
		maps.DeleteFunc(h.parts, func(_ string, p part) bool { return p.watched })
	}
}

// first is closed when a reader comes and there is no other: then the parts may be old.
func (h *hub) first() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.came
}

// watched reports whether anybody reads.
func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers > 0
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types can be encoded
	}
	return text
}
