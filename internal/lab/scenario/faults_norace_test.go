//go:build !race

// go-zookeeper races with itself when it reconnects under traffic, so that what
// reconnects cannot run under the race detector.

package scenario

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
	for name, tc := range map[string]struct {
		seed int
		tls  bool
	}{
		"in_an_open_installation":  {1, false},
		"in_a_closed_installation": {2, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := faults{seed: tc.seed, length: 15 * time.Second, other: next}
			if err := f.perform(t.Context(), t.Output(), options{bin: bin, tls: tc.tls}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
