package zkwire

import (
	"math/rand/v2"
	"sync"
	"time"
)

// hosts hands go-zookeeper the servers in turn, by name: names are looked up at
// each dial, so that a name that does not resolve costs its turn and nothing
// else, and a server that moved is found again. It is a zk.HostProvider.
//
// The library would pause for a second after a round in vain, which is what an
// election of the servers takes at most. So the dialer pauses, and the library
// hears of a round that is over only when the session is, to end.
type hosts struct {
	over <-chan struct{}

	mu        sync.Mutex // guards the rest
	servers   []string
	next      int
	sinceGood int       // servers handed out since the last good one
	connected time.Time // when the one handed out last answered; zero if it did not
}

func (h *hosts) Init(servers []string) error {
	h.servers = servers
	h.next = rand.IntN(len(servers)) // spread the clients over the servers
	return nil
}

func (h *hosts) Len() int { return len(h.servers) }

func (h *hosts) Next() (server string, retryStart bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	server = h.servers[h.next]
	h.next = (h.next + 1) % len(h.servers)
	if !h.connected.IsZero() && time.Since(h.connected) > goodAfter {
		h.sinceGood = 0
	}
	h.sinceGood, h.connected = h.sinceGood+1, time.Time{}
	select {
	case <-h.over:
		return server, true
	default:
		return server, false
	}
}

func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connected = time.Now()
}

// goodAfter is how long a connection must have lasted for its server to count as a
// good one. A server may accept a session and close its connection again and again:
// at a packet that is too large, or because it wants to be authenticated to.
const goodAfter = time.Second

// pause is how long to wait before the server handed out last is dialed: no time
// in the first round, less than it takes to elect a leader in those after it.
func (h *hosts) pause() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	rounds, turn := (h.sinceGood-1)/len(h.servers), (h.sinceGood-1)%len(h.servers)
	if rounds < 1 || turn > 0 {
		return 0
	}
	d := min(leastPause<<min(rounds-1, 8), mostPause)
	return d/2 + rand.N(d/2) // clients that lost a server together do not come back together
}

const (
	leastPause = 100 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)
