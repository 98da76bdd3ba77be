package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Var adds a flag that parse reads into *p. An error of parse is printed after the flag's
// name: it must name the bad value and say what is wanted.
// In usage, one word in `backquotes` stands for the value.
func Var[T any](flags *pflag.FlagSet, p *T, name string, def T, usage string, parse func(string) (T, error)) {
	VarP(flags, p, name, "", def, usage, parse)
}

// VarP is Var with a letter as the short name.
func VarP[T any](flags *pflag.FlagSet, p *T, name, letter string, def T, usage string, parse func(string) (T, error)) {
	*p = def
	flags.VarP(&value[T]{p, parse}, name, letter, usage)
}

type value[T any] struct {
	p     *T
	parse func(string) (T, error)
}

func (v *value[T]) Set(s string) error {
	t, err := v.parse(s)
	if err != nil {
		return err
	}
	*v.p = t
	return nil
}

func (v *value[T]) Type() string { return "value" }

func (v *value[T]) String() string {
	if d, ok := any(*v.p).(time.Duration); ok {
		return short(d)
	}
	return fmt.Sprint(*v.p)
}

// Duration reads a duration within bounds.
func Duration(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < least || d > most {
			return 0, fmt.Errorf("must be a duration from %s to %s, such as 1m30s, not %q", short(least), short(most), s)
		}
		return d, nil
	}
}

// Int reads a decimal number within bounds.
func Int(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("must be a number from %d to %d, not %q", least, most, s)
		}
		return n, nil
	}
}

// OneOf reads one of the given words.
func OneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("must be one of %s, not %q", strings.Join(words, ", "), s)
		}
		return s, nil
	}
}

// short is a duration without the zeros at the end of its String.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// flagError says what is wrong with a flag, after the flag's name.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err // names the flag
	}
	flag, cause := bad.GetFlag(), bad.Unwrap()
	if flag.Value.Type() == "bool" { // pflag's own
		cause = fmt.Errorf("must be true or false, not %q", bad.GetValue())
	}
	return fmt.Errorf("--%s: %w", flag.Name, cause)
}
