//go:build !race

// go-zookeeper races with itself when it reconnects under traffic, so that what
// reconnects cannot run under the race detector.

package faults

import (
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
)

// TestReconnectFaults is a short run of always the same faults, with two versions of the
// programs; and one under TLS and a policy.
func TestReconnectFaults(t *testing.T) {
	programs := []string{"taskkeeper/cmd/master", "taskkeeper/cmd/worker", "taskkeeper/cmd/client"}
	bin := harness.Build(t, programs...)
	next := harness.Build(t, append([]string{"-ldflags=-X taskkeeper/internal/cli.version=next"}, programs...)...)
	for name, o := range map[string]options{
		"in_an_open_installation":  {seed: 1},
		"in_a_closed_installation": {seed: 2, tls: true},
	} {
		t.Run(name, func(t *testing.T) {
			o.bin, o.other, o.length = bin, next, 15*time.Second
			if err := perform(t.Context(), o, t.Output()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
