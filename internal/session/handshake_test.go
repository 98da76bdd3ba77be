package session

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestLongTimeoutDoesNotWaitLongForASwallowedHandshake(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	var first atomic.Bool
	first.Store(true)
	addr := listen(t, func(c net.Conn) {
		if first.CompareAndSwap(true, false) {
			silent(c)
			return
		}
		to, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		var back sync.WaitGroup
		defer back.Wait()
		back.Go(func() { _, _ = io.Copy(c, to); c.Close() })
		_, _ = io.Copy(to, c)
		to.Close()
	})
	began := time.Now()
	newSession(t, addr, func(c *Config) { c.Timeout = 24 * time.Hour })
	if took := time.Since(began); took < 4*time.Second || took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}
