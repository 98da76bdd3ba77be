package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Split splits a command line into words by the quoting rules of POSIX. It expands nothing:
// * and ~ are plain characters, and in double quotes $ and ` as well, so a script for sh -c
// may be quoted like that. It refuses unquoted text that a shell would act upon, such as
// $HOME or |: to take it as plain text would surprise.
func Split(line string) ([]string, error) {
	words, err := split(line)
	if err != nil && err != errEmpty {
		err = fmt.Errorf("%q: %w", line, err)
	}
	return words, err
}

var errSeveral = errors.New("it is more than one program with its arguments: quote the special characters, or use --shell")

// First words that are no program to a shell.
var (
	several  = regexp.MustCompile(`^(!$|[A-Za-z_]\w*\+?=)`)
	reserved = strings.Fields("{ } case do done elif else esac fi for function if in then until while")
)

// split accepts any bytes: the line may be a payload. It reads them once, without recursion,
// however deeply they are nested.
func split(line string) (words []string, err error) {
	s := splitter{line: line}
	for s.next(len(words) == 0) {
		begin := s.at
		word, err := s.word()
		if err != nil {
			return nil, err
		}
		if raw := line[begin:s.at]; len(words) == 0 {
			switch {
			case several.MatchString(raw):
				return nil, errSeveral
			case slices.Contains(reserved, raw):
				return nil, errExpansion(begin)
			}
		}
		words = append(words, word)
	}
	switch {
	case s.at < len(line):
		return nil, errSeveral
	case len(words) == 0:
		return nil, errEmpty
	}
	return words, nil
}

// splitter has read a line up to a position.
type splitter struct {
	line string
	at   int
}

// meta has the characters that end a word if they are unquoted.
const meta = " \t\n|&;<>()"

// next moves to the next word. After a line with words no further line may have any.
func (s *splitter) next(first bool) bool {
	ended := false
	for ; s.at < len(s.line); s.at++ {
		switch c := s.line[s.at]; {
		case c == ' ' || c == '\t':
		case c == '\n':
			ended = !first
		case strings.HasPrefix(s.line[s.at:], "\\\n"):
			s.at++
		case c == '#':
			if n := strings.IndexByte(s.line[s.at:], '\n'); n >= 0 {
				s.at += n - 1
			} else {
				s.at = len(s.line) - 1
			}
		default:
			return !ended && strings.IndexByte(meta, c) < 0
		}
	}
	return false
}

func (s *splitter) word() (string, error) {
	var b strings.Builder
	for ; s.at < len(s.line); s.at++ {
		c, rest := s.line[s.at], s.line[s.at+1:]
		switch {
		case strings.IndexByte(meta, c) >= 0:
			if strings.IndexByte(" \t\n", c) < 0 {
				return "", errSeveral
			}
			return b.String(), nil
		case c == '\\' && rest != "":
			s.at++
			if rest[0] != '\n' {
				b.WriteByte(rest[0])
			}
		case c == '\'':
			text, _, closed := strings.Cut(rest, "'")
			if !closed {
				return "", errOpen(c, s.at)
			}
			b.WriteString(text)
			s.at += len(text) + 1
		case c == '"':
			text, length, err := s.doubleQuoted(rest)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			s.at += length + 1
		case c == '`' || c == '$' && rest != "" && (strings.IndexByte("'\"{(@*#?$!-_", rest[0]) >= 0 || isAlphanumeric(rest[0])):
			return "", errExpansion(s.at)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// doubleQuoted returns the text in double quotes, and its length in the line. It refuses a
// double quote within a substitution: for a shell that does not end the quoted text.
func (s *splitter) doubleQuoted(rest string) (text string, length int, err error) {
	var b strings.Builder
	var parentheses, braces, backquotes int
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		follows := byte(0)
		if i+1 < len(rest) {
			follows = rest[i+1]
		}
		switch {
		case c == '"' && (parentheses > 0 || braces > 0 || backquotes%2 > 0):
			return "", 0, errExpansion(s.at + 1 + i)
		case c == '"':
			return b.String(), i, nil
		case c == '\\' && strings.IndexByte("$`\"\\\n", follows) >= 0 && i+1 < len(rest):
			i++
			if follows == '\n' {
				continue
			}
			c = follows
		case c == '`':
			backquotes++
		case c == '(' && (parentheses > 0 || i > 0 && rest[i-1] == '$'):
			parentheses++
		case c == ')' && parentheses > 0:
			parentheses--
		case c == '{' && i > 0 && rest[i-1] == '$':
			braces++
		case c == '}' && braces > 0:
			braces--
		}
		b.WriteByte(c)
	}
	return "", 0, errOpen('"', s.at)
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func errOpen(quote byte, at int) error {
	return fmt.Errorf("there is no closing quote `%c`, at byte %d", quote, at+1)
}

func errExpansion(at int) error {
	return fmt.Errorf("only a shell understands what begins at byte %d: put it between single quotes, or use --shell", at+1)
}
