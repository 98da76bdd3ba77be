package task

import (
	"bytes"
	"fmt"
	"strconv"
)

// Phase is how far a task has come: the word in its state.
type Phase int

const (
	Malformed Phase = iota // the word is unknown: left alone
	Pending                // submitted, not finished
	Done                   // finished; State.Text is the result
	Failed                 // finished; State.Text is the reason
)

// String is the word in the znode; for Malformed, the word that people see.
func (p Phase) String() string {
	switch p {
	case Pending:
		return "pending"
	case Done:
		return "done"
	case Failed:
		return "failed"
	}
	return "malformed"
}

// State is the content of /tasks/<id>.
type State struct {
	Phase  Phase
	Losses int    // Pending: executions lost with their workers
	Facts  Facts  // those that no other field holds
	Text   []byte // Done: the result; Failed: the reason; Malformed: all of it

	// Only for a command, if its worker recorded them. Of a command that is done, standard
	// output is Text.
	Stdout, Stderr []byte
}

// Finished reports whether the task has a result or has failed.
func (s State) Finished() bool { return s.Phase == Done || s.Phase == Failed }

// ParseState reads what State.Bytes or a person wrote. It accepts anything. A bad number of
// losses counts as 0. The state is Malformed if its word is unknown, or if its facts are bad
// or too long.
func ParseState(data []byte) State {
	word, rest := data, []byte(nil)
	if i := bytes.IndexAny(data, " \t\r\n"); i >= 0 {
		word, rest = data[:i], data[i+1:]
	}
	malformed := State{Phase: Malformed, Text: data}
	var facts Facts
	if plain, ok := bytes.CutSuffix(word, []byte(":")); ok {
		line, body := []byte(nil), rest
		if len(data) > len(word) && data[len(word)] != '\n' {
			line, body, _ = bytes.Cut(rest, []byte("\n"))
		}
		if facts, ok = parseFacts(line); !ok || len(plain) == 0 {
			return malformed
		}
		word, rest = plain, body
	}
	s := State{Facts: facts}
	switch string(word) {
	case "", "pending":
		if len(word) == 0 && len(bytes.TrimSpace(rest)) > 0 {
			return malformed
		}
		if len(facts) > maxAsked {
			return malformed
		}
		s.Phase = Pending
		losses := string(bytes.TrimSpace(rest))
		if facts != "" {
			losses = facts.Get(factLosses)
			s.Facts = facts.without(func(key string) bool { return key == factLosses })
		}
		if n, err := strconv.Atoi(losses); err == nil && n > 0 {
			s.Losses = n
		}
		return s
	case "done":
		s.Phase = Done
	case "failed":
		s.Phase = Failed
	default:
		return malformed
	}
	s.Text, s.Stderr = cutEnd(rest, facts, factStderr)
	s.Text, s.Stdout = cutEnd(s.Text, facts, factStdout)
	s.Facts = facts.without(func(key string) bool { return key == factStdout || key == factStderr })
	return s
}

// cutEnd cuts as many bytes off the end as a fact says, if the text has that many.
func cutEnd(text []byte, f Facts, key string) (rest, end []byte) {
	n, ok := f.Int(key)
	if !ok || n == 0 || n > int64(len(text)) {
		return text, nil
	}
	at := len(text) - int(n)
	return text[:at:at], text[at:]
}

// Size is an upper bound for the length of Bytes.
func (s State) Size() int {
	const most = 100 // bytes for words and numbers
	return len(s.Text) + len(s.Stdout) + len(s.Stderr) + len(s.Facts) + most
}

// Bytes writes the state as ParseState reads it.
func (s State) Bytes() []byte {
	if s.Phase == Malformed {
		return s.Text
	}
	facts := s.Facts
	if facts == "" && len(s.Stdout)+len(s.Stderr) == 0 {
		switch {
		case s.Phase == Pending && s.Losses > 0:
			return fmt.Appendf(nil, "pending %d", s.Losses)
		case s.Phase == Pending, len(s.Text) == 0:
			return []byte(s.Phase.String())
		}
		return append([]byte(s.Phase.String()+" "), s.Text...)
	}
	if s.Phase == Pending {
		if s.Losses > 0 {
			facts = facts.With(factLosses, s.Losses)
		}
		return []byte("pending: " + string(facts))
	}
	if len(s.Stdout) > 0 {
		facts = facts.With(factStdout, len(s.Stdout))
	}
	if len(s.Stderr) > 0 {
		facts = facts.With(factStderr, len(s.Stderr))
	}
	var b bytes.Buffer
	b.Grow(len(s.Text) + len(s.Stdout) + len(s.Stderr) + len(facts) + 16)
	b.WriteString(s.Phase.String() + ": " + string(facts) + "\n")
	b.Write(s.Text)
	b.Write(s.Stdout)
	b.Write(s.Stderr)
	return b.Bytes()
}

// NewPending is the state of a pending task that lost n executions.
func NewPending(n int) State { return State{Phase: Pending, Losses: n} }

// NewDone is the state of a task that is done.
func NewDone(result []byte) State { return State{Phase: Done, Text: result} }

// NewFailed is the state of a task that failed.
func NewFailed(reason string) State { return State{Phase: Failed, Text: []byte(reason)} }

// Again is the state of a task that must be executed again: pending, with what its submitter
// asks for.
func (s State) Again() State { return State{Phase: Pending, Facts: s.Facts.Asked()} }
