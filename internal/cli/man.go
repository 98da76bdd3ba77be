package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages are the installed programs, with the sections of their man pages: 1 for users'
// commands, 8 for administrators' commands.
var pages = map[string]int{"client": 1, "master": 8, "worker": 8}

// addMan gives an installed program the command "man", which prints its man page. The command
// is hidden: the page is installed with the program. Since the program has a command then,
// cobra adds the command "completion" as well.
func addMan(root *cobra.Command, name string) {
	section := pages[name]
	if section == 0 {
		return
	}
	root.AddCommand(&cobra.Command{
		Use: "man", Short: "Print the man page", Hidden: true, Args: Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), manPage(root, name, section))
			return err
		},
	})
}

// manPage is a program's page in roff, with the macros of man(7), from the texts of the help.
// One page has all commands of the program.
func manPage(root *cobra.Command, name string, section int) string {
	p := &page{}
	p.line(".TH %s %d %s %s", macro(strings.ToUpper(root.Name())), section, pageDate(), macro("taskkeeper "+Version()))
	p.line(".nh\n.ad l") // words that a person types are not hyphenated
	p.line(".SH NAME")
	p.line(`%s \- %s`, roff(root.Name()), roff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	p.line(".SH SYNOPSIS")
	synopsis := []string{root.UseLine()}
	if root.HasAvailableSubCommands() {
		synopsis = append(synopsis, useLine(root))
	}
	p.literal(strings.Join(synopsis, "\n"))

	p.line(".SH DESCRIPTION")
	p.text(root.Long)
	own, common := flagsOf(root)
	p.line(".SH OPTIONS")
	p.flags(own)
	p.line(".SS Common options")
	p.flags(common)
	if root.HasAvailableSubCommands() {
		p.line(".SH COMMANDS")
		p.commands(root, "")
	}
	p.line(".SH EXAMPLES")
	p.literal(root.Example)

	p.entries(".SH ENVIRONMENT", environment, name)
	p.entries(".SH FILES", files, name)
	p.line(".SH EXIT STATUS")
	for _, s := range exitStatuses {
		p.item(`\fB`+roff(s.status)+`\fR  `+roff(s.of), s.text)
	}
	p.line(".SH SEE ALSO")
	var others []string
	for _, other := range []string{"client", "master", "worker"} {
		if other != name {
			others = append(others, fmt.Sprintf(`\fB%s\fR(%d)`, roff(Program(other)), pages[other]))
		}
	}
	p.line("%s", strings.Join(others, ",\n"))
	p.line(".PP\nREADME.md in share/doc/taskkeeper: how the programs work together.")
	return p.String()
}

// pageDate is the date of $SOURCE_DATE_EPOCH, else of the source's commit: it does not depend
// on when or where a page is made.
func pageDate() string {
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(epoch, 0).UTC().Format(time.DateOnly)
	}
	date := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				date, _, _ = strings.Cut(s.Value, "T")
			}
		}
	}
	return cmp.Or(date, time.Unix(0, 0).UTC().Format(time.DateOnly))
}

type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text writes filled paragraphs. An indented paragraph stays as it is.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		if strings.HasPrefix(paragraph, " ") {
			p.literal(paragraph)
		} else {
			p.filled(paragraph)
		}
	}
}

// filled writes words, in lines that a person can read in the page's source as well.
func (p *page) filled(text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 72 && line != "" {
			p.line("%s", roffLine(line)+notTheEnd(line))
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	p.line("%s", roffLine(line))
}

// notTheEnd keeps roff from taking the end of a line for the end of a sentence: roff would
// write two blanks there.
func notTheEnd(line string) string {
	if strings.ContainsAny(line[len(line)-1:], `.?!)'"`) {
		return `\&`
	}
	return ""
}

// literal writes lines that are not filled.
func (p *page) literal(text string) {
	p.line(".nf")
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		p.line("%s", roffLine(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")))
	}
	p.line(".fi")
}

// item writes a term, which is roff, and what it means.
func (p *page) item(term, text string) {
	p.line(".TP\n%s", term)
	p.filled(text)
}

// entries writes a section with the entries of this program, if there are any.
func (p *page) entries(title string, all []manEntry, program string) {
	for _, t := range all {
		if len(t.of) > 0 && !slices.Contains(t.of, program) {
			continue
		}
		if title != "" {
			p.line("%s", title)
			title = ""
		}
		p.item(`\fB`+roff(t.name)+`\fR`, t.text)
	}
}

func (p *page) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		alone := pflag.NewFlagSet("", pflag.ContinueOnError)
		alone.AddFlag(f)
		term, text, _ := strings.Cut(strings.TrimSpace(alone.FlagUsages()), "   ") // as the help has it
		var words []string
		for _, word := range strings.Fields(term) {
			font := `\fI`
			if strings.HasPrefix(word, "-") {
				font = `\fB`
			}
			words = append(words, font+roff(word)+`\fR`)
		}
		p.item(strings.Join(words, " "), text)
	})
}

// commands are described one after the other, each before its own commands; the common
// options are not repeated.
func (p *page) commands(of *cobra.Command, before string) {
	for _, cmd := range of.Commands() {
		if !cmd.IsAvailableCommand() {
			continue
		}
		name := before + cmd.Name()
		own, _ := flagsOf(cmd) // before useLine, which shows [flags] if there are any
		p.line(".SS %s", macro(name+": "+cmd.Short))
		p.literal(useLine(cmd))
		p.line(".PP")
		p.text(cmp.Or(cmd.Long, cmd.Short))
		p.flags(own)
		if cmd.Example != "" {
			p.line(".PP\nExamples:\n.PP")
			p.literal(cmd.Example)
		}
		p.commands(cmd, name+" ")
	}
}

// special are the characters that roff would not print as they are, in a terminal.
var special = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`)

var notASCII = regexp.MustCompile(`[^\x00-\x7f]`)

// roff writes a text so that roff prints just that.
func roff(text string) string {
	text = strings.ReplaceAll(text, "…", "...") // a terminal without UTF-8 would drop it
	return notASCII.ReplaceAllStringFunc(special.Replace(text), func(c string) string {
		return fmt.Sprintf(`\[u%04X]`, []rune(c)[0])
	})
}

// roffLine is roff for the beginning of a line, where a dot would be a request.
func roffLine(text string) string {
	if strings.HasPrefix(text, ".") {
		return `\&` + roff(text)
	}
	return roff(text)
}

// macro is a text as one argument of a macro.
func macro(text string) string { return `"` + roff(text) + `"` }
