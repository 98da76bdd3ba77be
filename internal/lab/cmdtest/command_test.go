package cmdtest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/command"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestCommandOfAClient(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("becomes_the_payload_of_a_task_of_that_kind", func(t *testing.T) {
		for verb, flags := range map[string][]string{"run": nil, "submit": {"--queue", "tar", "--timeout", "1500ms"}} {
			svc := start(t)
			c := svc.client("a b.txt\nit's\n", append([]string{verb}, append(flags, "--", "gzip", "-9", "{}", "{/.}.gz", "$HOME")...)...)
			ids := svc.tasks(2)
			state, queue := "pending: kind=command", "command."
			if flags != nil {
				state, queue = "pending: kind=command timeout=1500", "tar."
				c.Exit(0)
			}
			for i, want := range []string{`gzip -9 'a b.txt' 'a b.gz' '$HOME'`, `gzip -9 'it'\''s' 'it'\''s.gz' '$HOME'`} {
				payload, _ := svc.manual.Get("/data/" + ids[i])
				if got, _ := svc.manual.Get("/tasks/" + ids[i]); payload != want || got != state || !strings.HasPrefix(ids[i], queue) {
					t.Errorf("%s: %s: payload %s, state %q", verb, ids[i], payload, got)
				}
			}
			c.Kill()
		}
	})
	t.Run("is_refused_by_a_worker_without_any-command", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--queue", "command", "--exec", "cat")
		c := svc.client("a\n", "run", "--", "echo")
		wants(t, c, 1, nil, []string{`payload "a": failed: its payload is a command line, and this worker executes none: start workers with --any-command for its queue`,
			"client: 1 of 1 task failed"})
	})
	t.Run("without_a_worker_says_which_to_start", func(t *testing.T) {
		zktest.OpenOnly(t, needsViewer)
		svc := start(t)
		svc.master()
		svc.worker()
		c := svc.start("client", "run", "--file", lines(t, 1, "x"), "--", "echo")
		c.Line(c.Stderr, "a worker of queue command: start one with --any-command")
	})
	t.Run("stands_beside_the_payload_in_JSON", func(t *testing.T) {
		svc := start(t)
		c := svc.client("x\ny z", "run", "--json", "-n", "2", "--", "echo")
		id := svc.tasks(1)[0]
		svc.manual.Set("/tasks/"+id, "done: kind=command exit=0\nx y z")
		c.Exit(0)
		got := objects(t, c)[0]
		if got["payload"] != "x\ny z" || got["command"] != "echo x 'y z'" || got["result"] != "x y z" || got["exit"] != "0" || got["queue"] != "command" {
			t.Errorf("%v", got)
		}
	})
	t.Run("is_refused_with_a_reason", func(t *testing.T) {
		svc := start(t)
		for want, args := range map[string][]string{
			`client: PAYLOAD "x" and a command behind -- exclude each other: give the command's input by --file or on standard input`: {"x", "--", "echo"},
			"client: nothing stands behind --: give a command":                                                                        {"--"},
			"client: the command behind -- is empty":                                                                                  {"--", ""},
			"client: --shell needs a command: give one behind --":                                                                     {"--shell", "x"},
			"client: a placeholder stands within quotes, an arithmetic expression":                                                    {"--shell", "--", `echo "{}"`},
			`client: --max-args: must be a number from 1 to 100000, not "0"`:                                                          {"-n", "0"},
			`client: --timeout: must be a duration from 0s to 720h, such as 1m30s, `:                                                  {"--timeout", "soon"},
		} {
			for _, verb := range []string{"run", "submit"} {
				c := svc.client("", append([]string{verb}, args...)...)
				c.Exit(2)
				oneLine(t, c, want)
			}
		}
	})
	t.Run("may_have_flags_of_the_client_s_names", func(t *testing.T) { // the common ones stand before --
		svc := start(t)
		c := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, "client"), In: "x", Args: []string{"run", "--dry-run", "--", "echo", "--json", "--zk"}})
		wants(t, c, 0, []string{"echo --json --zk x"}, nil)
	})
}

