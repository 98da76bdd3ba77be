//go:build !race

// go-zookeeper races with itself when it reconnects under traffic, so that what
// reconnects cannot run under the race detector.

package main

import (
	"testing"
	"time"

	"taskkeeper/internal/proc"
)

// TestReconnectFaults is a short run of always the same faults, with two versions of the
// programs.
func TestReconnectFaults(t *testing.T) {
	programs := []string{"taskkeeper/cmd/master", "taskkeeper/cmd/worker", "taskkeeper/cmd/client"}
	bin := proc.Build(t, programs...)
	next := proc.Build(t, append([]string{"-ldflags=-X taskkeeper/internal/cli.version=next"}, programs...)...)
	if err := perform(t.Context(), options{bin: bin, other: next, seed: 1, length: 15 * time.Second}, t.Output()); err != nil {
		t.Fatal(err)
	}
}
