package harness

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"taskkeeper/internal/session"
)

// calm is a session timeout that no test waits for, and that none meets because the machine
// is busy.
const calm = 20 * time.Second

// SessionConfig is for a test's sessions at host:port[,host:port…][/chroot]. What they log is
// shown if the test fails.
func SessionConfig(t testing.TB, connect string) session.Config {
	t.Helper()
	address, err := session.ParseAddress(connect)
	if err != nil {
		t.Fatal(err)
	}
	return session.Config{Address: address, Timeout: calm, Logger: Logger(t)}
}

// Open opens a session that is closed when the test ends.
func Open(t testing.TB, connect string, change ...func(*session.Config)) *session.Session {
	t.Helper()
	cfg := SessionConfig(t, connect)
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := session.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Timeout changes how long a session lives without its server.
func Timeout(d time.Duration) func(*session.Config) {
	return func(c *session.Config) { c.Timeout = d }
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
