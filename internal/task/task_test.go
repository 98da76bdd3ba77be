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
	tests := []struct {
		name, data string
		want       State
	}{
		{"empty is pending", "", State{Phase: Pending}},
		{"only blanks is pending", " \n", State{Phase: Pending}},
		{"pending", "pending", State{Phase: Pending}},
		{"pending with a newline of the shell", "pending\n", State{Phase: Pending}},
		{"losses", "pending 2", State{Phase: Pending, Losses: 2}},
		{"losses with blanks", "pending  2 \n", State{Phase: Pending, Losses: 2}},
		{"a bad number of losses is 0", "pending two", State{Phase: Pending}},
		{"a negative number of losses is 0", "pending -3", State{Phase: Pending}},
		{"a number too large is 0", "pending 99999999999999999999", State{Phase: Pending}},
		{"done without a result", "done", State{Phase: Done}},
		{"done", "done 42", State{Phase: Done, Text: []byte("42")}},
		{"a result is raw bytes", "done  4\x002\n", State{Phase: Done, Text: []byte(" 4\x002\n")}},
		{"a result after a newline", "done\n42", State{Phase: Done, Text: []byte("42")}},
		{"failed", "failed no payload", State{Phase: Failed, Text: []byte("no payload")}},
		{"another word is odd", "banana 1", State{Phase: Odd, Text: []byte("banana 1")}},
		{"case matters", "Done 1", State{Phase: Odd, Text: []byte("Done 1")}},
		{"text after a leading blank is odd", " done", State{Phase: Odd, Text: []byte(" done")}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got := ParseState([]byte(tt.data))
			if got.Phase != tt.want.Phase || got.Losses != tt.want.Losses || !bytes.Equal(got.Text, tt.want.Text) {
				t.Errorf("ParseState(%q) = %+v, want %+v", tt.data, got, tt.want)
			}
		})
	}
}

func FuzzParseState(f *testing.F) {
	for _, s := range []string{"", "pending", "pending 3", "done 42", "failed x y", "junk", "done\x00", " pending"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := ParseState(data)
		if s.Losses < 0 || (s.Phase != Pending && s.Losses != 0) {
			t.Fatalf("ParseState(%q) = %+v", data, s)
		}
		again := ParseState(s.Bytes())
		if again.Phase != s.Phase || again.Losses != s.Losses || !bytes.Equal(again.Text, s.Text) {
			t.Fatalf("%q is %+v, written and read again %+v", data, s, again)
		}
	})
}

func TestParseList(t *testing.T) {
	tests := []struct {
		name, data string
		want       []string
		back       []string
	}{
		{"empty is free", "", nil, nil},
		{"blanks are free", " \n\r\n ", nil, nil},
		{"one", "a", []string{"a"}, nil},
		{"newline at the end", "a\n", []string{"a"}, nil},
		{"carriage returns", "a\r\nb\r\n", []string{"a", "b"}, nil},
		{"blanks around", "  a \n\tb", []string{"a", "b"}, nil},
		{"repeats", "a\nb\na", []string{"a", "b"}, nil},
		{"a blank inside belongs to the id", "my task", []string{"my task"}, nil},
		{"one is asked back", "a\n-b\nc", []string{"a", "b", "c"}, []string{"b"}},
		{"asked back in one of its lines", "a\nb\n-a", []string{"a", "b"}, []string{"a"}},
		{"no id behind the mark", "-\n--a\n- b", nil, nil},
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

func TestIDs(t *testing.T) {
	t.Run("valid", func(t *testing.T) {
		for name, want := range map[string]bool{
			"t1": true, NewID(): true, "my task": true,
			strings.Repeat("a", MaxID): true, strings.Repeat("a", MaxID+1): false,
			"": false, " t1": false, "t1\n": false, "a\nb": false, "a\rb": false,
		} {
			if ValidID(name) != want {
				t.Errorf("ValidID(%q) = %t", name, !want)
			}
		}
	})
}

func TestSleep(t *testing.T) {
	t.Run("sleeps_for_the_payload_in_seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			got, err := Sleep(t.Context(), Execution{Payload: []byte(" 1.5\n")})
			if string(got) != "0" || err != nil || time.Since(start) != 1500*time.Millisecond {
				t.Errorf("got %q, %v after %s", got, err, time.Since(start))
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
