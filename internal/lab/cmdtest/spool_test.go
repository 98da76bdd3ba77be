package cmdtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// TestSpool is a client with 77 MB of results behind one task that takes long.
func TestSpool(t *testing.T) {
	t.Parallel()
	newService := newService(t)
	const n, size = 110, 700_000
	result := func(i int) string { return fmt.Sprintf("%03d", i) + strings.Repeat("x", size) }
	start := func(t *testing.T, tmp string) (sv *service, c *harness.Child, first string) {
		t.Helper()
		sv = newService(t)
		server := zktest.NewServer(t, zktest.Options{}) // which keeps its last transactions in memory
		sv.root = zktest.Chroot(t, server, "")
		sv.hand = zktest.Conn(t, sv.root)
		c = harness.Run(t, harness.Command{
			Path: filepath.Join(sv.dir, "client"), In: strings.Repeat("0\n", n), Env: []string{"TMPDIR=" + tmp},
			Args: []string{"run", "--zk", sv.root, "--log-level", "error"},
		})
		zktest.Eventually(t, "tasks", func() (bool, string) {
			got := len(sv.hand.Children("/tasks"))
			return got == n, fmt.Sprint(got)
		})
		ids := sv.hand.Children("/tasks")
		for i, id := range ids[1:] {
			_, err := sv.hand.Conn.Set("/tasks/"+id, []byte("done "+result(i+1)), -1)
			if errors.Is(err, zk.ErrNoNode) {
				break // it was withdrawn
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return sv, c, ids[0]
	}
	// spooled waits until the client has taken all results, and a part of them to a file in
	// tmp that has no name there.
	spooled := func(t *testing.T, sv *service, c *harness.Child, tmp string) {
		t.Helper()
		zktest.Eventually(t, "the others are cleaned up", func() (bool, string) {
			left := len(sv.hand.Children("/tasks"))
			return left == 1, fmt.Sprint(left)
		})
		zktest.Eventually(t, "a temporary file", func() (bool, string) {
			open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.Pid()))
			for _, fd := range open {
				if path, _ := os.Readlink(fd); strings.HasPrefix(path, tmp+"/") && strings.HasSuffix(path, " (deleted)") {
					return true, ""
				}
			}
			return false, fmt.Sprint(open)
		})
		empty(t, tmp)
	}
	t.Run("prints_them_in_order", func(t *testing.T) {
		tmp := t.TempDir()
		sv, c, first := start(t, tmp)
		spooled(t, sv, c, tmp)
		sv.hand.Set("/tasks/"+first, "done "+result(0))
		c.Exit(0)
		got := c.Stdout.Lines()
		for i, line := range got {
			if line != result(i) {
				t.Errorf("line %d: %.10q and %d bytes", i, line, len(line))
			}
		}
		if len(got) != n {
			t.Errorf("%d results", len(got))
		}
	})
	t.Run("leaves_no_file_when_it_is_killed", func(t *testing.T) {
		tmp := t.TempDir()
		sv, c, _ := start(t, tmp)
		spooled(t, sv, c, tmp)
		c.Kill()
		empty(t, tmp)
	})
	t.Run("without_room_for_them_ends_and_tells_which_are_not_printed", func(t *testing.T) {
		_, c, _ := start(t, "/not/there")
		c.Exit(1)
		if got := c.Stdout.String(); got != "" {
			t.Errorf("stdout %.100q", got)
		}
		lines := c.Stderr.Lines()
		want := "client: more than 64 MB of results wait for an earlier one, and cannot be written to a file in $TMPDIR: open /not/there/client-results-"
		told := regexp.MustCompile(`: no such file or directory: (\d+) done, 0 failed, \d+ withdrawn$`).FindStringSubmatch(lines[len(lines)-1])
		if len(lines) != 3 || !strings.HasPrefix(lines[0], "not done: inputs 1, ") || !strings.Contains(lines[1], "not printed") || !strings.HasPrefix(lines[2], want) || told == nil {
			t.Fatalf("stderr %q", lines)
		}
		if done, _ := strconv.Atoi(told[1]); done < 64<<20/size {
			t.Errorf("%d results", done)
		}
	})
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("in %s: %v, %v", dir, names, err)
	}
}
