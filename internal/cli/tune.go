package cli

import (
	"os"
	"runtime"
	"sync/atomic"
)

// ballast counts as memory in use for the garbage collector. It is never touched, so it takes
// no real memory.
var ballast atomic.Pointer[[16 << 20]byte]

// Tune sets Go's runtime up for a program that mostly waits for the network, as those of
// the service do, and returns how many processors it could use.
//
// The program runs on one processor at a time, unless $GOMAXPROCS says otherwise: its work is
// small, and waking another thread for a part of it costs more than it gains. Garbage is
// collected after about 20 MB of allocations, not after 4: each collection scans the stack of
// every goroutine, and there may be one for each task.
func Tune() (processors int) {
	processors = runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	ballast.Store(new([16 << 20]byte))
	return processors
}
