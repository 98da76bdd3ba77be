package zktest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-zookeeper/zk"
)

// SetQuota bounds how many znodes there may be, a path with all below it, and how many
// bytes they hold; -1 stands for any number. The last bounds hold. A server enforces that with
// -Dzookeeper.enforceQuota=true. It looks at what has been written, so that what is
// on its way may exceed it.
func (h *ManualClient) SetQuota(path string, znodes, bytes int) {
	h.t.Helper()
	dir := "/zookeeper/quota"
	create := func(path, data string) {
		_, err := h.Conn.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll))
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			h.t.Fatalf("create %s: %v", path, err)
		}
	}
	for name := range strings.SplitSeq(h.full(path)[1:], "/") {
		dir += "/" + name
		create(dir, "")
	}
	limits := fmt.Sprintf("count=-1,bytes=-1;byteHardLimit=%d;countHardLimit=%d", bytes, znodes)
	create(dir+"/zookeeper_limits", limits)
	if _, err := h.Conn.Set(dir+"/zookeeper_limits", []byte(limits), -1); err != nil {
		h.t.Fatalf("set the quota of %s: %v", path, err)
	}
	create(dir+"/zookeeper_stats", "count=0,bytes=0")
}
