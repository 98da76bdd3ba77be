package task

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseState(t *testing.T) {
	long := strings.Repeat("x", MaxFacts)
	tests := []struct {
		name, data string
		want       State
	}{
		{"empty is pending", "", State{Phase: Pending}},
		{"only blanks is pending", " \n", State{Phase: Pending}},
		{"pending", "pending", State{Phase: Pending}},
		{"pending with a newline of the shell", "pending\n", State{Phase: Pending}},
		{"pending with losses", "pending 2", State{Phase: Pending, Losses: 2}},
		{"pending with losses and blanks", "pending  2 \n", State{Phase: Pending, Losses: 2}},
		{"a bad number of losses is 0", "pending two", State{Phase: Pending}},
		{"a negative number of losses is 0", "pending -3", State{Phase: Pending}},
		{"a number too large is 0", "pending 99999999999999999999", State{Phase: Pending}},
		{"done without a result", "done", State{Phase: Done}},
		{"done", "done 42", State{Phase: Done, Text: []byte("42")}},
		{"a result is raw bytes", "done  4\x002\n", State{Phase: Done, Text: []byte(" 4\x002\n")}},
		{"a result after a newline", "done\n42", State{Phase: Done, Text: []byte("42")}},
		{"failed", "failed no payload", State{Phase: Failed, Text: []byte("no payload")}},
		{"another word is malformed", "banana 1", State{Phase: Malformed, Text: []byte("banana 1")}},
		{"case matters", "Done 1", State{Phase: Malformed, Text: []byte("Done 1")}},
		{"text after a leading blank is malformed", " done", State{Phase: Malformed, Text: []byte(" done")}},
		{"pending with facts", "pending: losses=2 kind=command  timeout=100\n", State{Phase: Pending, Losses: 2, Facts: "kind=command timeout=100"}},
		{"pending with no facts", "pending:", State{Phase: Pending}},
		{"done with facts", "done: worker=w ran=7\n4\n2", State{Phase: Done, Facts: "worker=w ran=7", Text: []byte("4\n2")}},
		{"done with facts and nothing else", "done: worker=w", State{Phase: Done, Facts: "worker=w"}},
		{"facts of a later version are kept", "done: x=1 worker=w y=\nr", State{Phase: Done, Facts: "x=1 worker=w y=", Text: []byte("r")}},
		{"the first of two values counts", "done: x=1 x=2\nr", State{Phase: Done, Facts: "x=1", Text: []byte("r")}},
		{"standard error behind a result", "done: err=3\n42e\x00\n", State{Phase: Done, Text: []byte("42"), Stderr: []byte("e\x00\n")}},
		{"both streams behind a reason", "failed: out=2 exit=1 err=3\nwhyOOEEE",
			State{Phase: Failed, Facts: "exit=1", Text: []byte("why"), Stdout: []byte("OO"), Stderr: []byte("EEE")}},
		{"a stream longer than all there is", "failed: err=9\nwhy", State{Phase: Failed, Text: []byte("why")}},
		{"what is no fact is malformed", "done: 42", State{Phase: Malformed, Text: []byte("done: 42")}},
		{"a fact without a key is malformed", "done: =1\n", State{Phase: Malformed, Text: []byte("done: =1\n")}},
		{"a colon alone is malformed", ": x=1\n", State{Phase: Malformed, Text: []byte(": x=1\n")}},
		{"facts of a pending task that leave a worker no room are malformed", "pending: x=" + long[:MaxFacts/2], State{Phase: Malformed, Text: []byte("pending: x=" + long[:MaxFacts/2])}},
		{"facts as long as they may be", "done: x=" + long[2:], State{Phase: Done, Facts: Facts("x=" + long[2:])}},
		{"facts that are too long are malformed", "done: x=" + long, State{Phase: Malformed, Text: []byte("done: x=" + long)}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got := ParseState([]byte(tt.data))
			if !same(got, tt.want) {
				t.Errorf("ParseState(%.100q) = %+v, want %+v", tt.data, got, tt.want)
			}
		})
	}
}

