package web

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/zkwire"
)

// server is what a ZooKeeper server says of itself.
type server struct {
	Address     string `json:"address"`
	Mode        string `json:"mode"`        // "leader", "follower", "observer", "standalone"; "": see Error
	Latency     string `json:"latency"`     // min/avg/max in milliseconds
	Connections string `json:"connections"` // of clients
	Error       string `json:"error,omitempty"`
}

// servers is the part "servers".
type servers struct {
	List   []server   `json:"list"`
	Away   *time.Time `json:"away,omitempty"` // since when none serves
	Quorum bool       `json:"quorum"`         // one serves
}

const (
	serversEvery  = 2 * time.Second
	serverAnswers = time.Second
)

// askServers asks the servers how they are, while somebody looks, until ctx ends.
func (p *Page) askServers(ctx context.Context) {
	var away *time.Time
	for ; ctx.Err() == nil; wait(ctx, serversEvery) {
		if first := p.hub.first(); !p.hub.watched() {
			select {
			case <-first:
			case <-ctx.Done():
				return
			}
		}
		s := servers{List: make([]server, len(p.cfg.Address.Servers))}
		var g errgroup.Group
		for i, address := range p.cfg.Address.Servers {
			g.Go(func() error {
				s.List[i] = p.ask(ctx, address)
				return nil
			})
		}
		_ = g.Wait()
		for _, one := range s.List {
			s.Quorum = s.Quorum || one.Mode != ""
		}
		if s.Quorum {
			away = nil
		} else if away == nil {
			now := time.Now()
			away = &now
		}
		s.Away = away
		p.hub.set("servers", s)
	}
}

// ask asks a server.
func (p *Page) ask(ctx context.Context, address string) server {
	ctx, cancel := context.WithTimeout(ctx, serverAnswers)
	defer cancel()
	s := server{Address: address}
	answer, err := zkwire.Ask(ctx, address, p.cfg.TLS, "srvr")
	if err != nil {
		s.Error = shown(err.Error())
		return s
	}
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case key == "Mode":
			s.Mode = shown(value)
		case strings.HasPrefix(key, "Latency"):
			s.Latency = shown(value)
		case key == "Connections":
			s.Connections = shown(value)
		}
	}
	if s.Mode == "" {
		s.Error = shown(strings.TrimSpace(answer)) // "This ZooKeeper instance is not currently serving requests"
	}
	return s
}
