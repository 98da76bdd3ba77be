package cli

import (
	"os"
	"runtime"
)

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
