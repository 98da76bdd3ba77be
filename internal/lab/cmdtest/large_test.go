package cmdtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// TestLargeResults has a client wait for one task while 77 MB of later results are there. It keeps
// 64 MB of them in memory.
func TestLargeResults(t *testing.T) {
	t.Parallel()
	server := zktest.NewServer(t, zktest.Options{}) // which keeps its last transactions in memory
	const n, size = 110, 700_000
	result := func(i int) string { return fmt.Sprintf("%03d", i) + strings.Repeat("x", size) }
	start := func(t *testing.T, tmp string) (svc *service, c *harness.Child, first string) {
		t.Helper()
		svc = newServiceOn(t, server, fmt.Sprintf("/%08x", rand.Uint32()))
		c = harness.Run(t, harness.Command{
			Path: filepath.Join(svc.dir, "client"), In: strings.Repeat("0\n", n), Env: []string{"TMPDIR=" + tmp},
			Args: []string{"run", "--zk", svc.root, "--log-level", "error"},
		})
		svc.tasks(n)
		ids := svc.manual.Children("/tasks")
		for i, id := range ids[1:] {
			_, err := svc.manual.Conn.Set(svc.chroot()+"/tasks/"+id, []byte("done "+result(i+1)), -1)
			if errors.Is(err, zk.ErrNoNode) {
				break // it was withdrawn
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return svc, c, ids[0]
	}
	t.Run("go_to_a_file_without_a_name_and_are_printed_in_order", func(t *testing.T) {
		tmp := t.TempDir()
		svc, c, first := start(t, tmp)
		svc.tasks(1) // the others are collected
		zktest.Eventually(t, "a temporary file", func() (bool, string) {
			open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.Pid()))
			for _, fd := range open {
				if path, _ := os.Readlink(fd); strings.HasPrefix(path, tmp+"/") && strings.HasSuffix(path, " (deleted)") {
					return true, ""
				}
			}
			return false, fmt.Sprint(open)
		})
		if names, err := os.ReadDir(tmp); err != nil || len(names) > 0 { // a client that is killed would leave them
			t.Errorf("in %s: %v, %v", tmp, names, err)
		}
		svc.manual.Set("/tasks/"+first, "done "+result(0))
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
	t.Run("without_room_for_a_file_end_the_client_which_says_what_is_not_printed", func(t *testing.T) {
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
