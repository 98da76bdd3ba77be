package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"taskkeeper/internal/lab/harness"
)

// programEnv makes this test binary a program that uses the package.
const programEnv = "CLI_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		os.Exit(Main(program(), os.Exit))
	}
	goleak.VerifyTestMain(m)
}

func program() *cobra.Command {
	common := Common{Wait: 3 * time.Second, LogLevel: "warn"}
	root := &cobra.Command{Use: "prog", Short: "Try the package"}
	common.AddTo(root)
	add := func(use string, run func(ctx context.Context) error) *cobra.Command {
		sub := &cobra.Command{Use: use, Short: "Sub " + use, Example: "  prog " + use,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) }}
		root.AddCommand(sub)
		return sub
	}
	add("good", func(context.Context) error { return nil })
	add("fail", func(context.Context) error { return errors.New("first\nsecond\n") })
	add("hostile", func(context.Context) error { return errors.New(hostile) }).Hidden = true
	add("status", func(context.Context) error {
		return fmt.Errorf("task: %w", &ExitError{Status: 3, Err: errors.New("it failed")})
	})
	add("quiet", func(context.Context) error { return &ExitError{Status: 4} })
	add("misuse", func(context.Context) error { return WrongUse("--a and --b exclude each other") })
	add("two ID TEXT", func(context.Context) error { return nil }).Args = Args("ID", "TEXT")
	add("daemon", func(ctx context.Context) error { fmt.Println("up"); <-ctx.Done(); return nil })
	add("ask", func(ctx context.Context) error {
		fmt.Println("up")
		<-ctx.Done()
		return fmt.Errorf("ask: %w", ctx.Err())
	})
	add("hang", func(ctx context.Context) error { fmt.Println("up"); <-ctx.Done(); fmt.Println("stopping"); select {} })
	add("slow", func(ctx context.Context) error {
		fmt.Println("up")
		<-ctx.Done()
		time.Sleep(echo + 100*time.Millisecond)
		return nil
	})
	add("pour", func(ctx context.Context) error { // writes until nobody reads
		for {
			fmt.Fprintln(os.Stderr, "log")
			if _, err := fmt.Println("out"); err != nil {
				fmt.Fprintln(os.NewFile(3, "the test"), "it returned")
				return fmt.Errorf("print: %w", err)
			}
		}
	})
	add("log", func(context.Context) error {
		log := common.Logger()
		log.Info("quiet by default")
		log.Warn("said", "task", "t1")
		return nil
	})
	flood := func() { // with more than a pipe and the queue hold
		log := common.Logger()
		for range 20_000 {
			log.Warn("said", "task", strings.Repeat("t", 100))
		}
	}
	add("flood", func(ctx context.Context) error { flood(); fmt.Println("up"); <-ctx.Done(); return nil })
	add("flood-fail", func(context.Context) error { flood(); return errors.New("at last") })
	add("flood-hang", func(ctx context.Context) error {
		flood()
		fmt.Println("up")
		<-ctx.Done()
		fmt.Println("stopping")
		select {}
	})
	add("abort", func(context.Context) error {
		flood()
		common.Abort(os.Exit, "stuck", errors.New("no turn"))
		return nil
	})
	add("answer", func(ctx context.Context) error {
		fmt.Fprintln(os.Stderr, "up")
		for {
			if _, err := fmt.Fprintln(root.OutOrStdout(), "answer"); err != nil {
				return err
			}
		}
	})
	var n int
	slots := add("slots", func(context.Context) error { fmt.Println(n); return nil })
	Var(slots.Flags(), &n, "slots", 2, "How many `n` at once.", Int(1, 9))
	slots.Flags().Bool("plain", false, "One of pflag's own.")
	show := add("show", func(context.Context) error {
		cfg := common.Session(nil)
		fmt.Println(cfg.Address, cfg.Timeout, common.Wait, common.LogFormat, common.LogLevel)
		return nil
	})
	show.Hidden = true
	return root
}

func start(t *testing.T, env string, args ...string) *harness.Child {
	t.Helper()
	return harness.Run(t, harness.Command{Path: self(t), Args: args, Env: []string{programEnv + "=1", "ZK_SERVERS=" + env}})
}

