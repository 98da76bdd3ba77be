package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// target is what a fault hits.
type target string

const (
	leader  target = "leader" // the master that leads when it comes
	masters target = "master"
	workers target = "worker"
	clients target = "client"
	server  target = "server" // ZooKeeper itself
	tree    target = "znodes" // what is in it
)

// kind is what a fault does.
type kind string

const (
	kill    kind = "SIGKILL"      // and started again after a while
	term    kind = "SIGTERM"      // the same
	stop    kind = "SIGSTOP"      // and SIGCONT after a while
	cut     kind = "cut off"      // its connections are reset, new ones refused for a while
	silence kind = "silence"      // nothing passes for a while, and nothing is reset
	request kind = "lost request" // the connection is cut before a Multi is passed on
	reply   kind = "lost reply"   // the connection is cut when a Multi has been carried out
	delay   kind = "delay"        // packets take longer for a while
	block   kind = "blocked log"  // what it logs is not read for a while
	full    kind = "full disk"    // each write to a file fails for a while
	junk    kind = "junk znodes"  // written in all folders, removed after a while
	drain   kind = "drain"        // of a worker process, or of all, for a while
)

// fault is one step of a schedule.
type fault struct {
	at     time.Duration // since the start
	target target
	number int // masters, workers, clients: which one, from 1
	kind   kind
	lasts  time.Duration
}

// about is how long a fault lasts, in words.
func (f fault) about() string {
	switch {
	case f.lasts == 0:
		return ""
	case f.kind == kill || f.kind == term:
		return fmt.Sprintf(", again after %d ms", f.lasts.Milliseconds())
	}
	return fmt.Sprintf(", for %d ms", f.lasts.Milliseconds())
}

const (
	// pauseMean is the mean time from one fault to the next: some come while others last.
	pauseMean = 500 * time.Millisecond
	// quiet is how long a program is left alone after a fault, at least.
	quiet = 1500 * time.Millisecond
	// serverQuiet is how much longer the server is left alone: its faults hit every program.
	serverQuiet = 8 * time.Second
)

// draws says how often each target is drawn, and which faults hit it. Faults of the leader and of
// workers find most bugs.
var draws = []struct {
	target target
	weight int
	kinds  []kind
}{
	{leader, 4, []kind{kill, term, stop, cut, silence, request, reply, delay, block}},
	{masters, 1, []kind{kill, term, stop, cut, silence}},
	{workers, 6, []kind{kill, kill, term, stop, cut, silence, request, reply, delay, block}},
	{clients, 3, []kind{kill, term, stop, cut, silence, request, reply, delay}},
	{server, 2, []kind{kill, kill, stop, term, full}},
	{tree, 2, []kind{junk, drain}},
}

// schedule draws the faults of a run, in the order of time. The same arguments give the same
// faults.
func schedule(seed int, length time.Duration) []fault {
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	var choices []int // of draws, each as often as its weight says
	for i, d := range draws {
		choices = append(choices, slices.Repeat([]int{i}, d.weight)...)
	}
	busy := make(map[string]time.Duration) // until when
	var faults []fault
	for at := quiet; ; {
		at += min(time.Duration(r.ExpFloat64()*float64(pauseMean)), 4*pauseMean)
		if at >= length {
			return faults
		}
		d := draws[choices[r.IntN(len(choices))]]
		f := fault{at: at, target: d.target, kind: d.kinds[r.IntN(len(d.kinds))]}
		if n := counts[f.target]; n > 0 {
			f.number = 1 + r.IntN(n)
		}
		f.lasts = lasting(f.kind, r)
		who := fmt.Sprint(f.target, f.number)
		if at < busy[who] {
			continue
		}
		busy[who] = at + f.lasts + quiet
		if f.target == server {
			busy[who] += serverQuiet
		}
		faults = append(faults, f)
	}
}

// lasting draws how long a fault lasts: about the session's timeout, some well
// below it, some well above.
func lasting(k kind, r *rand.Rand) time.Duration {
	switch k {
	case kill, term:
		return time.Duration(r.Int64N(int64(sessionTimeout * 3 / 2)))
	case request, reply:
		return 0
	case block:
		return 10 * time.Second
	case delay:
		return time.Second + time.Duration(r.Int64N(int64(2*time.Second)))
	}
	times := []float64{0.05, 0.3, 0.9, 1.2, 2, 3}
	return time.Duration(times[r.IntN(len(times))] * (0.8 + 0.4*r.Float64()) * float64(sessionTimeout)).Round(time.Millisecond)
}

// payloads draws the tasks of a client: short ones, in seconds.
func payloads(seed int, client string) []string {
	r := rand.New(rand.NewPCG(uint64(seed), uint64(client[len(client)-1])))
	out := make([]string, batch)
	for i := range out {
		out[i] = fmt.Sprintf("%.3f", 0.15*r.Float64())
	}
	return out
}
