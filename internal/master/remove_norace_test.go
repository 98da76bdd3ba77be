//go:build !race

package master

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taskkeeper/internal/task"
	"taskkeeper/internal/zktest"
)

// TestReconnectLostRemoval loses the answer to a removal, in both forms: it was
// never carried out, and it was.
func TestReconnectLostRemoval(t *testing.T) {
	for form, cut := range map[string]func(p *zktest.Proxy, m zktest.Match) <-chan struct{}{
		"and_not_carried_out": func(p *zktest.Proxy, m zktest.Match) <-chan struct{} { return p.CutBefore(zktest.OpMulti, 1, m) },
		"but_carried_out":     func(p *zktest.Proxy, m zktest.Match) <-chan struct{} { return p.CutAfter(zktest.OpMulti, 1, m) },
	} {
		t.Run("of_results_"+form, func(t *testing.T) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			makeDirs(h)
			proxy, via := zktest.Via(t, connect)
			first, second := task.NewID(), task.NewID()
			happened := cut(proxy, zktest.Naming(task.DataPath(first)))
			finished(h, first, "done 1")
			finished(h, second, "failed so")
			run(t, open(t, via), Config{Retention: time.Second})
			await(t, happened)
			zktest.Eventually(t, "both are removed", func() (bool, string) {
				return left(h) == "[] []", left(h)
			})
			settled(t, h)
		})
		t.Run("of_payloads_"+form, func(t *testing.T) {
			l, h, proxy, _ := keeper(t)
			for i := range 3 {
				h.Create(fmt.Sprint("/data/alone", i), "")
			}
			submit(h, "task")
			list(t, l, true, 2*hour)
			list(t, l, true, 0)
			learn(t, l)
			happened := cut(proxy, zktest.Naming("/data/alone1"))
			proxy.Seen()
			tidy(t, l, 0)
			await(t, happened)
			if seen := proxy.Seen(); !slices.Contains(seen, zktest.OpSync) {
				t.Errorf("no sync after the lost reply, but %v", seen)
			}
			if got := left(h); got != "[task] [task]" {
				t.Errorf("left %s", got)
			}
			if orphans := l.view.retention.orphans; len(orphans) > 0 {
				t.Errorf("still to be removed: %v", orphans)
			}
		})
	}
}
