package cli

import (
	"os"
	"runtime"
	"sync/atomic"
)

// ballast is memory in use for the garbage collector, and for nobody else: it is never
// touched, and so takes none.
var ballast atomic.Pointer[[16 << 20]byte]

// Tune sets Go's runtime up for a program that mostly waits for the network, as those of
// the service do, and returns how many processors it could use.
//
// It runs on one processor at a time, unless the environment's GOMAXPROCS says otherwise:
// to hand what little it does from thread to thread, each of which has to be woken, costs
// more than it brings. And it collects garbage for every 20 MB or so that it allocates, not
// for every 4: each time the stacks of as many goroutines are looked through as there are
// tasks.
func Tune() (processors int) {
	processors = runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	ballast.Store(new([16 << 20]byte))
	return processors
}
