package web

import (
	"strings"
	"testing"
	"time"
)

// The address that a process publishes becomes part of a URL.
func TestHostOfAnAddressThatAProcessPublishes(t *testing.T) {
	for address, want := range map[string]string{
		"node1:9180":                   "node1",
		"a-b_c.example:1":              "a-b_c.example",
		"127.0.0.1:9180":               "127.0.0.1",
		"[::1]:9180":                   "::1",
		"node1":                        "it is not host:port",
		"node1:":                       "it has no port",
		"node1:0":                      "it has no port",
		"node1:65536":                  "it has no port",
		":9180":                        "it has no host",
		"node1/delete?everything:9180": "it has no host",
		"user@node1:9180":              "it has no host",
		"node1\r\nX: y:9180":           "it is not host:port",
		"node1:9180/x":                 "it has no port",
	} {
		got, err := hostOf(address)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

func TestPageOfABackupShowsWhatTheLeaderSends(t *testing.T) {
	leader := candidate{Znode: "/master/a", Who: "a:1"}
	p := &Page{hub: newHub(), leader: follower{}}
	p.ballot.Candidates = []candidate{leader}
	p.hub.enter()
	for what, want := range map[string]struct{ view, err string }{
		"event: view\ndata: {\"leads\":true,\"list\":[{\"id\":\"w\",\"tasks\":null}]}\n\n": {`"list":[{"id":"w","queue":"","host":"","pid":0,"tasks":[]`, "it has ended the connection"},
		"event: view\ndata: {\"leads\":false,\"note\":\"forged\"}\n\n":                     {"a:1 leads, and has no newer data", "it has ended the connection"},
		"event: beat\ndata: 5\n\nevent: of a later version\ndata: <x>\n\n":                 {"", "it has ended the connection"},
		"event: view\ndata: <html>\n\n":                                                    {"", "invalid character"},
		"event: rates\ndata: {}\n\n":                                                       {"", "cannot unmarshal"},
		"data: " + strings.Repeat("x", mostTaken):                                          {"", "token too long"},
	} {
		silent := time.NewTimer(time.Hour)
		err := p.take(leader, strings.NewReader(what), silent)
		if err == nil || !strings.Contains(err.Error(), want.err) {
			t.Errorf("%.60q: %v, want %s", what, err, want.err)
		}
		if got := string(p.hub.parts["view"].json); !strings.Contains(got, want.view) || strings.Contains(got, "null") {
			t.Errorf("%.60q: %s, want %s", what, got, want.view)
		}
	}
}

// Another version may send 0 where this one sends null, and nothing where this one sends 0.
func TestPageOfABackupShowsRatesOfAnotherVersion(t *testing.T) {
	leader := candidate{Znode: "/master/a", Who: "a:1"}
	p := &Page{hub: newHub(), leader: follower{}}
	p.ballot.Candidates = []candidate{leader}
	p.hub.enter()
	_ = p.take(leader, strings.NewReader(`event: rates
data: [{"time":1,"finished":2,"waited":0,"held":0.5},{"time":2,"finished":0,"waited":null,"held":null},{"time":3}]
`), time.NewTimer(time.Hour))
	want := `[{"time":1,"finished":2,"waited":0,"held":0.5},{"time":2,"finished":0,"waited":null,"held":null},{"time":3,"finished":0,"waited":null,"held":null}]`
	if got := unseen(p.hub, map[string]int{})["rates"]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// follower is a master that does not lead.
type follower struct{ Leader }

func (follower) Leads() bool { return false }