func same(a, b State) bool {
	return a.Phase == b.Phase && a.Losses == b.Losses && a.Facts == b.Facts &&
		bytes.Equal(a.Text, b.Text) && bytes.Equal(a.Stdout, b.Stdout) && bytes.Equal(a.Stderr, b.Stderr)
}

func FuzzParseState(f *testing.F) {
	for _, s := range []string{"", "pending", "pending 3", "done 42", "failed x y", "junk", "done\x00", " pending",
		"pending: losses=2 kind=command", "done: worker=w err=2\nxyz", "failed: out=1 err=1\nabc", "done:", "failed:\n", "done: 42"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := ParseState(data)
		if s.Losses < 0 || (s.Phase != Pending && s.Losses != 0) {
			t.Fatalf("ParseState(%q) = %+v", data, s)
		}
		again := ParseState(s.Bytes())
		if !same(again, s) {
			t.Fatalf("%q is %+v, written and read again %+v", data, s, again)
		}
	})
}

func TestFactsOfAnExecution(t *testing.T) {
	asked := Facts("kind=command timeout=1500 new=1")
	e := Executed{Worker: "host:1-x", Began: time.UnixMilli(1_700_000_000_123), Ran: 42 * time.Millisecond, Attempt: 2, Exit: "SIGKILL"}
	f := e.Facts(asked)
	if want := asked + " worker=host:1-x began=1700000000123 ran=42 attempt=2 exit=SIGKILL"; f != want {
		t.Errorf("got %q, want %q", f, want)
	}
	if got := f.Executed(); !got.Began.Equal(e.Began) || got.Ran != e.Ran || got.Worker != e.Worker || got.Attempt != 2 || got.Exit != e.Exit {
		t.Errorf("got %+v, want %+v", got, e)
	}
	most := Executed{Worker: strings.Repeat("w", MaxID), Began: e.Began, Ran: 1 << 62, Attempt: 1 << 62, Exit: "signal 1000000000"}.Facts(Facts("x=" + strings.Repeat("x", maxAsked-2)))
	if s := (State{Phase: Failed, Facts: most, Stdout: []byte("o"), Stderr: []byte("e")}); ParseState(s.Bytes()).Phase != Failed {
		t.Errorf("%d bytes of facts are malformed", len(most))
	}
	if got := (Executed{Exit: "0"}).Facts("timeout=5"); got != "timeout=5 exit=0" {
		t.Errorf("of an exit status alone %q", got)
	}
	if got := f.Asked(); got != asked {
		t.Errorf("asked %q, want %q", got, asked)
	}
	if got := f.Duration(FactTimeout); got != 1500*time.Millisecond {
		t.Errorf("timeout %s", got)
	}
	if got := Facts("timeout=-1").Duration(FactTimeout) + Facts("timeout=9223372036854775807").Duration(FactTimeout); got != 0 {
		t.Errorf("a timeout out of range is %s, want 0", got)
	}
	if got := Facts("began=9223372036854775807").Executed().Began; !got.IsZero() {
		t.Errorf("began %s", got)
	}
	again := State{Phase: Failed, Facts: f, Text: []byte("why"), Stderr: []byte("x")}.Again()
	if got := string(again.Bytes()); got != "pending: "+string(asked) {
		t.Errorf("again %q", got)
	}
}

