//go:build !race

package cmdtest

import (
	"fmt"
	"testing"

	"github.com/go-zookeeper/zk"
)

// veryMany is how many znodes a person creates by mistake.
const veryMany = 200_000

// many creates znodes, 200 in a request: a server keeps its last 500 requests in memory.
func (svc *service) many(n int, path func(i int) string) {
	svc.t.Helper()
	for i := 0; i < n; {
		var ops []any
		for ; i < n && len(ops) < 200; i++ {
			ops = append(ops, &zk.CreateRequest{Path: svc.chroot() + path(i), Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := svc.manual.Conn.Multi(ops...); err != nil {
			svc.t.Fatal(err)
		}
	}
}

// The number of znodes is the point, so the programs are built without the race detector. A server of
// tests has memory for a group of kinds.
func TestLongRunBesideManyHostileZnodes(t *testing.T) {
	for name, kinds := range map[string][]kind{
		"many_names": {
			{"50,000 znodes below a task", func(svc *service) {
				svc.manual.Create("/tasks/parent", "done 1")
				svc.manual.Create("/data/parent", "")
				svc.many(veryMany/4, func(i int) string { return fmt.Sprintf("/tasks/parent/%d", i) })
			}},
			{"200,000 names under /workers", func(svc *service) { svc.many(veryMany, func(i int) string { return fmt.Sprintf("/workers/%d", i) }) }},
			{"200,000 names under /tasks", func(svc *service) { svc.many(veryMany, func(i int) string { return fmt.Sprintf("/tasks/ %d", i) }) }},
		},
		"many_candidates": {
			{"50,000 candidates", func(svc *service) {
				svc.many(veryMany/4, func(i int) string { return fmt.Sprintf("/master/%010d", 5_000_000_000+i) })
			}},
			{"200,000 other names under /master", func(svc *service) { svc.many(veryMany, func(i int) string { return fmt.Sprintf("/master/%d-", i) }) }},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meet(t, kinds)
		})
	}
}
