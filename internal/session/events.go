package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
)

// onEvent runs on the library's goroutines: it must not block, nor call the library.
func (s *Session) onEvent(ev zk.Event) {
	switch {
	case ev.Type != zk.EventSession:
		path := strings.TrimPrefix(ev.Path, s.cfg.Address.Chroot)
		if path == access.Znode {
			s.policy.watched.Store(false)
			s.policy.changes.Add(1)
		}
		s.hub.fired(path, ev.Type == zk.EventNodeDeleted)
	case ev.State == zk.StateHasSession:
		s.connected(ev.Server)
	case ev.State == zk.StateDisconnected:
		s.disconnected()
	case ev.State == zk.StateExpired:
		s.over(zk.ErrSessionExpired) // before the library goes on: from now on dial fails
	}
}

func (s *Session) connected(server string) {
	s.mu.Lock()
	away := time.Duration(0)
	if !s.lostAt.IsZero() {
		away = time.Since(s.lostAt)
	}
	if s.cfg.again || !s.lostAt.IsZero() {
		s.backAt = time.Now()
	}
	s.policy.changes.Add(1)
	if s.lapsing != nil && !s.lapsing.Stop() {
		s.live, s.lapse = context.WithCancel(s.ctx) // the old context has ended, or ends right now
	}
	s.lapsing, s.lostAt, s.lastRefusal = nil, time.Time{}, time.Time{}
	s.hub.all() // whoever sees the connection has the hint
	close(s.up)
	s.mu.Unlock()

	attrs := []any{"session", fmt.Sprintf("%#x", s.ID()), "server", server}
	first := s.reported.CompareAndSwap(false, true)
	s.cfg.Meter.Connected(first)
	if first {
		s.log.Info("connected", append(attrs, "timeout", s.Timeout())...)
		if s.Timeout() != s.cfg.Timeout {
			s.log.Warn("the server granted another session timeout than was asked for", "asked", s.cfg.Timeout, "granted", s.Timeout())
		}
	} else {
		s.log.Warn("connected again", append(attrs, "away", away.Round(time.Millisecond))...)
	}
}

func (s *Session) disconnected() {
	s.mu.Lock()
	select {
	case <-s.up:
	default:
		s.mu.Unlock()
		return // was not connected
	}
	s.up = make(chan struct{})
	s.lostAt = time.Now()
	s.lapsing = time.AfterFunc(s.Timeout()-s.wire.Silence(), s.lapse)
	s.mu.Unlock()
	s.cfg.Meter.Disconnected()
	if s.ctx.Err() == nil {
		s.log.Warn("connection lost")
	}
	s.hub.all()
}
