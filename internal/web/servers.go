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

// server is what a ZooKeeper server says of itself.
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
	Away   time.Time `json:"away,omitzero"`    // since when none serves
	Lost   time.Time `json:"lost,omitzero"`    // since when this page has no connection, though one serves
	Quorum string    `json:"quorum,omitempty"` // how many more may fail, if several are listed and one serves
	Spare  int       `json:"spare"`            // so many
}

const (
	serversEvery  = 2 * time.Second
	serverAnswers = time.Second
)

// askServers asks the servers how they are, while somebody looks, until ctx ends.
func (p *Page) askServers(ctx context.Context) {
	var away time.Time // since when none serves; zero: one does, or it is not known
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

// askAll shows how the servers are. It takes and returns since when none serves.
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

// serves tells whether a server takes writes: it is one of a majority, or alone.
func (s server) serves() bool { return s.Mode != "" && s.Mode != "read-only" }

// quorum tells how many of the servers that are listed, observers aside, serve, and how many
// more may fail before no majority does. It says nothing of a server alone.
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
	case spare < 0: // but they do
		text += "a majority does, so there are others that are not listed, or cannot be reached from here."
	case spare == 0:
		text += "one more failure stops everything."
	case spare == 1:
		text += "one more may fail."
	default:
		text += fmt.Sprintf("%d more may fail.", spare)
	}
	return text, spare
}

// rounded is a latency as people read it, of the "0/3.0427/89" that a server tells.
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

// lostAt is since when the page's session has no connection; if it has one, or there is no
// session, it is what is given.
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