func TestParseList(t *testing.T) {
	tests := []struct {
		name, data string
		want       []string
		back       []string
	}{
		{"empty is free", "", nil, nil},
		{"blanks are free", " \n\r\n ", nil, nil},
		{"one id", "a", []string{"a"}, nil},
		{"a newline at the end", "a\n", []string{"a"}, nil},
		{"carriage returns", "a\r\nb\r\n", []string{"a", "b"}, nil},
		{"blanks around an id", "  a \n\tb", []string{"a", "b"}, nil},
		{"a repeat is dropped", "a\nb\na", []string{"a", "b"}, nil},
		{"a blank inside belongs to the id", "my task", []string{"my task"}, nil},
		{"one is asked back", "a\n-b\nc", []string{"a", "b", "c"}, []string{"b"}},
		{"asked back in one of its lines", "a\nb\n-a", []string{"a", "b"}, []string{"a"}},
		{"no id after the mark", "-\n--a\n- b", nil, nil},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			if got, err := ParseList([]byte(tt.data)); !slices.Equal(got.IDs, tt.want) || !slices.Equal(got.Back, tt.back) || err != nil {
				t.Errorf("ParseList(%q) = %q, %v, want %q, back %q", tt.data, got, err, tt.want, tt.back)
			}
		})
	}
}

func TestParseListRefusesMoreThanAnyWorkerIsGiven(t *testing.T) {
	ids := make([]string, MaxList, MaxList+1)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	if got, err := ParseList(List{IDs: append(ids, "0")}.Bytes()); !slices.Equal(got.IDs, ids) || err != nil {
		t.Errorf("%d ids and a repeat: %d, %v", MaxList, len(got.IDs), err)
	}
	if got, err := ParseList(List{IDs: append(ids, "more")}.Bytes()); got.IDs != nil || !errors.Is(err, ErrList) {
		t.Errorf("one more: %d, %v", len(got.IDs), err)
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", strings.Repeat("a", MaxID+1), "\r\n a \r\n", "a\na", "\x00\n\xff", "a\n-b\n-a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseList(data)
		if err != nil && (list.IDs != nil || bytes.Count(data, []byte{'\n'}) < MaxList) {
			t.Fatalf("%d ids, %v", len(list.IDs), err)
		}
		for i, id := range list.IDs {
			if !ValidID(id) {
				t.Fatalf("ParseList(%q)[%d] = %q is not valid", data, i, id)
			}
			if slices.Contains(list.IDs[:i], id) {
				t.Fatalf("ParseList(%q) repeats %q", data, id)
			}
		}
		again, err := ParseList(list.Bytes())
		if !slices.Equal(again.IDs, list.IDs) || !slices.Equal(again.Back, list.Back) || err != nil {
			t.Fatalf("%q written and read again is %q, %v", list, again, err)
		}
	})
}

func TestValidID(t *testing.T) {
	for name, want := range map[string]bool{
		"t1": true, NewID(): true, "my task": true,
		strings.Repeat("a", MaxID): true, strings.Repeat("a", MaxID+1): false,
		"": false, " t1": false, "t1\n": false, "a\nb": false, "a\rb": false,
	} {
		if ValidID(name) != want {
			t.Errorf("ValidID(%q) = %t", name, !want)
		}
	}
}

func TestSleep(t *testing.T) {
	t.Run("sleeps_for_the_payload_in_seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			got, err := Sleep(t.Context(), Execution{Payload: []byte(" 1.5\n")})
			if string(got.Result) != "0" || err != nil || time.Since(start) != 1500*time.Millisecond {
				t.Errorf("got %q, %v after %s", got.Result, err, time.Since(start))
			}
		})
	})
	t.Run("ends_with_its_context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if _, err := Sleep(ctx, Execution{Payload: []byte("3600")}); err == nil || time.Since(start) != time.Second {
				t.Errorf("got %v after %s", err, time.Since(start))
			}
		})
	})
	t.Run("refuses_what_is_no_number_of_seconds", func(t *testing.T) {
		for _, payload := range []string{"", "x", "-1", "NaN", "Inf", "1e9", "86401"} {
			if _, err := Sleep(t.Context(), Execution{Payload: []byte(payload)}); err == nil {
				t.Errorf("Sleep(%q) succeeded", payload)
			}
		}
	})
}
