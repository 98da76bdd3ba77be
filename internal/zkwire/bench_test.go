package zkwire

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

// The cost of a call over this package and over go-zookeeper alone, by 1 and by 64 callers.
func BenchmarkCalls(b *testing.B) {
	root := zktest.Connect(b)
	addr, chroot, _ := strings.Cut(root, "/")
	zktest.Conn(b, root).Create("/a", strings.Repeat("x", 100))
	path := "/" + chroot + "/a"
	plain := func() (*zk.Conn, <-chan zk.Event, error) {
		return zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false))
	}
	over := func() (*zk.Conn, <-chan zk.Event, error) {
		t := New(b.Context(), Config{Timeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler), Refused: func(string) {}})
		return t.Connect([]string{addr}, func(zk.Event) {})
	}
	for _, call := range []struct {
		name string
		do   func(*zk.Conn) error
	}{
		{"get", func(c *zk.Conn) error { _, _, err := c.Get(path); return err }},
		{"exists", func(c *zk.Conn) error { _, _, err := c.Exists(path); return err }},
		{"set", func(c *zk.Conn) error { _, err := c.Set(path, nil, -1); return err }},
	} {
		for name, connect := range map[string]func() (*zk.Conn, <-chan zk.Event, error){"plain": plain, "zkwire": over} {
			for _, callers := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/%d/%s", call.name, callers, name), func(b *testing.B) {
					c, events, err := connect()
					if err != nil {
						b.Fatal(err)
					}
					defer func() {
						c.Close()
						for range events {
						}
					}()
					if err := call.do(c); err != nil {
						b.Fatal(err)
					}
					began := cpu()
					b.ResetTimer()
					next := make(chan struct{}, b.N)
					for range b.N {
						next <- struct{}{}
					}
					close(next)
					done := make(chan error, callers)
					for range callers {
						go func() {
							for range next {
								if err := call.do(c); err != nil {
									done <- err
									return
								}
							}
							done <- nil
						}()
					}
					for range callers {
						if err := <-done; err != nil {
							b.Error(err)
						}
					}
					b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
