package cmdtest

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// console has the terminals in which steps run.
type console struct {
	t      *testing.T
	dir    string
	within []string // comes before a shell's command
	shells map[string]*shell
	ids    map[string]string // what this run has for an id of the text
}

// shell is a shell in a terminal.
type shell struct {
	*screen
	side    *os.File
	started bool
	busy    bool // its last command may not have ended
	begun   int  // where its last command's output begins
	from    int  // where that begins which the next step may show
}

// all returns what the terminal has shown.
func (at *shell) all() string {
	_, text := at.shows("")()
	return text
}

// newConsole opens the terminals before anything runs in them: they outlive it.
func newConsole(t *testing.T, dir, names string) *console {
	s := &console{t: t, dir: dir, shells: make(map[string]*shell), ids: make(map[string]string)}
	for _, name := range names {
		side, shown := terminal(t)
		s.shells[string(name)] = &shell{screen: shown, side: side}
	}
	return s
}

// readyMark is a shell's prompt.
const readyMark = "---- ready "

var ready = regexp.MustCompile(readyMark + `(\d+)\n`)

// play runs the steps for the terminals of the console, of which there must be at least some number.
func (s *console) play(all []*step, least int) {
	s.t.Helper()
	all = slices.DeleteFunc(all, func(st *step) bool { return s.shells[st.terminal] == nil })
	if len(all) < least {
		s.t.Fatalf("there are %d steps", len(all))
	}
	for _, st := range all {
		s.run(st)
	}
}

// run does one step, and fails the test where it does not end as the text shows it.
func (s *console) run(st *step) {
	s.t.Helper()
	at := s.shells[st.terminal]
	if st.prompt == ":" {
		s.react(st, at)
		return
	}
	s.start(st, at)
	if at.busy {
		s.ended(st, at)
	}
	s.mark()
	command := st.text
	for shown, is := range s.ids {
		command = strings.ReplaceAll(command, shown, is)
	}
	s.write(st, at, command+"\n")
	at.busy = true
	if st.terminal != "1" && st.prompt == "$" { // most of these go on
		s.await(st, at)
		return
	}
	got, status := s.ended(st, at)
	switch {
	case len(st.output) == 0 && status != "0":
		s.t.Fatalf("%s: %s\nends with status %s, and prints\n%s", st.place, command, status, got)
	case len(st.output) > 0:
		if line := missing(st.output, got); line != "" {
			s.t.Fatalf("%s: %s\nprints\n%s\nand shown is\n%s\nof which this is not there: %s",
				st.place, command, got, strings.Join(st.output, "\n"), line)
		}
		s.bind(st.place, strings.Join(st.output, "\n"), regexp.MustCompile(patternOf(st.output) + `\s*$`).FindStringSubmatch(got)[1:])
	}
}

// react waits for what a terminal shows, or presses a key there, which ends or stops its command.
func (s *console) react(st *step, at *shell) {
	s.t.Helper()
	if st.text == "" {
		s.await(st, at)
		return
	}
	s.mark()
	s.write(st, at, keys[st.text])
	s.ended(st, at)
}

// start starts the shell of a terminal, once.
func (s *console) start(st *step, at *shell) {
	s.t.Helper()
	if at.started {
		return
	}
	shell := slices.Concat(s.within, []string{"bash", "--norc", "--noediting", "-i"})
	c := exec.Command(shell[0], shell[1:]...)
	c.Stdin, c.Stdout, c.Stderr = at.side, at.side, at.side
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	c.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "ZK_") || strings.HasPrefix(s, "MAKE") })
	c.Env = append(c.Env, "TERM=dumb", "NO_COLOR=1", "PS1="+readyMark+`$?\n`, "PS2=", "HISTFILE=", "PROMPT_COMMAND=")
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		c.Process.Kill() // what runs in the foreground gets a SIGHUP
		c.Wait()
		if s.t.Failed() {
			s.t.Logf("terminal %s:\n%s", st.terminal, at.all())
		}
	})
	at.started = true
	setUp := []string{
		"stty -echo -onlcr",
		"cd " + s.dir,
		`sudo() { "$@" env PS1="$PS1" PS2= bash --norc --noediting -i; }`, // the machines' shell is like this one
	}
	for _, command := range setUp {
		s.write(st, at, command+"\n")
	}
	s.wait(st, "a shell that is ready", time.Minute, func() (bool, string) {
		return strings.Count(at.all(), readyMark) == 1+len(setUp), at.all()
	})
	at.begun = len(at.all())
}

// write types a text.
func (s *console) write(st *step, at *shell, text string) {
	s.t.Helper()
	if _, err := at.keys.WriteString(text); err != nil {
		s.t.Fatalf("%s: %v", st.place, err)
	}
}

// mark records how much each terminal has shown when a command begins. What the command brings follows.
func (s *console) mark() {
	for _, at := range s.shells {
		at.from = len(at.all())
	}
}

// ended waits until a terminal's command has ended, and returns what it printed, and its status.
func (s *console) ended(st *step, at *shell) (output, status string) {
	s.t.Helper()
	s.wait(st, "the end of the command in terminal "+st.terminal, 3*time.Minute, func() (bool, string) {
		text := at.all()[at.begun:]
		m := ready.FindStringSubmatchIndex(text)
		if m == nil {
			return false, text
		}
		output, status = jobNotice.ReplaceAllString(text[:m[0]], ""), text[m[2]:m[3]]
		at.begun += m[1]
		at.busy = false
		return true, ""
	})
	return output, status
}

