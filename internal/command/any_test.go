package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/task"
)

func TestPayloadIsTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := file("plain", "#!/bin/sh\n", 0o644)
	lost := file("lost", "#!/no/such/interpreter\n", 0o755)
	noFormat := file("no-format", "echo x\n", 0o755)
	busy := file("busy", "#!/bin/sh\n", 0o755)
	c := open(t, Config{Any: true, MaxResult: 1000})
	for line, want := range map[string]string{
		`echo {} 'a  b' "c"\ d`: "{} a  b c d",
		`sh -c 'echo "$1" | tr a b; readlink /proc/self/fd/0' sh aa`: "bb\n/dev/null",
		"cat":              "",
		"printf %s \xff'é": "",
		"printf %s \xff":   "\xff",
		`printf '%s\n' $`:  "$",
		"true\n":           "",
	} {
		o, err := c.Execute(t.Context(), task.Execution{Task: "t", Payload: []byte(line)})
		if open := strings.Contains(line, "'é"); open != (err != nil) || string(o.Result) != want || !open && o.Exit != "0" {
			t.Errorf("%q: %q, exit %s, %v, want %q", line, o.Result, o.Exit, err, want)
		}
	}
	deep := strings.Repeat(`"$(`, 200_000)
	for line, want := range map[string]struct{ exit, reason string }{
		"":                                     {"", `the command line "": the command is empty: give a program and its arguments`},
		" \n":                                  {"", `the command line " \n": the command is empty: give a program and its arguments`},
		"a | b":                                {"", `the command line "a | b": it is more than one program with its arguments: quote the special characters, or use --shell`},
		"echo $HOME":                           {"", `the command line "echo $HOME": only a shell understands what begins at byte 6: put it between single quotes, or use --shell`},
		"echo 'a":                              {"", "the command line \"echo 'a\": there is no closing quote `'`, at byte 6"},
		"a\x00b":                               {"", "the command line holds a zero byte"},
		deep:                                   {"", `the command line "` + strings.Repeat(`\"$(`, 66) + `\"$": only a shell understands what begins at byte 4: put it between single quotes, or use --shell`},
		"no-such-program x":                    {"127", `cannot run "no-such-program": executable file not found in $PATH`},
		dir + "/missing":                       {"127", `cannot run "` + dir + `/missing": no such file or directory`},
		"''":                                   {"127", `cannot run "": executable file not found in $PATH`},
		lost:                                   {"127", `cannot run "` + lost + `": no such file or directory: the file is there, but not the interpreter that its first line names`},
		plain:                                  {"126", `cannot run "` + plain + `": permission denied`},
		dir:                                    {"126", `cannot run "` + dir + `": is a directory`},
		noFormat:                               {"126", `cannot run "` + noFormat + `": exec format error`},
		"'\x1b[31m'":                           {"127", `cannot run "\x1b[31m": executable file not found in $PATH`},
		"sh -c 'exit 3'":                       {"3", "exit status 3"},
		"sh -c 'kill -9 $$'":                   {"SIGKILL", "ended by SIGKILL"},
		"head -c 1001 /dev/zero":               {"0", "result of 1001 bytes is too large: at most 1000"},
		"echo " + strings.Repeat("x", 200_000): {"126", `cannot run "echo": argument list too long`},
		"echo " + strings.Repeat("x ", 5<<20):  {"126", `cannot run "echo": argument list too long`},
	} {
		o, err := c.Execute(t.Context(), task.Execution{Task: "t", Payload: []byte(line)})
		if err == nil || err.Error() != want.reason || o.Exit != want.exit || errors.Is(err, ErrCannotStart) {
			t.Errorf("%.100q: exit %q, %.300v\nwant %q, %.300s", line, o.Exit, err, want.exit, want.reason)
		}
	}
	t.Run("a_program_that_is_being_written_is_the_workers_fault", func(t *testing.T) {
		f, err := os.OpenFile(busy, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := c.Execute(t.Context(), task.Execution{Payload: []byte(busy)}); !errors.Is(err, ErrCannotStart) {
			t.Errorf("error %v", err)
		}
	})
	if n := len(c.idle.all); n != 1 {
		t.Errorf("%d supervisors", n)
	}
}
