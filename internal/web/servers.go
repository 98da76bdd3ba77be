package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/zkwire"
)

// server is what a ZooKeeper server reports about itself.
type server struct {
	Address     string `json:"address"`
	Mode        string `json:"mode"`        // "leader", "follower", "observer", "standalone"; "": see Error
	Latency     string `json:"latency"`     // "min / mean / max" in milliseconds
	Connections string `json:"connections"` // of clients
	Error       string `json:"error,omitempty"`
}

// servers is the part "servers".
type servers struct {
	List   []server  `json:"list"`
	Away   time.Time `json:"away,omitzero"`    // since when no server serves
	Lost   time.Time `json:"lost,omitzero"`    // since when this page has no connection, although a server serves
	Quorum string    `json:"quorum,omitempty"` // a text: how many more may fail, if several are listed and one serves
	Spare  int       `json:"spare"`            // how many more may fail
}

const (
	serversEvery  = 2 * time.Second
	serverAnswers = time.Second
)

// askServers asks the servers for their state, while somebody looks, until ctx ends.
func (p *Page) askServers(ctx context.Context) {
	var away time.Time // since when no server serves; zero: one serves, or unknown
	for ctx.Err() == nil {
		first, again := p.hub.first(), time.After(serversEvery)
		if p.hub.watched() {
			away = p.askAll(ctx, away)
		} else {
			again, away = nil, time.Time{}
		}
		select {
		case <-again:
		case <-first:
			away = time.Time{}
		case <-ctx.Done():
		}
	}
}

// askAll shows the state of the servers. It takes and returns the time since when none serves.
func (p *Page) askAll(ctx context.Context, away time.Time) time.Time {
	s := servers{List: make([]server, len(p.cfg.Address.Servers))}
	var g errgroup.Group
	for i, address := range p.cfg.Address.Servers {
		g.Go(func() error {
			s.List[i] = p.ask(ctx, address)
			s.List[i].Address = address
			return nil
		})
	}
	_ = g.Wait()
	if !slices.ContainsFunc(s.List, server.serves) {
		s.Away = p.lostAt(cmp.Or(away, time.Now()))
	} else {
		s.Lost = p.lostAt(time.Time{})
		s.Quorum, s.Spare = quorum(s.List)
	}
	p.hub.renew("servers", s)
	return s.Away
}

// serves reports whether a server takes writes: it is part of a majority, or alone.
func (s server) serves() bool { return s.Mode != "" && s.Mode != "read-only" }

// quorum says how many of the listed servers serve, without observers, and how many more may fail
// before there is no majority. It returns "" for a single server.
func quorum(all []server) (text string, spare int) {
	voters, serving := 0, 0
	for _, s := range all {
		switch {
		case s.Mode == "observer":
			continue
		case s.Mode == "standalone":
			return "", 0
		case s.serves():
			serving++
		}
		voters++
	}
	if voters < 2 {
		return "", 0
	}
	text = fmt.Sprintf("%d of %d servers serve: ", serving, voters)
	switch spare = serving - voters/2 - 1; {
	case spare < 0: // but a server serves
		text += "that is a majority only with others that are not listed, or cannot be reached from here."
	case spare == 0:
		text += "one more failure stops everything."
	case spare == 1:
		text += "one more may fail."
	default:
		text += fmt.Sprintf("%d more may fail.", spare)
	}
	return text, spare
}

// rounded makes the latency of a server, such as "0/3.0427/89", readable.
func rounded(latency string) string {
	parts := strings.Split(latency, "/")
	if len(parts) != 3 {
		return latency
	}
	if mean, err := strconv.ParseFloat(parts[1], 64); err == nil {
		parts[1] = strconv.FormatFloat(mean, 'f', 1, 64)
	}
	return strings.Join(parts, " / ")
}

// lostAt is since when the page's session has no connection; otherwise if it has a connection, or
// there is no session.
func (p *Page) lostAt(otherwise time.Time) time.Time {
	if s := p.session.Load(); s != nil {
		if since, suspended := s.Suspended(); suspended {
			return since
		}
	}
	return otherwise
}

// ask asks a server.
func (p *Page) ask(ctx context.Context, address string) (s server) {
	ctx, cancel := context.WithTimeoutCause(ctx, serverAnswers, fmt.Errorf("no answer within %s", serverAnswers))
	defer cancel()
	answer, err := zkwire.Ask(ctx, address, p.cfg.TLS, "srvr")
	if err != nil {
		s.Error = shown(cmp.Or(context.Cause(ctx), err).Error())
		return s
	}
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case key == "Mode":
			s.Mode = shown(value)
		case strings.HasPrefix(key, "Latency"):
			s.Latency = rounded(shown(value))
		case key == "Connections":
			s.Connections = shown(value)
		}
	}
	if s.Mode == "" {
		s.Error = shown(strings.TrimSpace(answer)) // "This ZooKeeper instance is not currently serving requests"
	}
	return s
}
