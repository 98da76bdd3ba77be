package cmdtest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"taskkeeper/internal/lab/harness"
)

// shownPage returns a man page as a terminal shows it.
func shownPage(t *testing.T, source string) string {
	t.Helper()
	mandoc := exec.Command("mandoc", "-Tutf8", "-Owidth=80")
	mandoc.Stdin = strings.NewReader(source)
	out, err := mandoc.Output()
	if err != nil {
		t.Fatalf("mandoc (apt-get install mandoc): %v", err)
	}
	return regexp.MustCompile(".\b").ReplaceAllString(string(out), "") // bold, and underlined
}

func TestManPages(t *testing.T) {
	t.Parallel()
	dir := installed(t)
	verb := regexp.MustCompile(`(?m)^  ([a-z]+) {2,}[A-Z]`)
	flag := regexp.MustCompile(`(?m)^ +((?:-\w, )?--\S+)(?: \S+)? {2,}`)
	for program, section := range map[string]int{"client": 1, "master": 8, "worker": 8} {
		t.Run(program, func(t *testing.T) {
			name := "taskkeeper-" + program
			run := func(args ...string) string {
				c := harness.Run(t, harness.Command{Path: filepath.Join(dir, name), Args: args, Env: []string{"SOURCE_DATE_EPOCH=86399"}})
				c.Exit(0)
				return c.Stdout.String() + "\n"
			}
			source := run("man")
			lint := exec.Command("mandoc", "-Tlint", "-Wstyle")
			lint.Stdin = strings.NewReader(source)
			if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("mandoc (apt-get install mandoc): %v\n%s", err, out)
			}
			page := shownPage(t, source)
			for line := range strings.Lines(page) {
				if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			header := fmt.Sprintf("%s(%d)", strings.ToUpper(name), section)
			if !strings.HasPrefix(page, header) || !strings.Contains(page, " 1970-01-01 ") {
				t.Errorf("no %s of 1970-01-01:\n%s", header, page)
			}
			at := 0
			for _, title := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"} {
				next := strings.Index(page[at:], "\n"+title+"\n")
				if next < 0 {
					t.Fatalf("no %s where it belongs", title)
				}
				at += next
			}
			words := strings.Join(strings.Fields(page), " ")
			known := []string{""} // commands; those of a command are found in its help
			for i := 0; i < len(known); i++ {
				command := known[i]
				help := run(append(strings.Fields(command), "--help")...)
				_, commands, _ := strings.Cut(help, "\nCommands:\n")
				commands, _, _ = strings.Cut(commands, "\n\n")
				for _, m := range verb.FindAllStringSubmatch(commands, -1) {
					known = append(known, strings.TrimSpace(command+" "+m[1]))
				}
				section, has := page, true
				if command != "" {
					_, section, has = strings.Cut(page, "\n   "+command+": ")
					section = regexp.MustCompile(`\n(   )?[A-Za-z]`).Split(section, 2)[0]
				}
				if _, usage, _ := strings.Cut(help, "\nUsage:\n  "); !has || !strings.Contains(section, strings.SplitN(usage, "\n", 2)[0]) {
					t.Errorf("nothing of the command %s, or not how it is used", command)
				}
				text, _, _ := strings.Cut(help, "\n\nUsage:")
				_, example, _ := strings.Cut(help, "\nExample:\n")
				example, _, _ = strings.Cut(example, "\n\n")
				for paragraph := range strings.SplitSeq(text+"\n\n"+example, "\n\n") { // letter by letter
					if want := strings.Join(strings.Fields(paragraph), " "); !strings.Contains(words, want) {
						t.Errorf("%s: missing, or mangled: %s", command, want)
					}
				}
				own, _, _ := strings.Cut(help, "\nCommon flags:\n")
				for _, m := range flag.FindAllStringSubmatch(own, -1) {
					if !strings.Contains(section, "\n     "+m[1]) && !strings.Contains(section, "\n       "+m[1]) {
						t.Errorf("%s: nothing of %s", command, m[1])
					}
				}
				for _, m := range flag.FindAllStringSubmatch(help, -1) {
					if !strings.Contains(page, "\n     "+m[1]) && !strings.Contains(page, "\n       "+m[1]) {
						t.Errorf("%s: nothing of %s", command, m[1])
					}
				}
			}
			if slices.Contains(known, "access close") != (program == "client") {
				t.Errorf("commands %q", known)
			}
		})
	}
	t.Run("have_the_same_table_of_exit_statuses", func(t *testing.T) {
		client, master, worker := exitStatuses(t, dir, "client"), exitStatuses(t, dir, "master"), exitStatuses(t, dir, "worker")
		if client != master || master != worker || client == "" {
			t.Errorf("%s\n%s\n%s", client, master, worker)
		}
	})
}

// exitStatuses returns the section EXIT STATUS of a page's source.
func exitStatuses(t *testing.T, dir, program string) string {
	t.Helper()
	source, err := exec.Command(filepath.Join(dir, "taskkeeper-"+program), "man").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := bytes.Cut(source, []byte("\n.SH EXIT STATUS\n"))
	section, _, _ = bytes.Cut(section, []byte("\n.SH"))
	return string(section)
}
