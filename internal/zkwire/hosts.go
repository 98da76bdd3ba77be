package zkwire

import (
	"math/rand/v2"
	"sync"
	"time"
)

// hosts gives go-zookeeper one server after the other, by name. Each dial looks the name up
// again: a name that does not resolve costs one dial, and a server with a new address is
// found. It is a zk.HostProvider.
//
// After a round in which no server answered, the library would pause for 1 s, longer than
// most elections of the servers. So the dialer pauses instead: Next reports the end of a
// round only when the session is over, which ends the library's calls.
type hosts struct {
	over <-chan struct{}

	mu        sync.Mutex // guards the rest
	servers   []string
	next      int       // of servers
	sinceGood int       // how many servers were returned since the last good one
	connected time.Time // when the server returned last answered; zero if it did not
}

func (h *hosts) Init(servers []string) error {
	h.servers = servers
	h.next = rand.IntN(len(servers)) // distributes the clients over the servers
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

// goodAfter is how long a connection must last for its server to count as good. A server may
// accept a session and close its connection again and again: because of a packet that is too
// large, or because it demands authentication.
const goodAfter = time.Second

// pause is how long to wait before the next dial: nothing in the first round, and from
// leastPause/2 to mostPause at the beginning of each later round.
func (h *hosts) pause() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	rounds, turn := (h.sinceGood-1)/len(h.servers), (h.sinceGood-1)%len(h.servers)
	if rounds < 1 || turn > 0 {
		return 0
	}
	d := min(leastPause<<min(rounds-1, 8), mostPause)
	return d/2 + rand.N(d/2) // so that clients that lost a server together do not all dial together
}

// The pauses are short because an election of the servers takes about 0.4 s.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)
