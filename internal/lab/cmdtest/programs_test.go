package cmdtest

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"taskkeeper/internal/lab/audit"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.MainClosed(m, audit.Judge) }

// build builds a program, and returns a function that starts it.
func build(t *testing.T, program string) func(t *testing.T, env string, args ...string) *harness.Child {
	t.Helper()
	path := filepath.Join(harness.Build(t), program)
	return func(t *testing.T, env string, args ...string) *harness.Child {
		t.Helper()
		return harness.Run(t, harness.Command{Path: path, Args: args, Env: []string{"ZK_SERVERS=" + env}})
	}
}

// These behaviours are the same in all programs. The client is tried with a command that connects.
func TestPrograms(t *testing.T) {
	t.Parallel()
	for program, command := range map[string][]string{
		"client":   {"run", "0"},
		"election": nil,
		"example":  nil,
		"master":   nil,
		"worker":   nil,
	} {
		t.Run(program, func(t *testing.T) {
			start := build(t, program)
			run := func(t *testing.T, env string, args ...string) *harness.Child {
				t.Helper()
				return start(t, env, append(command[:len(command):len(command)], args...)...)
			}
			t.Run("explains_itself", func(t *testing.T) {
				p := start(t, "", "--help")
				p.Exit(0)
				checkHelp(t, p.Stdout.String(), program)
				if p.Stderr.String() != "" {
					t.Errorf("stderr: %s", p.Stderr)
				}
				if command != nil {
					p := start(t, "", command[0], "--help")
					p.Exit(0)
					if got := p.Stdout.String(); !strings.Contains(got, "\nExample:\n  "+program+" "+command[0]) {
						t.Errorf("no example in:\n%s", got)
					}
				}
			})
			t.Run("tells_its_version", func(t *testing.T) {
				p := start(t, "", "--version")
				p.Exit(0)
				if !regexp.MustCompile(`^` + program + ` \S+$`).MatchString(p.Stdout.String()) {
					t.Errorf("version %q", p.Stdout)
				}
			})
			t.Run("refuses_wrong_use", func(t *testing.T) {
				for _, c := range []struct{ env, args, want string }{
					{"", "--zks a", "unknown flag: --zks"},
					{"", "--zk a:b", `--zk: connect string "a:b": "b" is no port; `},
					{"a:b", "", `$ZK_SERVERS: connect string "a:b": "b" is no port; `},
					{"", "--session-timeout 0", `--session-timeout: must be a duration from 100ms to 24h, such as 1m30s, not "0"`},
					{"", "--wait soon", `--wait: must be a duration from 1ms to 24h, such as 1m30s, not "soon"`},
				} {
					p := run(t, c.env, strings.Fields(c.args)...)
					p.Exit(2)
					oneLine(t, p, program+": "+c.want)
				}
			})
			t.Run("gives_up_when_nobody_answers", func(t *testing.T) {
				addr := silent(t)
				for _, addr := range []string{"127.0.0.1:1", addr} {
					began := time.Now()
					p := run(t, "", "--zk", addr, "--wait", "500ms", "--log-level", "error")
					p.Exit(1)
					if took := time.Since(began); took > 4*time.Second {
						t.Errorf("took %v", took)
					}
					oneLine(t, p, program+": no ZooKeeper at "+addr)
				}
			})
		})
	}
}

func TestHelpIsNoWiderThanATerminal(t *testing.T) {
	t.Parallel()
	verbs := regexp.MustCompile(`(?m)^  ([a-z]+) {2,}[A-Z]`)
	dir := installed(t)
	for _, program := range []string{"client", "master", "worker"} {
		start := func(t *testing.T, _ string, args ...string) *harness.Child { // by the longer of its names
			return harness.Run(t, harness.Command{Path: filepath.Join(dir, "taskkeeper-"+program), Args: args})
		}
		var check func(args ...string) (commands int)
		check = func(args ...string) (commands int) {
			p := start(t, "", append(args, "--help")...)
			p.Exit(0)
			for _, line := range p.Stdout.Lines() {
				if n := utf8.RuneCountInString(line); n > 80 {
					t.Errorf("%s: %d columns: %s", p, n, line)
				}
			}
			_, list, _ := strings.Cut(p.Stdout.String(), "\nCommands:\n")
			list, _, _ = strings.Cut(list, "\n\n")
			for _, verb := range verbs.FindAllStringSubmatch(list, -1) {
				commands += 1 + check(append(args[:len(args):len(args)], verb[1])...)
			}
			return commands
		}
		if n := check(); (n > 8) != (program == "client") {
			t.Errorf("%s has %d commands", program, n)
		}
	}
}

// silent is the address of a port that takes connections and sends nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// eventually is zktest.Eventually for a condition that takes much processor time, such as to run a
// program or to ask a page. It pauses after each time that the condition is not met.
func eventually(t *testing.T, what string, cond func() (ok bool, seen string)) {
	t.Helper()
	zktest.Eventually(t, what, func() (ok bool, seen string) {
		if ok, seen = cond(); !ok {
			time.Sleep(50 * time.Millisecond)
		}
		return ok, seen
	})
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile writes a file, and returns its path.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// oneLine fails unless a program has written one line to stderr, which begins with a prefix, and
// nothing to stdout.
func oneLine(t *testing.T, p *harness.Child, prefix string) {
	t.Helper()
	if lines := p.Stderr.Lines(); len(lines) != 1 || !strings.HasPrefix(lines[0], prefix) {
		t.Errorf("%s: stderr %q, want one line beginning with %q", p, lines, prefix)
	}
	if p.Stdout.String() != "" && !strings.HasPrefix(prefix, "example: no ZooKeeper") { // its states
		t.Errorf("%s: stdout %q", p, p.Stdout)
	}
}

// checkHelp fails unless a help has a sentence for each flag, and an example.
func checkHelp(t *testing.T, help, program string) {
	t.Helper()
	flags := regexp.MustCompile(`(?m)^ +(?:-\w, )?--(\S+)(?: \S+)? {2,}`)
	seen := map[string]bool{}
	at := flags.FindAllStringSubmatchIndex(help, -1)
	for i, m := range at {
		end := len(help)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := help[m[2]:m[3]]
		text, _, _ := strings.Cut(help[m[1]:end], "\n\n")
		text = strings.Join(strings.Fields(text), " ")
		text = regexp.MustCompile(` \(default .*\)$`).ReplaceAllString(text, "")
		if len(text) < 20 || !strings.HasSuffix(text, ".") {
			t.Errorf("--%s: no sentence: %q", name, text)
		}
		seen[name] = true
	}
	for _, name := range []string{"zk", "session-timeout", "wait", "log-format", "log-level", "help", "version"} {
		if !seen[name] {
			t.Errorf("no --%s in:\n%s", name, help)
		}
	}
	if _, example, ok := strings.Cut(help, "\nExample:\n"); !ok || !strings.Contains(strings.SplitN(example, "\n\n", 2)[0], "  "+program+" ") {
		t.Errorf("no example in:\n%s", help)
	}
}

// owner returns the session that an ephemeral znode belongs to.
func owner(t *testing.T, h *zktest.ManualClient, path string) int64 {
	t.Helper()
	stat, ok := h.Stat(path)
	if !ok {
		t.Fatalf("%s is gone", path)
	}
	return stat.EphemeralOwner
}
