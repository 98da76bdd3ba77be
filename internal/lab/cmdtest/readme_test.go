package cmdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

const readmePath = "../../../README.md"

// The README's commands run as they stand, in their order, in a fresh clone. What they print is compared
// with what the README shows. TestLongRunSeveralMachines runs terminal 6, on several machines.
func TestReadme(t *testing.T) {
	zktest.OpenOnly(t, "its servers are those of the README")
	s := newConsole(t, checkout(t), terminals)
	s.within = isolated(t)
	s.play(steps("README.md", readFile(t, readmePath)), 60)
}

// The README's terminals; the last one is for several machines.
const (
	terminals = "12345"
	machines  = "6"
)

// isolated returns the command that runs another one in namespaces of their own: the ports there are
// free, the machine is called vm, and what is left running ends with the test.
func isolated(t *testing.T) (within []string) {
	t.Helper()
	command, err := zktest.PrivateNetwork()
	if err != nil {
		t.Fatal(err)
	}
	// Java warns if a process outside that has the same number has its file in that folder.
	const begin = `hostname vm; ip link set lo up
		java=/tmp/hsperfdata_$(id -un); mkdir -p "$java"; mount -t tmpfs -o mode=755 tmpfs "$java"
		echo ready; sleep infinity & wait`
	command = append(command, "unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "bash", "-c", begin)
	p := harness.Run(t, harness.Command{Path: command[0], Args: command[1:]})
	p.Line(p.Stdout, "ready")
	child := strings.TrimSpace(readFile(t, fmt.Sprintf("/proc/%d/task/%[1]d/children", p.Pid())))
	return []string{"nsenter", "--all", "--target", child}
}

// checkout returns a clone of the project, with the README as it stands here. Without git it is a copy.
func checkout(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "taskkeeper")
	const copies = `git clone -q . "$1" || { mkdir "$1" && cp -r cmd internal report scripts Makefile go.mod go.sum "$1"; }; cp README.md "$1"`
	c := exec.Command("sh", "-ec", copies, "sh", dir)
	c.Dir = "../../.."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// step is a command in a text, what another terminal shows meanwhile, or a key that is pressed there.
type step struct {
	place    string // file:line
	terminal string
	prompt   string   // $ or # of a command; else :
	text     string   // the command, or the key
	output   []string // what is shown
}

// keys are the keys that the README shows, and their characters.
var keys = map[string]string{"^C": "\x03", "^Z": "\x1a"}

var stepLine = regexp.MustCompile(`^    (?:(\d)–)?(\d?)([$#:]) (.*)$`)

// steps returns the commands in a text's indented blocks, which follow a prompt, with the output below
// them. A block without a prompt is something else, such as a file.
func steps(file, text string) (all []*step) {
	var last *step // of this block
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\n")
		shown, indented := strings.CutPrefix(line, "    ")
		m := stepLine.FindStringSubmatch(line)
		switch {
		case !indented:
			last = nil
		case last != nil && strings.HasSuffix(last.text, `\`):
			last.text += "\n" + shown
		case m != nil:
			first, terminal, prompt, rest := m[1], m[2], m[3], m[4]
			switch {
			case prompt == "#":
				terminal = machines
			case terminal == "":
				terminal = "1"
			}
			if first == "" {
				first = terminal
			}
			for n := first[0]; n <= terminal[0]; n++ {
				last = &step{place: fmt.Sprintf("%s:%d", file, number), terminal: string(n), prompt: prompt, text: rest}
				if prompt == ":" && keys[rest] == "" {
					last.text, last.output = "", []string{rest}
				}
				all = append(all, last)
			}
		case last != nil:
			last.output = append(last.output, shown)
		}
	}
	return all
}

// Targets, scripts, packages and types that the README names must exist.
func TestReadmeNamesWhatThereIs(t *testing.T) {
	text := readFile(t, readmePath)
	if n := strings.Count(text, "\n"); n > 350 {
		t.Errorf("it has %d lines", n)
	}
	for _, st := range steps("README.md", text) {
		if !strings.Contains(terminals+machines, st.terminal) {
			t.Errorf("%s: no test has terminal %s", st.place, st.terminal)
		}
	}
	named := func(pattern string, least int) (all [][]string) {
		all = regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(all) < least {
			t.Errorf("%s is there %d times", pattern, len(all))
		}
		return all
	}
	exists := func(path string) {
		if _, err := os.Stat("../../../" + path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, m := range named("`make\\s([a-z-]+)", 8) {
		if out, err := exec.Command("make", "-nC", "../../..", m[1]).CombinedOutput(); err != nil {
			t.Errorf("make %s: %v: %s", m[1], err, out)
		}
	}
	for _, m := range named("`go doc\\s\\./([a-z/]+)`", 4) {
		exists(m[1])
	}
	for _, m := range named("`((?:scripts|report)/[a-z./-]+)", 4) {
		exists(m[1])
	}
	for _, m := range named(`\b((?:[1-4]|ensemble)-[a-z]+-[a-z-]+|3-compete)\b`, 7) {
		exists("report/evidence/" + m[1] + ".txt") // a scenario
	}
	for _, row := range named("`((?:cmd|internal)/[a-z/]+\\.go)`: (`\\w+`(?:, `\\w+`)*)", 15) {
		source := readFile(t, "../../../"+row[1])
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(row[2], -1) {
			if !regexp.MustCompile(`(?m)^(?:func (?:\(.*\) )?|type )` + name + `\b`).MatchString(source) {
				t.Errorf("%s has no %s", row[1], name)
			}
		}
	}
	direct := regexp.MustCompile(`(?m)^(?:\t(\S+) v\S+|(?:tool |\t)(\S+)/cmd/\w+)$`).FindAllStringSubmatch(readFile(t, "../../../go.mod"), -1)
	if len(direct) < 10 {
		t.Errorf("go.mod: %q", direct)
	}
	for _, m := range direct {
		if module := m[1] + m[2]; !strings.Contains(text, "`"+module+"`") {
			t.Errorf("no reason for %s", module)
		}
	}
}
