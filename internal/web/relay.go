package web

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// relay shows on a backup's page what the leader's page shows of tasks and workers, while
// somebody looks. It reads that page as a browser does, and ends with ctx.
func (p *Page) relay(ctx context.Context, s *session.Session) error {
	for ; ctx.Err() == nil; wait(ctx, time.Second) {
		if p.leader.Leads() || !p.hub.watched() {
			continue
		}
		leader, known := p.first()
		if !known {
			p.hub.set("view", view{Note: "Nobody leads."})
			continue
		}
		address, err := p.addressOf(s, leader)
		if err == nil {
			err = p.follows(ctx, leader, address)
		}
		if errors.Is(err, session.ErrOver) {
			return err
		}
		if err != nil && ctx.Err() == nil && !p.leader.Leads() {
			p.hub.set("view", view{Note: fmt.Sprintf("%s leads. Its page, which has the tasks and the workers, cannot be shown here: %s", leader.Who, shown(err.Error()))})
		}
	}
	return nil
}

// first is the candidate that leads, or is about to.
func (p *Page) first() (c candidate, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ballot.Candidates) == 0 {
		return c, false
	}
	return p.ballot.Candidates[0], true
}

var errNoPage = errors.New("it serves none (--http)")

// addressOf finds where a master says that it serves HTTP: in the znode of its process under
// /members, which ends with the same session as its candidate.
func (p *Page) addressOf(s *session.Session, c candidate) (string, error) {
	names, _, err := s.Children(task.MembersDir)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if _, _, pid := task.ParseWorkerName(name); !strings.HasSuffix(c.Who, fmt.Sprintf(":%d", pid)) {
			continue
		}
		data, stat, err := s.Get(task.MemberPath(name))
		switch {
		case errors.Is(err, zk.ErrNoNode):
			continue
		case err != nil:
			return "", err
		case stat.EphemeralOwner != c.owner:
			continue
		}
		address := member.Parse(data).HTTP
		if address == "" {
			return "", errNoPage
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return "", fmt.Errorf("%s says %q", task.MemberPath(name), address)
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() && !strings.HasPrefix(c.Who, p.host+":") {
			return "", errors.New("it is to be reached on its own machine alone (--http HOST:PORT)")
		}
		return address, nil
	}
	return "", errNoPage
}

// mostEvent bounds what is taken from another page at a time, in bytes.
const mostEvent = 4 << 20

// follows shows what a page shows, while its master leads and somebody looks.
func (p *Page) follows(ctx context.Context, leader candidate, address string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
	if err != nil {
		return err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("http://%s/events: %s", address, response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, mostEvent)
	event, whole := "", true
	for lines.Scan() {
		if now, _ := p.first(); now.Znode != leader.Znode || p.leader.Leads() || !p.hub.watched() {
			return nil
		}
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case key == "event":
			event = value
		case key == "data" && event == "view":
			var v view
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return err
			}
			if !v.Leads {
				return errors.New("it does not say that it leads")
			}
			v.Leads, v.From = false, leader.Who
			p.hub.set("view", v)
		case key == "data" && event == "rates":
			var all []rate
			if err := json.Unmarshal([]byte(value), &all); err != nil {
				return err
			}
			if whole {
				p.hub.forget("rates")
				whole = false
			}
			for _, r := range all {
				p.hub.add("rates", samples, r)
			}
		}
	}
	return fmt.Errorf("http://%s/events: %w", address, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}