// script runs a script of the shell. $0 is the program.
func script(t *testing.T, text string) *harness.Child {
	t.Helper()
	return harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", text, self(t)}, Env: []string{programEnv + "=1"}})
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMainReturnsTheStatusAndPrintsOneLine(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		stderr string
	}{
		{"good", 0, ""},
		{"fail", 1, "prog: first second"},
		{"hostile", 1, `prog: \x1b]52;c;AAAA\x07 INF forged \u009b31m\u202e\xff \x1b[31m end`},
		{"status", 3, "prog: task: it failed"},
		{"quiet", 4, ""},
		{"misuse", 2, "prog: --a and --b exclude each other (see 'prog misuse --help')"},
		{"", 2, "prog: say which command: abort, answer, ask, daemon, fail, flood, flood-fail, flood-hang, good, hang, log, misuse, pour, quiet, slots, slow, status, two (see 'prog --help')"},
		{"godo", 2, `prog: unknown command "godo"; did you mean good? (see 'prog --help')`},
		{"--zk a:1 xyzzy", 2, `prog: unknown command "xyzzy" (see 'prog --help')`},
		{"good x", 2, `prog: unexpected argument "x" (see 'prog good --help')`},
		{"two", 2, "prog: ID, TEXT is missing (see 'prog two --help')"},
		{"two a", 2, "prog: TEXT is missing (see 'prog two --help')"},
		{"two a b c", 2, `prog: unexpected argument "c" (see 'prog two --help')`},
		{"two a b", 0, ""},
		{"good --none", 2, "prog: unknown flag: --none (see 'prog good --help')"},
		{"good --wait", 2, "prog: flag needs an argument: --wait (see 'prog good --help')"},
		{"good --wait 0s", 2, `prog: --wait: must be a duration from 1ms to 24h, such as 1m30s, not "0s" (see 'prog good --help')`},
		{"good --wait -1s", 2, `prog: --wait: must be a duration from 1ms to 24h, such as 1m30s, not "-1s" (see 'prog good --help')`},
		{"--session-timeout 10 good", 2, `prog: --session-timeout: must be a duration from 100ms to 24h, such as 1m30s, not "10" (see 'prog good --help')`},
		{"good --log-format xml", 2, `prog: --log-format: must be one of text, json, not "xml" (see 'prog good --help')`},
		{"good --log-level trace", 2, `prog: --log-level: must be one of debug, info, warn, error, not "trace" (see 'prog good --help')`},
		{"good --zk :1", 2, `prog: --zk: connect string ":1": a host is missing; want host:port[,host:port…][/chroot] (see 'prog good --help')`},
		{"slots --slots 10", 2, `prog: --slots: must be a number from 1 to 9, not "10" (see 'prog slots --help')`},
		{"slots --plain=no", 2, `prog: --plain: must be true or false, not "no" (see 'prog slots --help')`},
	} {
		t.Run(strings.ReplaceAll(c.args, " ", "_"), func(t *testing.T) {
			p := start(t, "", strings.Fields(c.args)...)
			p.Exit(c.status)
			if got := p.Stderr.String(); got != c.stderr {
				t.Errorf("stderr:\n%s\nwant:\n%s", got, c.stderr)
			}
			if got := p.Stdout.String(); got != "" {
				t.Errorf("stdout: %s", got)
			}
		})
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name, command string
		signal        syscall.Signal
		status        int
		stderr        string
	}{
		{"SIGTERM_ends_a_daemon_with_status_0", "daemon", syscall.SIGTERM, 0, ""},
		{"SIGINT_ends_a_daemon_with_status_0", "daemon", syscall.SIGINT, 0, ""},
		{"SIGINT_ends_a_command_with_status_130", "ask", syscall.SIGINT, 130, "prog: stopped by SIGINT"},
		{"SIGTERM_ends_a_command_with_status_143", "ask", syscall.SIGTERM, 143, "prog: stopped by SIGTERM"},
		{"SIGHUP_ends_a_daemon_with_status_0", "daemon", syscall.SIGHUP, 0, ""},
		{"SIGHUP_ends_a_command_with_status_129", "ask", syscall.SIGHUP, 129, "prog: stopped by SIGHUP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, "", c.command)
			p.Line(p.Stdout, "up")
			p.Send(c.signal)
			p.Exit(c.status)
			if got := p.Stderr.String(); got != c.stderr {
				t.Errorf("stderr %q, want %q", got, c.stderr)
			}
		})
	}
	t.Run("two_at_once_count_as_one", func(t *testing.T) {
		p := start(t, "", "slow")
		p.Line(p.Stdout, "up")
		p.Send(syscall.SIGTERM)
		p.Send(syscall.SIGTERM)
		p.Exit(0)
	})
	t.Run("SIGHUP_is_ignored_when_the_program_was_started_so", func(t *testing.T) {
		p := script(t, `trap "" HUP; exec "$0" daemon`)
		p.Line(p.Stdout, "up")
		p.Send(syscall.SIGHUP)
		p.Send(syscall.SIGTERM)
		p.Exit(0)
	})
	t.Run("a_broken_pipe_is_a_write_error_with_the_status_of_SIGPIPE", func(t *testing.T) {
		p := script(t, `{ { "$0" pour; echo $? >&3; } 2>&1 | true; } 3>&1`)
		p.Exit(0)
		if got := p.Stdout.Lines(); !slices.Equal(got, []string{"it returned", "141"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("a_full_disk_is_a_write_error_with_status_1", func(t *testing.T) {
		p := script(t, `{ "$0" pour 2>/dev/null >/dev/full; echo $?; } 3>&1`)
		p.Exit(0)
		if got := p.Stdout.Lines(); !slices.Equal(got, []string{"it returned", "1"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("the_second_one_ends_a_program_that_hangs", func(t *testing.T) {
		p := start(t, "", "hang")
		p.Line(p.Stdout, "up")
		p.Send(syscall.SIGTERM)
		p.Line(p.Stdout, "stopping")
		p.Send(syscall.SIGINT)
		p.Exit(130)
	})
}

func TestCommonFlags(t *testing.T) {
	for _, c := range []struct{ name, env, args, want string }{
		{"have_defaults", "", "", "127.0.0.1:2181 4s 3s text warn"},
		{"are_taken_from_the_command_line", "", "--zk a,b:2/c --session-timeout 1m --wait=5s --log-format json --log-level debug", "a:2181,b:2/c 1m0s 5s json debug"},
		{"are_taken_from_the_environment", "h:3/x", "", "h:3/x 4s 3s text warn"},
		{"on_the_command_line_come_before_the_environment", "h:3/x", "--zk a", "a:2181 4s 3s text warn"},
		{"on_the_command_line_come_before_a_malformed_environment", ":", "--zk a", "a:2181 4s 3s text warn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, c.env, append([]string{"show"}, strings.Fields(c.args)...)...)
			p.Exit(0)
			if got := p.Stdout.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("name_the_variable_that_is_malformed", func(t *testing.T) {
		p := start(t, "h:x", "show")
		p.Exit(2)
		if got := p.Stderr.String(); !strings.HasPrefix(got, `prog: $ZK_SERVERS: connect string "h:x": "x" is no port;`) || strings.Contains(got, "\n") {
			t.Error(got)
		}
	})
}

func TestHelp(t *testing.T) {
	help := func(args ...string) string {
		p := start(t, "", args...)
		p.Exit(0)
		return p.Stdout.String()
	}
	t.Run("lists_the_commands", func(t *testing.T) {
		got := help("--help")
		for _, want := range []string{"Try the package\n\nUsage:\n  prog command [flags]\n\nCommands:\n", "\n  slots ", "Sub good", "\nCommon flags:\n      --zk servers", "--version", "-h, --help"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in:\n%s", want, got)
			}
		}
		for _, not := range []string{"show", "completion", "\nFlags:"} {
			if strings.Contains(got, not) {
				t.Errorf("%q in:\n%s", not, got)
			}
		}
	})
	t.Run("keeps_the_common_flags_apart", func(t *testing.T) {
		got := help("slots", "-h")
		if got != help("help", "slots") {
			t.Error("help slots says something else than slots -h")
		}
		_, rest, _ := strings.Cut(got, "Sub slots\n\nUsage:\n  prog slots [flags]\n\nExample:\n  prog slots\n\nFlags:\n      --slots n ")
		own, common, ok := strings.Cut(rest, "\n\nCommon flags:\n      --zk servers ")
		if !ok || !strings.Contains(own, "(default 2)") || strings.Contains(common, "--slots") || !strings.Contains(common, "(default 3s)") {
			t.Errorf("help:\n%s", got)
		}
	})
	t.Run("that_cannot_be_written_is_an_error", func(t *testing.T) {
		for _, args := range []string{"--help", "good -h", "help good", "--version", "completion bash"} {
			p := script(t, `exec "$0" `+args+` >/dev/full`)
			p.Exit(1)
			if got := p.Stderr.String(); got != "prog: write /dev/stdout: no space left on device" {
				t.Errorf("%s: %q", args, got)
			}
		}
	})
	t.Run("needs_no_valid_environment", func(t *testing.T) {
		start(t, ":", "--help").Exit(0)
		p := start(t, ":", "--version")
		p.Exit(0)
		if got := p.Stdout.String(); got != "prog "+Version() || Version() == "" {
			t.Errorf("version: %q", got)
		}
	})
}

func TestShortLeavesOutZeroUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 90 * time.Minute: "1h30m", time.Minute: "1m", 10 * time.Second: "10s",
		70 * time.Second: "1m10s", 100 * time.Millisecond: "100ms", time.Hour + time.Second: "1h0m1s", 0: "0s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
