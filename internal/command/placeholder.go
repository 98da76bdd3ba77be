package command

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// placeholder stands for the payload, anywhere in an argument, as for xargs -I.
const placeholder = "{}"

// withoutPlaceholder is the advice for a payload that cannot be an argument.
const withoutPlaceholder = `a command without {}, or a script without "$1", reads it from standard input`

func holds(word string) bool { return strings.Contains(word, placeholder) }

// manner describes the arguments of a program that starts another program, or executes code
// from an argument. alone, valued and code are patterns of option words. After an option
// that matches none of them, the meaning of the next words is unknown.
type manner struct {
	opaque bool   // the meaning of all arguments is unknown; the other fields are empty
	alone  string // an option without a value in the next word
	valued string // an option whose value is the next word
	code   string // the next word is code, and the others are arguments of the code
	name   bool   // except the first of them, which is the name of the code, $0
	own    int    // words between the options and the program
	starts bool   // then a program follows, which may have a manner as well; if not, a file with code
}

var (
	posixShell = manner{
		alone:  `[-+][abCeEfhilmnuvx]+|--login|--noprofile|--norc|--posix`,
		valued: `[-+][abCeEfhilmnuvx]*o`,
		code:   `-[abCeEfhilmnuvx]*c[abCeEfhilmnuvx]*`,
		name:   true,
	}
	python = manner{alone: `-[bBEIOqsSu]+`, valued: `-[WX]`, code: `-[bBEIOqsSu]*[cm]`}
	// Code options of other interpreters count as unknown: after one, perl accepts more.
	interpreter = manner{alone: `-w`}
)

// manners has the known programs by name.
var manners = map[string]manner{
	"sh": posixShell, "ash": posixShell, "bash": posixShell, "dash": posixShell, "ksh": posixShell,
	"mksh": posixShell, "rbash": posixShell, "zsh": posixShell,

	"python": python, "pypy": python,

	"csh": interpreter, "expect": interpreter, "fish": interpreter, "guile": interpreter, "julia": interpreter,
	"lua": interpreter, "luajit": interpreter, "node": interpreter, "nodejs": interpreter, "perl": interpreter,
	"php": interpreter, "pwsh": interpreter, "R": interpreter, "Rscript": interpreter, "ruby": interpreter,
	"tclsh": interpreter, "tcsh": interpreter, "wish": interpreter,

	"busybox": {starts: true},
	"doas":    {alone: `-n`, valued: `-[Cu]`, starts: true},
	"env":     {alone: `-|-i|-u.+|[A-Za-z_]\w*=.*|--ignore-environment|--(unset|chdir)=.*`, valued: `-[uC]|--(unset|chdir)`, starts: true},
	"ionice":  {alone: `-t|-[cn]\d`, valued: `-[cn]`, starts: true},
	"nice":    {alone: `-\d+|-n-?\d+|--adjustment=.*`, valued: `-n|--adjustment`, starts: true},
	"nohup":   {starts: true},
	"setsid":  {alone: `-[cfw]+|--(ctty|fork|wait)`, starts: true},
	"stdbuf":  {alone: `-[ioe].+|--(input|output|error)=.*`, valued: `-[ioe]|--(input|output|error)`, starts: true},
	"sudo":    {alone: `-[bEHkn]+|[A-Za-z_]\w*=.*`, valued: `-[CDghpRTu]`, starts: true},
	"taskset": {alone: `-[ac]+`, own: 1, starts: true},
	"time":    {alone: `-[pv]+`, valued: `-[fo]`, starts: true},
	"timeout": {alone: `-[fpv]+|-[ks].+|--(foreground|preserve-status|verbose)|--(kill-after|signal)=.*`,
		valued: `-[ks]|--(kill-after|signal)`, own: 1, starts: true},
	"toybox": {starts: true},
}

// opaque has the programs that join their arguments, read several of them as code, or start
// other programs in some other way.
var opaque = strings.Fields(`at awk batch bc chroot chrt coreutils dc ed emacs eval ex find flock gawk gdb gmake jq ltrace m4
	make mariadb mawk mosh mysql nawk nsenter parallel psql remsh rsh runuser screen script sed setpriv sg sqlite3 ssh
	strace su systemd-run tmux unshare vi vim watch xargs`)

// multiCall has the programs that act as another program when started by a link of its name.
var multiCall = strings.Fields(`busybox coreutils toybox`)

const wayOut = `use a script that takes it as "$1", sh -c SCRIPT sh {} or --shell`

