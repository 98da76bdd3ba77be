package cli

import (
	"os"
	"runtime"
)

// ballast is what the garbage collector takes for memory in use. Nobody touches it, and
// so it takes none; but where a program has a few megabytes in use, as ours have, there is
// a collection for every 20 MB allocated, and not for every 4. Each has to look through
// the stacks of as many goroutines as there are tasks.
var ballast = make([]byte, 16<<20)

// OneProcessor has Go run this program on one processor at a time, unless the
// environment's GOMAXPROCS says otherwise, and returns how many it could use. The
// programs of the service mostly wait for the network: to hand what little they do
// from thread to thread, each of which has to be woken, costs more than it brings.
func OneProcessor() (could int) {
	could = runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	return could
}
