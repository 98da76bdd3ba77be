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
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// relay shows on a backup's page the tasks and workers of the leader's page, while somebody looks.
// It reads that page as a browser does, and ends with ctx.
func (p *Page) relay(ctx context.Context, s *session.Session) error {
	for ctx.Err() == nil {
		first, again := p.hub.first(), time.After(time.Second)
		if p.leader.Leads() || !p.hub.watched() {
			p.listens(hearing{})
		} else if err := p.relayOnce(ctx, s); err != nil {
			return err
		}
		select {
		case <-again:
		case <-first:
		case <-ctx.Done():
		}
	}
	return nil
}

// relayOnce reads the leader's page until the connection ends, or somebody else leads.
func (p *Page) relayOnce(ctx context.Context, s *session.Session) error {
	leader, address, err := p.findLeaderWithin(ctx, s)
	if err == nil {
		err = p.follows(ctx, leader, address)
	}
	if errors.Is(err, session.ErrOver) {
		return err
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if now, _ := p.first(); now.Who == p.who || leader.Znode != "" && now.Znode != leader.Znode {
		return nil // another one leads by now
	}
	p.misses("There is no newer data: " + shown(err.Error()) + ".")
	return nil
}

// first is the candidate that leads or will lead.
func (p *Page) first() (c candidate, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ballot.Candidates) == 0 {
		return c, false
	}
	return p.ballot.Candidates[0], true
}

// findLeader returns the leader and the address of its page. The error is for people.
func (p *Page) findLeader(s *session.Session) (leader candidate, address string, err error) {
	if _, suspended := s.Suspended(); suspended { // else the calls below would wait for the connection
		return leader, "", errNoConnection
	}
	leader, known := p.first()
	if !known {
		return leader, "", errors.New("nobody leads")
	}
	if address, err = p.addressOf(s, leader); err != nil {
		err = unreachable(leader, err)
	}
	return leader, address, err
}

// findLeaderWithin is findLeader, and gives up after patience. Then the call goes on until there
// is a connection or no session; there is one such call at a time.
func (p *Page) findLeaderWithin(ctx context.Context, s *session.Session) (candidate, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.finding <- struct{}{}:
	case <-ctx.Done():
		return candidate{}, "", errNoConnection
	}
	var leader candidate
	var address string
	found := make(chan error, 1)
	go func() {
		defer func() { <-p.finding }()
		var err error
		leader, address, err = p.findLeader(s)
		found <- err
	}()
	select {
	case err := <-found:
		return leader, address, err
	case <-ctx.Done():
		return candidate{}, "", errNoConnection
	}
}

func unreachable(leader candidate, err error) error {
	return fmt.Errorf("%s leads, and its page, which has the tasks and the workers, cannot be reached from here: %w", leader.Who, err)
}

var errNoPage = errors.New(task.MembersDir + " does not have its address (--http)")

// addressOf returns the address of a master's HTTP, from the znode of its process under /members.
// That znode has the same session as the master's candidate.
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
		host, err := hostOf(address)
		if err != nil {
			return "", fmt.Errorf("%s says http=%q: %w", task.MemberPath(name), address, err)
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() && !strings.HasPrefix(c.Who, p.host+":") {
			return "", errors.New("only its own machine can connect to it (--http HOST:PORT)")
		}
		return address, nil
	}
	return "", errNoPage
}

var validHost = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// hostOf returns the host of an address, host:port; an error if it is not fit for a URL.
func hostOf(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New("it is not host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("it has no port")
	}
	if _, err := netip.ParseAddr(host); err != nil && !validHost.MatchString(host) {
		return "", errors.New("it has no host")
	}
	return host, nil
}

const (
	mostTaken = 4 << 20         // bytes of another page, at a time
	patience  = time.Second     // with ZooKeeper, when it looks for the leader's page
	silence   = 3 * time.Second // of a page that sends something every second: its process is stuck
)

// fetch gets an address of another page. The caller closes the response's body.
func (p *Page) fetch(ctx context.Context, address, accept string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	response, err := p.http.Do(request)
	if err != nil {
		var of *url.Error // it names the address, which people do not know
		if errors.As(err, &of) {
			err = of.Err
		}
		return nil, noAnswer{err}
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return response, nil
}

// follows shows the tasks and workers of a page, while its master leads and somebody looks.
func (p *Page) follows(ctx context.Context, leader candidate, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(silence, func() { cancel(noAnswer{fmt.Errorf("it has sent nothing for %s", silence)}) })
	defer silent.Stop()
	events, err := p.fetch(ctx, "http://"+address+"/events", "text/event-stream")
	if err == nil {
		defer events.Body.Close()
		err = p.take(leader, events.Body, silent)
		if ctx.Err() == nil && errors.As(err, new(noAnswer)) {
			p.answers(leader, true, time.Now()) // the end of the connection was the last sign of it
		}
	}
	if err == nil {
		return nil
	}
	err = cmp.Or(context.Cause(ctx), err)
	p.answers(leader, !errors.As(err, new(noAnswer)), time.Now())
	return unreachable(leader, err)
}

// take shows the events of a leader's page.
func (p *Page) take(leader candidate, from io.Reader, silent *time.Timer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, mostTaken)
	event := ""
	for lines.Scan() {
		silent.Reset(silence)
		if now, _ := p.first(); now.Znode != leader.Znode || p.leader.Leads() || !p.hub.watched() {
			return nil
		}
		p.answers(leader, true, time.Now())
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
				p.misses(leader.Who + " leads, and has no newer data: it is busy, or waits for ZooKeeper.")
				continue
			}
			v.Leads, v.From = false, leader.Who
			p.knows(v.whole())
		case key == "data" && event == "rates":
			var all []rate
			if err := json.Unmarshal([]byte(value), &all); err != nil {
				return err
			}
			p.rate(all...)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return noAnswer{cmp.Or(lines.Err(), errors.New("it has ended the connection"))}
}

// fillByLeader gets the table from the leader's page.
func (p *Page) fillByLeader(ctx context.Context, t *tablePage) error {
	s, err := p.connected()
	if err != nil {
		return err
	}
	leader, address, err := p.findLeaderWithin(ctx, s)
	if err != nil {
		return err
	}
	answer, err := p.fetch(ctx, "http://"+address+"/"+t.Link(t.After), asJSON)
	if err != nil {
		return unreachable(leader, err)
	}
	defer answer.Body.Close()
	return json.NewDecoder(io.LimitReader(answer.Body, mostTaken)).Decode(t)
}
