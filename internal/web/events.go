package web

import (
	"fmt"
	"net/http"
	"time"
)

const (
	pause     = 100 * time.Millisecond // the least between two lots of news to a reader
	heartbeat = 15 * time.Second       // how often something is sent, so that a dead connection is found
	sendTime  = 10 * time.Second       // how long a reader may take for that
)

// ServeHTTP sends a reader all parts as server-sent events, and from then on what changes. Of a
// part that grows an event has an array of what came; the others are sent whole.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx is to pass it on at once
	if r.Method == http.MethodHead {
		return
	}
	if !h.enter() {
		http.Error(w, fmt.Sprintf("%d read this page already", mostReaders), http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	to := http.NewResponseController(w)
	seen := make(map[string]int)
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		news, more := h.since(seen)
		_ = to.SetWriteDeadline(time.Now().Add(sendTime))
		for _, m := range news {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.part, m.json); err != nil {
				return
			}
		}
		if len(news) == 0 {
			if _, err := fmt.Fprint(w, ": here\n\n"); err != nil {
				return
			}
		}
		if to.Flush() != nil {
			return
		}
		select { // what changes soon goes together
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
		select {
		case <-more:
		case <-alive.C:
		case <-r.Context().Done():
			return
		}
	}
}