// checkPlaceholders accepts {} only where a payload is data as far as is known: not code,
// not a program, and not an option of a program that starts others.
//
//   - After a program in manners, {} must be an argument of the code or program that
//     comes before it. After an opaque program {} is refused.
//   - After any other program it is accepted, unless an option before it may take code:
//     see codeOption.
//   - It must be a word of its own, or next to text that can hardly be code: see isPlain.
//
// Every word before {} that is the name of a program counts as that program: any program
// may start others.
func checkPlaceholders(words []string) error {
	if holds(words[0]) {
		return fmt.Errorf("%q: {} cannot be in the program's name: a payload never chooses the program", words[0])
	}
	started := true // the word is certainly a program
	for i := 0; slices.ContainsFunc(words[i:], holds); i++ {
		if holds(words[i]) {
			if err := checkPlace(words[i-1], words[i]); err != nil {
				return err
			}
			continue
		}
		known := mannersOf(words[i], started)
		started = false
		skip := len(words)
		for _, m := range known {
			n, ok := m.length(words[i+1:])
			if !ok {
				return fmt.Errorf("{} after %q: a payload may become code, a program or an option there: %s; or leave {} out and read standard input",
					words[i], wayOut)
			}
			skip, started = min(skip, n), started || m.starts
		}
		if len(known) > 0 {
			i += skip
		}
	}
	return nil
}

// checkPlace checks a word that contains {}, and the word before it.
func checkPlace(before, word string) error {
	option, _, _ := strings.Cut(word, placeholder)
	switch {
	case codeOption.MatchString(before):
		option = before + " " + word
	case codeOption.MatchString(option), option == "-", option == "--":
		option = word
	case strings.ContainsFunc(strings.ReplaceAll(word, placeholder, ""), func(r rune) bool { return !isPlain(r) }):
		return fmt.Errorf("%q: a payload may become code next to such text: put {} by itself, or next to letters, digits and _./:=,+@%%- only; or %s", word, wayOut)
	default:
		return nil
	}
	return fmt.Errorf("%q: a payload may become code, a command or an option there: put -- before {} if the option takes no value, or %s", option, wayOut)
}

// codeOption matches options whose value may be code or a command: by a part of their name,
// or by the letters that most programs use for them. It is the only check for a program that
// is not in manners, or that has another name there.
var codeOption = regexp.MustCompile(`^(?i:--?[\w-]*(command|program|filter|exec|eval|action|shell|script|code|expr|editor|pager|cmd|hook|proxy|rsh|ssh)[\w-]*(=.*)?)$|^-\w*[ceExX]=?$`)

// version matches what may follow a program's name, as in perl5.36-x86_64-linux-gnu.
var version = regexp.MustCompile(`[-.]?\d[\d.]*(-.*)?$`)

// mannersOf returns the manners of a word, by its name and by the name of the file that it
// links to. A word with a slash, or that is certainly a program, is looked up as a program.
func mannersOf(word string, started bool) (known []manner) {
	names := []string{filepath.Base(word)}
	if started || strings.Contains(word, "/") {
		if path, err := exec.LookPath(word); err == nil {
			path, _ = filepath.EvalSymlinks(path)
			if target := filepath.Base(path); !slices.Contains(multiCall, target) {
				names = append(names, target)
			}
		}
	}
	for _, name := range names {
		for _, name := range []string{name, version.ReplaceAllString(name, "")} {
			if m, ok := manners[name]; ok {
				known = append(known, m)
			} else if slices.Contains(opaque, name) {
				known = append(known, manner{opaque: true})
			}
		}
	}
	return known
}

// isPlain reports whether {} may share a word with a character: the characters of paths,
// URLs and --option= may, blanks, quotes, ; and the like may not.
func isPlain(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_./:=,+@%-", r)
}

// length is how many words after a program certainly belong to that program: its options,
// its own words, and code or a file with code, but not a program that it starts. ok is false
// if one of them contains {}, or if the words cannot be understood.
func (m manner) length(words []string) (n int, ok bool) {
	if m.opaque {
		return 0, false
	}
	code := false
options:
	for ; n < len(words); n++ {
		switch w := words[n]; {
		case w == "--" || matches(m.alone, w):
		case matches(m.valued, w):
			n++
		case matches(m.code, w):
			n, code = n+1, true
			break options
		case isOption(w):
			return 0, false
		default:
			break options
		}
	}
	n += m.own + 1
	if n > len(words) || slices.ContainsFunc(words[:n], holds) || isOption(words[n-1]) {
		return 0, false
	}
	switch {
	case m.starts:
		n-- // the started program may be in manners
	case code && m.name && !holds(words[n]):
		n++ // $0 is no program, although it often is "sh"
	}
	return n, true
}

func isOption(word string) bool { return strings.HasPrefix(word, "-") || strings.HasPrefix(word, "+") }

func matches(pattern, word string) bool {
	return pattern != "" && regexp.MustCompile(`^(?s:`+pattern+`)$`).MatchString(word)
}

// fill replaces {} in the arguments by the payload. The first word is the program.
func fill(words []string, payload []byte) ([]string, error) {
	filled := append([]string(nil), words...)
	for i, w := range words {
		if i == 0 || !holds(w) {
			continue
		}
		if bytes.IndexByte(payload, 0) >= 0 {
			return nil, errors.New("the payload holds a zero byte, so it cannot be an argument: " + withoutPlaceholder)
		}
		filled[i] = strings.ReplaceAll(w, placeholder, string(payload))
	}
	return filled, nil
}
