//go:build !race

package cmdtest

import (
	"fmt"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
)

// There are more payloads and results than fit into a server's 512 MB: it would end after about 120.
func TestLongRunOfLargePayloads(t *testing.T) {
	const tasks, payload, result = 150, 800_000, 700_000
	p, port := newProject(t, "zookeeper"), freePort(t)
	t.Cleanup(func() { p.stop("--port", port) })
	p.zookeeper(0, `heap: the server may use up to \d+ MB`, "start", "--no-install", "--port", port)

	svc := &service{t: t, dir: harness.Build(t), root: "127.0.0.1:" + port, timeout: "20s"}
	svc.master()
	svc.worker("--slots", "4", "--exec", fmt.Sprintf(`sh -c "cat >/dev/null; head -c %d /dev/zero | tr '\\0' x"`, result))
	c := svc.run(strings.Repeat(strings.Repeat("p", payload)+"\n", tasks))
	endsWell(t, c)
	if got := len(c.Stdout.String()); got < tasks*(result+1)-1 {
		t.Errorf("%d bytes of results", got)
	}
	p.zookeeper(0, `^running`, "status")
}
