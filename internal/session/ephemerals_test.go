package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

func TestMostEphemeral(t *testing.T) {
	for _, tt := range []struct {
		chroot string
		paths  []string
		want   int
	}{
		{"", []string{strings.Repeat("x", 1<<20-8)}, 1},
		{"", []string{strings.Repeat("x", 1<<20-7)}, 0},
		{"/c", []string{strings.Repeat("x", 1<<20-10)}, 1},
		{"/c", []string{strings.Repeat("x", 1<<20-9)}, 0},
		{"", []string{strings.Repeat("x", 60)}, 16383},                          // 16,384 without their number
		{"", []string{strings.Repeat("x", 28), strings.Repeat("x", 28)}, 16383}, // two each
	} {
		if got := MostEphemeral(tt.chroot, tt.paths...); got != tt.want {
			t.Errorf("chroot %q, %d paths of %d bytes: %d, want %d", tt.chroot, len(tt.paths), len(tt.paths[0]), got, tt.want)
		}
		a := Address{Chroot: tt.chroot}
		if err := CheckEphemeral("n", tt.want, a, tt.paths...); err != nil {
			t.Error(err)
		}
		if err := CheckEphemeral("n", tt.want+1, a, tt.paths...); err == nil {
			t.Errorf("%d passes", tt.want+1)
		}
	}
}

// A session that holds as much as it may is ended, and the server reads that again.
func TestServerStartsAgainAfterTheEndOfALargeSession(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{})
	chroot := "/" + strings.Repeat("c", 178)
	s := newSession(t, server.Addr()+chroot, func(c *Config) { c.Timeout = 20 * time.Second })
	must(t, s.EnsureDirs("/workers"))
	path := func(i int) string { return fmt.Sprintf("/workers/%036d", i) }
	var ops []Op
	n := MostEphemeral(chroot, path(0))
	for i := range n {
		ops = append(ops, CreateEphemeral(path(i), nil))
		if len(ops) == 1000 || i == n-1 {
			write(t, s, ops...)
			ops = nil
		}
	}
	zktest.Expire(t, server.Addr(), s.ID())
	hand := zktest.Conn(t, server.Addr()+chroot)
	gone := func() (bool, string) {
		left := len(hand.Children("/workers"))
		return left == 0, fmt.Sprintf("%d of %d are left", left, n)
	}
	zktest.Eventually(t, "end of the session", gone)
	hand.Close()
	server.Kill()
	must(t, server.Restart())
	hand = zktest.Conn(t, server.Addr()+chroot)
	if ok, left := gone(); !ok {
		t.Error(left)
	}
}
