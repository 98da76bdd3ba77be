package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// play runs a role until the test ends. began is closed when the role has begun.
func play(t *testing.T, connect string, cfg Config) (began chan struct{}, ended chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := harness.Open(t, connect)
	cfg.Version = "1.4.0"
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	began, ended = make(chan struct{}), make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended <- Within(cfg, func(ctx context.Context, _ *session.Session) error {
			close(began)
			<-ctx.Done()
			return nil
		})(ctx, s)
	}()
	t.Cleanup(func() { stop(); <-over })
	return began, ended
}

func refused(t *testing.T, ended <-chan error, version string) {
	t.Helper()
	err := zktest.Receive(t, "end", ended)
	if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "version 1.4.0") || !strings.Contains(err.Error(), version) {
		t.Errorf("ended with %v", err)
	}
}

func TestParse(t *testing.T) {
	for data, want := range map[string]Told{
		"":                                       {Protocol: "1"},
		"role=worker protocol=2 version=1.4.0":   {Role: Worker, Protocol: "2", Version: "1.4.0"},
		" version=1.4.0 protocol=x later=yes \n": {Protocol: "x", Version: "1.4.0"},
		"a note":                                 {Protocol: "1"},
		"role=master protocol=1 version=1 http=vm:9180":                    {Role: Master, Protocol: "1", Version: "1", HTTP: "vm:9180"},
		"version=1.4.0 " + strings.Repeat("x", 1_000_000) + " role=worker": {Protocol: "1", Version: "1.4.0"},
	} {
		if got := Parse([]byte(data)); got != want {
			t.Errorf("%.50q: %+v, want %+v", data, got, want)
		}
	}
}

func TestProtocol(t *testing.T) {
	for _, role := range []string{Master, Worker, Client} {
		t.Run("of another version keeps a "+role+" from beginning", func(t *testing.T) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			h.Create("/members", "protocol=2 version=2.0.1")
			began, ended := play(t, connect, Config{Role: role})
			refused(t, ended, "protocol 2, written by version 2.0.1")
			select {
			case <-began:
				t.Error("began")
			default:
			}
			if names := h.Children("/members"); len(names) > 0 {
				t.Errorf("registered: %q", names)
			}
		})
		t.Run("that is raised ends a "+role, func(t *testing.T) {
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			h.Create("/members", "protocol=1")
			began, ended := play(t, connect, Config{Role: role})
			<-began
			for range 3 { // each write fires a watch
				h.Set("/members", "protocol=1 version=1.5.0\n")
			}
			h.Set("/members", "protocol=2 \x1b[31m")
			refused(t, ended, "protocol 2, written by version unknown")
		})
	}
	t.Run("is written by the first master only", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		began, _ := play(t, connect, Config{Role: Client})
		<-began
		if _, there := h.Get("/members"); there {
			t.Error("a client made /members")
		}
		began, _ = play(t, connect, Config{Role: Worker, Queue: "gpu"})
		<-began
		if got, _ := h.Get("/members"); got != "" {
			t.Errorf("a worker wrote %q", got)
		}
		began, _ = play(t, connect, Config{Role: Master})
		<-began
		if got, _ := h.Get("/members"); got != "protocol=1 version=1.4.0" {
			t.Errorf("a master wrote %q", got)
		}
		var held []string
		for _, name := range h.Children("/members") {
			data, _ := h.Get("/members/" + name)
			held = append(held, data)
			if strings.HasPrefix(name, "gpu.") != strings.Contains(data, "role=worker") {
				t.Errorf("%s holds %q", name, data)
			}
		}
		if len(held) != 2 {
			t.Errorf("members: %q", held)
		}
	})
	t.Run("is read again after somebody removed its znode", func(t *testing.T) {
		connect := zktest.Connect(t)
		h := zktest.Conn(t, connect)
		began, ended := play(t, connect, Config{Role: Master})
		<-began
		names := h.Children("/members")
		h.DeleteAll("/members")
		zktest.Eventually(t, "it is there again", func() (bool, string) {
			got, there := h.Get("/members")
			return strings.HasPrefix(got, "protocol=1"), map[bool]string{false: "not there", true: got}[there]
		})
		zktest.Eventually(t, "it is a member again", func() (bool, string) {
			again := h.Children("/members")
			return len(again) == 1 && again[0] != names[0], fmt.Sprint(again)
		})
		h.Set("/members", "protocol=7")
		refused(t, ended, "protocol 7")
	})
}

func TestARoleBeginsWhereTheProtocolMayNotBeRead(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	h.Create("/members", "protocol=2")
	if err := harness.Open(t, connect).SetACL("/members", zk.WorldACL(zk.PermAdmin), -1); err != nil {
		t.Fatal(err)
	}
	began, _ := play(t, connect, Config{Role: Worker})
	zktest.Receive(t, "beginning of the role", began)
}
