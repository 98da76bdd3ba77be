package cmdtest

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestExample(t *testing.T) {
	t.Parallel()
	start := build(t, "example")
	root := zktest.Connect(t)
	manual := zktest.Conn(t, root)

	want := func(name string) *regexp.Regexp {
		return regexp.MustCompile(`^state: StateConnecting
state: StateConnected
state: StateHasSession
session: (0x[0-9a-f]+)
created: /example/` + name + `
data: "hello"
stat: version 0, ephemeralOwner (0x[0-9a-f]+), czxid 0x[0-9a-f]+, created \d{4}-\S+
state: StateDisconnected$`)
	}
	check := func(t *testing.T, got, name string) {
		t.Helper()
		m := want(name).FindStringSubmatch(got)
		if m == nil || m[1] != m[2] {
			t.Errorf("stdout:\n%s", got)
		}
	}

	t.Run("shows_its_znode_and_removes_it", func(t *testing.T) {
		p := start(t, "", "--zk", root)
		p.Exit(0)
		check(t, p.Stdout.String(), "znode-0000000000")
		if got := manual.Children("/example"); got == nil || len(got) != 0 {
			t.Errorf("children of /example: %#v", got)
		}
		if p.Stderr.String() != "" {
			t.Errorf("stderr: %s", p.Stderr)
		}
	})
	t.Run("takes_the_servers_from_the_environment", func(t *testing.T) {
		p := start(t, root)
		p.Exit(0)
		check(t, p.Stdout.String(), "znode-0000000001")
	})
	t.Run("creates_the_chroot", func(t *testing.T) {
		p := start(t, "", "--zk", root+"/a/b")
		p.Exit(0)
		check(t, p.Stdout.String(), "znode-0000000000")
		if got := strings.Join(manual.Children("/a/b"), " "); got != "example" {
			t.Errorf("children of the chroot: %s", got)
		}
	})
	t.Run("ends_at_SIGINT_while_no_server_answers", func(t *testing.T) {
		p := start(t, "", "--zk", "127.0.0.1:1")
		p.Line(p.Stdout, "StateConnecting")
		p.Send(syscall.SIGINT)
		p.Exit(130)
		if got := p.Stderr.String(); got != "example: stopped by SIGINT" {
			t.Errorf("stderr: %s", got)
		}
	})
}
