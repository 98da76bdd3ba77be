package cmdtest

import (
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestAnyCommand(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// finished submits a task by hand and returns what comes of it.
	finished := func(svc *service, id, kind, payload string) task.State {
		svc.t.Helper()
		svc.manual.Create("/data/"+id, payload)
		svc.manual.Create("/tasks/"+id, "pending"+kind)
		var s task.State
		zktest.Eventually(svc.t, id+" is finished", func() (bool, string) {
			text, _ := svc.manual.Get("/tasks/" + id)
			s = task.ParseState([]byte(text))
			return s.Finished(), text
		})
		return s
	}
	t.Run("executes_the_command_line_of_each_task_of_its_queue", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--any-command", "--kill-after", "1s")
		for id, c := range map[string]struct {
			payload, text, stdout, stderr, exit string
			phase                               task.Phase
		}{
			"command.plain":   {"echo 'a  b' {}", "a  b {}\n", "", "", "0", task.Done},
			"command.shell":   {`sh -c 'echo $TASK_ID; echo e >&2; cat'`, "command.shell\n", "", "e\n", "0", task.Done},
			"command.fails":   {`sh -c 'echo o; echo e >&2; exit 3'`, "exit status 3: e", "o\n", "e\n", "3", task.Failed},
			"command.killed":  {`sh -c 'kill -9 $$'`, "ended by SIGKILL", "", "", "SIGKILL", task.Failed},
			"command.missing": {"no-such-program", `cannot run "no-such-program": executable file not found in $PATH`, "", "", "127", task.Failed},
			"command.passwd":  {"/etc/passwd x", `cannot run "/etc/passwd": permission denied`, "", "", "126", task.Failed},
			"command.open":    {"echo 'a", "the command line \"echo 'a\": there is no closing quote `'`, at byte 6", "", "", "", task.Failed},
			"command.empty":   {"", `the command line "": the command is empty: give a program and its arguments`, "", "", "", task.Failed},
		} {
			s := finished(svc, id, ": kind=command", c.payload)
			if s.Phase != c.phase || string(s.Text) != c.text || string(s.Stdout) != c.stdout || string(s.Stderr) != c.stderr || s.Facts.Executed().Exit != c.exit {
				t.Errorf("%s: %s", id, s.Bytes())
			}
		}
	})
	t.Run("fails_a_task_that_is_no_command_line", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--any-command", "--queue", "mine")
		s := finished(svc, "mine.t", "", "touch x")
		if want := "its payload is not marked as a command line"; s.Phase != task.Failed || !strings.HasPrefix(string(s.Text), want) {
			t.Errorf("%s", s.Bytes())
		}
	})
	t.Run("prints_through_the_client_what_commands_print", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--any-command")
		c := svc.client("true\n'printf' a\nprintf 'b\\n\\n'\nprintf ''\nprintf c\nprintf 'd\\n'\n", "run", "--shell", "--", "eval")
		c.Exit(0)
		if got := c.Stdout.String(); got != "ab\n\ncd" {
			t.Errorf("printed %q", got)
		}
		kept := []string{"run", "--joblog", filepath.Join(t.TempDir(), "joblog"), "--results", t.TempDir(), "--resume", "--", "printf"}
		for range 2 { // the second run prints what the first one kept
			c := svc.client("a\\n\nb\nc\\n\\n\n", kept...)
			c.Exit(0)
			if got := c.Stdout.String(); got != "a\nbc\n" {
				t.Errorf("printed %q", got)
			}
		}
	})
}