// A shell executes the commands that are printed.
func TestDryRun(t *testing.T) {
	t.Parallel()
	dir := newService(t)(t).dir
	run := func(t *testing.T, in string, args ...string) *harness.Child {
		t.Helper()
		return harness.Run(t, harness.Command{Path: filepath.Join(dir, "client"), In: in, Args: args})
	}
	const odd = "a b\x00it's\x00$(id)`id`\"\\\x00\n\r\n\x00\xff\x00-n\x00*\x00"
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"the_input_as_a_word":                 {[]string{"--", "printf", `<%s>\n`, "{}"}, nil},
		"the_input_appended":                  {[]string{"--", "printf", `<%s>\n`}, nil},
		"the_input_within_a_word":             {[]string{"--", "printf", `%s\n`, "<{}>"}, nil},
		"the_input_in_a_script":               {[]string{"--shell", "--", `x={}; printf '<%s>\n' "$x"`}, nil},
		"the_input_within_a_word_of_a_script": {[]string{"--shell", "--", `printf '%s\n' "<"{}'>' | cat`}, nil},
		"several_inputs_appended":             {[]string{"-n", "3", "--", "printf", `<%s>\n`}, nil},
		"several_inputs_within_a_word":        {[]string{"-n", "3", "--", "printf", `%s\n`, "<{}>"}, nil},
	} {
		t.Run("prints_commands_that_a_shell_reads_as_meant_with_"+name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), filepath.Join(dir, "client"), append([]string{"run", "-0", "--dry-run"}, tc.args...)...)
			c.Stdin = strings.NewReader(odd)
			script, err := c.Output()
			if err != nil {
				t.Fatal(err)
			}
			got, err := exec.CommandContext(t.Context(), "sh", "-c", string(script)).Output()
			want := "<" + strings.ReplaceAll(strings.TrimSuffix(odd, "\x00"), "\x00", ">\n<") + ">\n"
			if err != nil || string(got) != want {
				t.Errorf("%v\ngot  %q\nwant %q\nof %s", err, got, want, script)
			}
		})
	}
	t.Run("needs_no_ZooKeeper_and_submits_nothing", func(t *testing.T) {
		for _, verb := range []string{"run", "submit"} {
			wants(t, run(t, "a\nb\nc\n", verb, "--dry-run", "--zk", "127.0.0.1:1", "-n", "2"), 0, []string{"a", "b", "c"}, nil)
			wants(t, run(t, "a\n"+strings.Repeat("x", 1_000_000), verb, "--dry-run", "--", "echo"), 1, []string{"echo a"},
				[]string{`payload "` + strings.Repeat("x", 80) + `": payload of 1000000 bytes: too large: at most 899000`, "client: 1 of 2 tasks could not be submitted"})
		}
	})
	t.Run("knows_placeholders_as_GNU_parallel_does", func(t *testing.T) {
		path, err := exec.LookPath("parallel")
		if err != nil {
			t.Skip("parallel is not installed")
		}
		words := []string{"echo", "{}", "{.}", "{/}", "{//}", "{/.}", "{#}", "x{/.}y"}
		in := "a.b.c\nd.e/f\n/g.h\nd/.i\nd//e.f\n./a\n"
		mine := run(t, in, append([]string{"run", "--dry-run", "--"}, words...)...)
		theirs := harness.Run(t, harness.Command{Path: path, In: in, Args: append([]string{"-k", "--dry-run"}, words...)})
		mine.Exit(0)
		theirs.Exit(0)
		got, want := mine.Stdout.Lines(), theirs.Stdout.Lines()
		if len(want) != 6 || len(got) != len(want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
		for i := range want { // the words, for each has its own way to quote them
			got, err := command.Split(got[i])
			want, werr := command.Split(want[i])
			if err != nil || werr != nil || !slices.Equal(got, want) {
				t.Errorf("got  %q, %v\nwant %q, %v", got, err, want, werr)
			}
		}
	})
}
