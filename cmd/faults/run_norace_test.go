//go:build !race

// go-zookeeper races with itself when it reconnects under traffic, so that what
// reconnects cannot run under the race detector.

package main

import (
	"testing"
	"time"

	"taskkeeper/internal/proc"
)

// TestReconnectFaults is a short run of always the same faults.
func TestReconnectFaults(t *testing.T) {
	bin := proc.Build(t, "taskkeeper/cmd/master", "taskkeeper/cmd/worker", "taskkeeper/cmd/client")
	if err := perform(t.Context(), options{bin: bin, other: bin, seed: 1, length: 15 * time.Second}, t.Output()); err != nil {
		t.Fatal(err)
	}
}
