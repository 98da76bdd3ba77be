package web

import (
	"fmt"
	"net/http"
	"time"
)

const (
	pause     = 100 * time.Millisecond // the least time between two batches of events to a reader
	beatEvery = 2 * time.Second        // the most: a reader reports a longer silence
	sendTime  = 10 * time.Second       // how long a reader may take for a batch
)

// ServeHTTP sends a reader all parts as server-sent events, and then every change. The event of a
// growing part has an array of the new lines; other parts are sent whole. Each batch begins with
// the event "beat", the time of this master's clock in ms, from which readers compute ages.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx must pass it on at once
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
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		news, more := h.since(seen)
		_ = to.SetWriteDeadline(time.Now().Add(sendTime))
		news = append([]message{{"beat", encode(time.Now().UnixMilli())}}, news...)
		for _, m := range news {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.part, m.json); err != nil {
				return
			}
		}
		if to.Flush() != nil {
			return
		}
		select { // changes within the pause go together
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
		select {
		case <-more:
		case <-beat.C:
		case <-r.Context().Done():
			return
		}
	}
}
