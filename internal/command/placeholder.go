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

// withoutPlaceholder says what to do about a payload that is no argument.
const withoutPlaceholder = `a command without {}, or a script without "$1", reads it from standard input`

func holds(word string) bool { return strings.Contains(word, placeholder) }

// manner is how a program reads its arguments, if it starts another program by
// them or executes one of them. The three are patterns of option words. An option
// that fits none is not known, so neither is what stands behind it.
type manner struct {
	opaque bool   // no place behind it is known; the rest is empty
	alone  string // complete in itself
	valued string // its value is the next word
	code   string // the next word is code; the others are arguments of it
	name   bool   // but the first of them is its name, $0
	own    int    // words of its own behind the options
	starts bool   // then comes a program, which may be one of these again; else a file with code
}

var (
	posixShell = manner{
		alone:  `[-+][abCeEfhilmnuvx]+|--login|--noprofile|--norc|--posix`,
		valued: `[-+][abCeEfhilmnuvx]*o`,
		code:   `-[abCeEfhilmnuvx]*c[abCeEfhilmnuvx]*`,
		name:   true,
	}
	python = manner{alone: `-[bBEIOqsSu]+`, valued: `-[WX]`, code: `-[bBEIOqsSu]*[cm]`}
	// Of the others a code option is not known: behind one, perl takes more of them.
	interpreter = manner{alone: `-w`}
)

// manners has what is known, by name.
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

// opaque are programs that join their arguments, read several of them as code, or
// start other programs in ways of their own.
var opaque = strings.Fields(`at awk batch bc chroot chrt coreutils dc ed emacs eval ex find flock gawk gdb gmake jq ltrace m4
	make mariadb mawk mosh mysql nawk nsenter parallel psql remsh rsh runuser screen script sed setpriv sg sqlite3 ssh
	strace su systemd-run tmux unshare vi vim watch xargs`)

// multiCall are programs that are many, each under the name of a link to them.
var multiCall = strings.Fields(`busybox coreutils toybox`)

const wayOut = `use a script that takes it as "$1", sh -c SCRIPT sh {} or --shell`

// checkPlaceholders accepts {} only where, as far as is known, a payload is taken
// for data: not for code, a program, or an option of a program that starts others.
//
//   - Behind a program of manners, where those tell that it is an argument of the
//     code or the program that is named before. Behind an opaque one, nowhere.
//   - Behind every other one, unless an option before it may take code: see codeOption.
//   - By itself, or amid text that can hardly be code: see isPlain.
//
// A word counts as a program of that name wherever it stands before {}, for any
// program may start others.
func checkPlaceholders(words []string) error {
	if holds(words[0]) {
		return fmt.Errorf("%q: {} cannot be in the program's name: a payload never chooses what is run", words[0])
	}
	started := true // the word is a program for sure
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
				return fmt.Errorf("{} behind %q: a payload may become code, a program or an option there: %s; or leave {} out and read standard input",
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

// checkPlace checks a word that holds {}, and the one before it.
func checkPlace(before, word string) error {
	option, _, _ := strings.Cut(word, placeholder)
	switch {
	case codeOption.MatchString(before):
		option = before + " " + word
	case codeOption.MatchString(option), option == "-", option == "--":
		option = word
	case strings.ContainsFunc(strings.ReplaceAll(word, placeholder, ""), func(r rune) bool { return !isPlain(r) }):
		return fmt.Errorf("%q: a payload may become code amid such text: let {} stand by itself, or amid letters, digits and _./:=,+@%%- alone; or %s", word, wayOut)
	default:
		return nil
	}
	return fmt.Errorf("%q: a payload may become code, a command or an option there: put -- before {} if the option takes no value, or %s", option, wayOut)
}

// codeOption matches options whose value may be code or a command: by a part of
// their name, or by the letters that most programs use for those. Of a program that
// is not in manners, or goes by another name, nothing else is known.
var codeOption = regexp.MustCompile(`^(?i:--?[\w-]*(command|program|filter|exec|eval|action|shell|script|code|expr|editor|pager|cmd|hook|proxy|rsh|ssh)[\w-]*(=.*)?)$|^-\w*[ceExX]=?$`)

// version is what may stand behind a program's name, as in perl5.36-x86_64-linux-gnu.
var version = regexp.MustCompile(`[-.]?\d[\d.]*(-.*)?$`)

// mannersOf returns what is known of a word, by its name and by that of the file
// that it is a link to. One that was started is looked up as a program is.
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

// isPlain tells whether {} may stand in one word with a character: in paths, URLs
// and --option=, but neither with blanks nor with what quotes or separates.
func isPlain(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_./:=,+@%-", r)
}

// length is how many of the words behind a program are not arguments of what it
// runs, for sure: its options, its own words, and code or a file with code. The
// program that it starts is not among them. {} may be in none of them.
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
		n-- // it may be a program of manners
	case code && m.name && !holds(words[n]):
		n++ // it is none, although it often is "sh"
	}
	return n, true
}

func isOption(word string) bool { return strings.HasPrefix(word, "-") || strings.HasPrefix(word, "+") }

func matches(pattern, word string) bool {
	return pattern != "" && regexp.MustCompile(`^(?s:`+pattern+`)$`).MatchString(word)
}

// fill puts the payload into the arguments. The first word is the program.
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
