package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/client"
)

func TestInputReads(t *testing.T) {
	read := func(t *testing.T, in *input) (got []string) {
		t.Helper()
		for it := range in.items(t.Context()) {
			if it.Index != len(got)+1 {
				t.Errorf("%d items, then one with index %d", len(got), it.Index)
			}
			got = append(got, string(it.Payload[:min(len(it.Payload), 20)]))
			if it.Err != nil {
				got[len(got)-1] = it.Err.Error()
			}
		}
		return got
	}
	large := strings.Repeat("a", client.MaxPayload+1)
	for name, tc := range map[string]struct {
		text string
		nul  bool
		want []string
	}{
		"lines":                             {"a\nb b\nc\n", false, []string{"a", "b b", "c"}},
		"a_last_line_without_a_newline":     {"a\nb", false, []string{"a", "b"}},
		"empty_lines_as_tasks":              {"\n\na\n", false, []string{"", "", "a"}},
		"no_task_from_an_empty_input":       {"", false, nil},
		"records_that_end_with_a_zero_byte": {"a\nb\x00c\x00", true, []string{"a\nb", "c"}},
		"bytes_that_are_no_UTF-8":           {" \xff\r\n", false, []string{" \xff\r"}},
		"on_after_a_payload_too_large":      {large + "\nb\n", false, []string{client.TooLarge(client.MaxPayload + 1).Error(), "b"}},
		"the_largest_payload":               {large[1:] + "\nb\n", false, []string{large[:20], "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, &input{nul: tc.nul, from: io.NopCloser(strings.NewReader(tc.text))})
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("arguments", func(t *testing.T) {
		if got := read(t, &input{args: []string{"a", "b\nc"}}); !slices.Equal(got, []string{"a", "b\nc"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("several_lines_into_each_task", func(t *testing.T) {
		for text, want := range map[string][]string{
			"a\nb\nc\n":                      {"a\nb", "c"},
			"a\nb\nc\nd":                     {"a\nb", "c\nd"},
			"\n\n":                           {"\n"},
			"":                               nil,
			large[2:] + "\nb\nc\n":           {client.TooLarge(client.MaxPayload + 1).Error(), "c"},
			"b\n" + large + "\nc\nd\ne\nf\n": {client.TooLarge(client.MaxPayload + 3).Error(), "c\nd", "e\nf"},
		} {
			got := read(t, &input{each: 2, from: io.NopCloser(strings.NewReader(text))})
			if !slices.Equal(got, want) {
				t.Errorf("%.40q: got %q, want %q", text, got, want)
			}
		}
		if got := read(t, &input{each: 2, args: []string{"a", "b", "c"}}); !slices.Equal(got, []string{"a\nb", "c"}) {
			t.Errorf("arguments: got %q", got)
		}
	})
	t.Run("arguments_into_the_template_of_a_command", func(t *testing.T) {
		tmpl, err := newTemplate([]string{"echo", "{#}", "{}"}, false)
		if err != nil {
			t.Fatal(err)
		}
		in := &input{each: 2, command: tmpl, args: []string{"a", "b c", "\x00", "d", large[1:]}}
		want := []string{"echo 1 a 'b c'", errZero.Error(), client.TooLarge(client.MaxPayload + int64(len("echo 3 "))).Error()}
		if got := read(t, in); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("a_file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(path, []byte("a\nb\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		in := &input{file: path}
		if err := in.open(nil); err != nil {
			t.Fatal(err)
		}
		if got := read(t, in); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("and_counts_a_file_from_its_position", func(t *testing.T) {
		for name, tc := range map[string]struct {
			text  string
			in    *input
			total int
		}{
			"lines":    {"skipped\na\n\nb", &input{}, 3},
			"NUL":      {"skipped\na\n\x00b\x00", &input{nul: true}, 2},
			"several":  {"skipped\na\nb\nc\n", &input{each: 2}, 2},
			"ids":      {"skipped\na\n\nb\n", &input{ids: true}, 2},
			"too long": {"skipped\n" + large + "\nb\n", &input{}, 2},
		} {
			path := filepath.Join(t.TempDir(), "in")
			if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(int64(len("skipped\n")), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			in := tc.in
			if err := in.open(f); err != nil {
				t.Fatal(err)
			}
			in.count(t.Context())
			if _, total := in.sizes(); total != tc.total {
				t.Errorf("%s: %d counted, want %d", name, total, tc.total)
			}
			if got := read(t, in); len(got) != tc.total {
				t.Errorf("%s: then %q read", name, got)
			}
		}
	})
	t.Run("no_missing_file_and_names_the_flag", func(t *testing.T) {
		if err := (&input{file: "/not/there"}).open(nil); err == nil || !strings.HasPrefix(err.Error(), "--file: ") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no_directory_and_names_it", func(t *testing.T) {
		dir := t.TempDir()
		if err := (&input{file: dir}).open(nil); err == nil || err.Error() != "--file: "+dir+" is a directory" {
			t.Errorf("%v", err)
		}
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := (&input{}).open(f); err == nil || !strings.HasPrefix(err.Error(), "standard input is a directory") {
			t.Errorf("%v", err)
		}
	})
	t.Run("until_an_error_which_it_keeps", func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			fmt.Fprint(w, "a\nb")
			w.CloseWithError(fmt.Errorf("gone"))
		}()
		in := &input{from: r}
		if got := read(t, in); !slices.Equal(got, []string{"a"}) || fmt.Sprint(in.failure()) != "read input: gone" {
			t.Errorf("got %q, %v", got, in.failure())
		}
	})
}

// Records are read whole, whatever is in them and however small the reader's buffer is.
func FuzzRecord(f *testing.F) {
	f.Add("a\nb\n\nc", 2)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(0, most%100)
		r := bufio.NewReaderSize(strings.NewReader(text), 16)
		want := strings.Split(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for i := 0; ; i++ {
			got, size, err := record(r, '\n', most)
			if err == io.EOF && size == 0 {
				if i != len(want) {
					t.Fatalf("%d records of %q", i, want)
				}
				return
			}
			if i >= len(want) || int(size) != len(want[i]) || string(got) != want[i][:min(most, len(want[i]))] {
				t.Fatalf("record %d of %q: %q of %d bytes", i, want, got, size)
			}
		}
	})
}