// wait waits up to a limit until is returns true.
func (s *console) wait(st *step, what string, limit time.Duration, is func() (ok bool, seen string)) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, seen := is()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %v: %s\nlast seen:\n%s", st.place, limit, what, seen)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// jobNotice is a line in which a shell reports one of its jobs.
var jobNotice = regexp.MustCompile(`(?m)^\[\d+\][-+ ].*\n`)

// await waits until a terminal has shown lines, with any others before each.
func (s *console) await(st *step, at *shell) {
	s.t.Helper()
	for _, shown := range st.output {
		if shown == "…" {
			continue
		}
		pattern := regexp.MustCompile(`(?m)^` + patternText(shown) + `\n`)
		var m []int
		var text string
		s.wait(st, shown, time.Minute, func() (bool, string) {
			text = at.all()[at.from:]
			m = pattern.FindStringIndex(text)
			return m != nil, text
		})
		s.bind(st.place, shown, pattern.FindStringSubmatch(text)[1:])
		at.from += m[1]
	}
}

// bind records which id of this run stands for each id that the text shows.
func (s *console) bind(place, shown string, found []string) {
	s.t.Helper()
	for i, id := range idToken.FindAllString(shown, -1) {
		if is, bound := s.ids[id]; bound && is != found[i] {
			s.t.Errorf("%s: %s is %s, and was %s before", place, id, found[i], is)
		}
		s.ids[id] = found[i]
	}
}

// id matches the id of a task, a worker or a candidate.
const id = `(?:\w+:\d+-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-\d{10})?`

var idToken = regexp.MustCompile(id)

// volatile lists what differs from run to run: how the text shows it, and what matches it.
var volatile = []struct {
	shown *regexp.Regexp
	is    string
}{
	{idToken, `(` + id + `)`},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d{3}\b`), `\d\d:\d\d:\d\d\.\d{3}`},
	{regexp.MustCompile(`\b\d+(?:\.\d+)? ?(?:ms|s)\b`), `(?:\d+m)?\d+(?:\.\d+)? ?(?:ms|s)`},
	{regexp.MustCompile(`\b0x[0-9a-f]{8,}\b`), `0x[0-9a-f]+`},
	{regexp.MustCompile(`\bvm:\d+\b`), `vm:\d+`},
	{regexp.MustCompile(`^vm +\d+\b`), `vm +\d+`},
	{regexp.MustCompile(`\b[0-9a-f]{7}\b`), `[0-9a-f]{12}(?:-dirty)?`}, // a version
	{regexp.MustCompile(`…[0-9a-f]{4}-[0-9a-f]{4}\b`), `…[0-9a-f-]+`},  // the demo's
	{regexp.MustCompile(`SIGKILL to worker-1\b`), `SIGKILL to worker-\d`},
	{regexp.MustCompile(`begun again +2\b`), `begun again +\d`},
}

// patternText returns a pattern for a shown line. … stands for any text, and a blank for one or more.
func patternText(shown string) string {
	for _, v := range volatile {
		if m := v.shown.FindStringIndex(shown); m != nil {
			return patternText(shown[:m[0]]) + v.is + patternText(shown[m[1]:])
		}
	}
	text := strings.ReplaceAll(regexp.QuoteMeta(shown), "…", ".*")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " +")
}

// patternOf returns a pattern for the beginning of an output. A line … stands for any lines.
func patternOf(shown []string) string {
	var b strings.Builder
	b.WriteString("^")
	for _, line := range shown {
		if line == "…" {
			b.WriteString(`(?:.*\n)*?`)
		} else {
			b.WriteString(patternText(line) + ` *\n`)
		}
	}
	return b.String()
}

// missing returns the first shown line that an output lacks; "" if the output is as shown.
func missing(shown []string, output string) string {
	for n := range shown {
		if !regexp.MustCompile(patternOf(shown[:n+1])).MatchString(output) {
			return shown[n]
		}
	}
	if !regexp.MustCompile(patternOf(shown) + `\s*$`).MatchString(output) {
		return "the end"
	}
	return ""
}

func TestShownOutput(t *testing.T) {
	for _, tt := range []struct {
		name, shown, printed string
		missing              string // "": it is what is shown
	}{
		{"times_ids_and_versions_differ", "for 5.1s: t 01a207ca-a452-7600-a93e-1ffd6c12c3c8 08612da", "for 1m3.0s: t 02a207ca-a452-7600-a93e-1ffd6c12c3c8 a63a6749ef78-dirty", ""},
		{"other_numbers_do_not", "4218 30", "4218 31", "4218 30"},
		{"columns_may_be_wider", "vm  315  1/1", "vm   7    1/1", ""},
		{"lines_are_left_out", "a\n…\nd", "a\nb\nc\nd", ""},
		{"a_line_that_is_not_shown", "a\nc", "a\nb\nc", "c"},
		{"a_line_behind_the_last", "a", "a\nb", "the end"},
		{"the_end_of_a_line_is_left_out", "…INF leader…", "12:00:00.000 INF leader candidate=c", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shown := strings.Split(tt.shown, "\n")
			if got := missing(shown, tt.printed+"\n"); got != tt.missing {
				t.Errorf("missing is %q, want %q", got, tt.missing)
			}
		})
	}
}
