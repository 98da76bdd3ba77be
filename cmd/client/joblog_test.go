package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

const facts = task.Facts("worker=gpu.box:7-00000000-0000-4000-8000-000000000000 began=1500000000123 ran=1500 attempt=1")

func TestJoblogLine(t *testing.T) {
	now := time.UnixMilli(1500000010000)
	of := func(s task.State, err error) client.Outcome {
		o := client.Outcome{Item: client.Item{Index: 7, Payload: []byte("gzip 'a\tb\n'\xff")}, Result: client.Result{State: s, Took: 3 * time.Second}}
		o.Err = err
		return o
	}
	for name, tc := range map[string]struct {
		o    client.Outcome
		want string
	}{
		"of a task that is done":               {of(task.State{Phase: task.Done, Facts: facts + " exit=0", Text: []byte("result")}, nil), "7|box|1500000000.123|     1.500|12|6|0|0|"},
		"of an exit status":                    {of(task.State{Phase: task.Failed, Facts: facts + " exit=3", Text: []byte("so"), Stdout: []byte("four")}, nil), "7|box|1500000000.123|     1.500|12|4|3|0|"},
		"of a signal":                          {of(task.State{Phase: task.Failed, Facts: facts + " exit=SIGKILL", Text: []byte("so")}, nil), "7|box|1500000000.123|     1.500|12|0|0|9|"},
		"of a failure without either":          {of(task.State{Phase: task.Failed, Facts: facts, Text: []byte("so")}, nil), "7|box|1500000000.123|     1.500|12|0|-1|0|"},
		"of a result too large":                {of(task.State{Phase: task.Failed, Facts: facts + " exit=0", Text: []byte("so")}, nil), "7|box|1500000000.123|     1.500|12|0|-1|0|"},
		"of a task finished by hand":           {of(task.NewDone([]byte("1")), nil), "7|-|1500000007.000|     3.000|12|1|0|0|"},
		"of an input that was never submitted": {of(task.State{}, errors.New("too large")), "7|-|1500000007.000|     3.000|12|0|-1|0|"},
		"of a hostile worker id":               {of(task.State{Phase: task.Done, Facts: "worker=a\x1bb began=1500000000123"}, nil), "7|a\\x1bb|1500000000.123|     0.000|12|0|0|0|"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEntry(tc.o, now)
			want := strings.ReplaceAll(tc.want, "|", "\t") + `gzip 'a\tb\n'\xff`
			if got := e.String(); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if again, err := parseEntry(want); again.String() != want || err != nil || again.failed() != isFailure(tc.o) {
				t.Errorf("read again: %q, %v", again, err)
			}
		})
	}
	t.Run("of GNU parallel is read", func(t *testing.T) {
		e, err := parseEntry("3\t:\t1764000000.123\t     0.002\t0\t12\t1\t0\techo a\tb")
		if err != nil || e.seq != 3 || e.ran != 2*time.Millisecond || e.exit != 1 || e.command != "echo a\tb" {
			t.Errorf("%+v, %v", e, err)
		}
	})
	t.Run("is refused when a column is missing or no number", func(t *testing.T) {
		for _, line := range []string{"", "1\t2", "x\t:\t1\t1\t1\t1\t1\t1\tc", "1\t:\t1\t1\t1\tx\t1\t1\tc", "0\t:\t1\t1\t1\t1\t1\t1\tc"} {
			if e, err := parseEntry(line); err == nil {
				t.Errorf("%q: %+v", line, e)
			}
		}
	})
}

func FuzzJoblogLine(f *testing.F) {
	f.Add("1\t:\t1.5\t1\t1\t1\t1\t1\tc")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := parseEntry(line)
		if err != nil {
			return
		}
		if again, err := parseEntry(e.String()); err != nil || again.seq != e.seq || again.exit != e.exit || again.signal != e.signal || again.command != e.command {
			t.Errorf("%q: %+v, then %+v, %v", line, e, again, err)
		}
	})
}

func TestJoblogFile(t *testing.T) {
	const first = joblogHeader + "\n1\t:\t1\t1\t1\t1\t0\t0\ta\n2\t:\t1\t1\t1\t1\t4\t0\tb\n"
	write := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := func(t *testing.T, path string, resume, again bool) *joblog {
		t.Helper()
		l, err := openJoblog(path, resume, again)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.file.Close() })
		return l
	}
	did := func(l *joblog, seq int, payload string) bool {
		t.Helper()
		_, did, err := l.did(client.Item{Index: seq, Payload: []byte(payload)})
		if err != nil {
			t.Error(err)
		}
		return did
	}
	holds := func(t *testing.T, path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); string(got) != want || err != nil {
			t.Errorf("holds %q, %v, want %q", got, err, want)
		}
	}
	t.Run("begins with the header", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l := open(t, path, false, false)
		if err := l.add(entry{seq: 1, host: "h", start: time.UnixMilli(1500), command: "c"}); err != nil {
			t.Fatal(err)
		}
		holds(t, path, joblogHeader+"\n1\th\t1.500\t     0.000\t0\t0\t0\t0\tc\n")
	})
	t.Run("that cannot be written is an error", func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "log"), false, false)
		l.file.Close()
		if err := l.add(entry{seq: 1}); err == nil || !strings.HasPrefix(err.Error(), "--joblog: write ") {
			t.Errorf("%v", err)
		}
	})
	t.Run("that is no joblog is left as it is", func(t *testing.T) {
		for _, text := range []string{"precious data", "precious\n", "Seq\tHost\tother"} {
			path := write(t, text)
			if _, err := openJoblog(path, true, false); err == nil || !strings.Contains(err.Error(), "is no joblog") {
				t.Errorf("%q: %v", text, err)
			}
			holds(t, path, text)
		}
	})
	t.Run("that was cut off in its header begins anew", func(t *testing.T) {
		for _, n := range []int{7, 20} {
			path := write(t, joblogHeader[:n])
			open(t, path, true, false)
			holds(t, path, joblogHeader+"\n")
		}
	})
	t.Run("distinguishes inputs that are written alike", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l := open(t, path, false, false)
		o := client.Outcome{Item: client.Item{Index: 1, Payload: []byte("\xff")}}
		if err := errors.Join(l.add(newEntry(o, time.Now())), l.close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(t, path, true, false).did(client.Item{Index: 1, Payload: []byte(`\xff`)}); !errors.Is(err, errOtherRun) {
			t.Errorf("%v", err)
		}
	})
	t.Run("knows which inputs were executed", func(t *testing.T) {
		l := open(t, write(t, first), true, false)
		if !did(l, 1, "a") || !did(l, 2, "b") || did(l, 3, "c") || l.last != 2 {
			t.Errorf("%+v", l.past)
		}
	})
	t.Run("has failed inputs executed again with --resume-failed, and the last line of an input counts", func(t *testing.T) {
		path := write(t, first)
		l := open(t, path, true, true)
		if !did(l, 1, "a") || did(l, 2, "b") {
			t.Errorf("%+v", l.past)
		}
		if err := errors.Join(l.add(entry{seq: 2, command: "b"}), l.close()); err != nil {
			t.Fatal(err)
		}
		if l = open(t, path, true, true); !did(l, 2, "b") {
			t.Errorf("%+v", l.past)
		}
	})
	t.Run("drops a last line that was cut off", func(t *testing.T) {
		for _, cut := range []string{"3", "3\t:\t1\t1\t1\t1\t0\t0\tc"} {
			path := write(t, first+cut)
			if l := open(t, path, true, false); did(l, 3, "c") {
				t.Error("the line that was cut off counts")
			}
			holds(t, path, first)
		}
	})
	t.Run("that is malformed, or not empty, or in use, is refused", func(t *testing.T) {
		for text, want := range map[string]string{
			"hello\n":        "is no joblog: its first line is not the header",
			first + "x\n":    "line 4 has 1 columns, not 9",
			first + "\x00\n": "line 4 has 1 columns, not 9",
		} {
			path := write(t, text)
			if _, err := openJoblog(path, true, false); err == nil || !strings.HasSuffix(err.Error(), path+": "+want) {
				t.Errorf("%q: %v", text, err)
			}
		}
		path := write(t, first)
		if _, err := openJoblog(path, false, false); err == nil || !strings.Contains(err.Error(), ": is not empty: add --resume") {
			t.Errorf("%v", err)
		}
		holds(t, path, first)
		open(t, path, true, false)
		if _, err := openJoblog(path, true, false); err == nil || !strings.HasSuffix(err.Error(), "is in use by another run") {
			t.Errorf("%v", err)
		}
	})
	t.Run("is refused for another input before any task is sent", func(t *testing.T) {
		const third = joblogHeader + "\n3\t:\t1\t1\t1\t1\t0\t0\tc\n" // the first two were under way
		for _, tc := range []struct{ log, input, want string }{
			{first, "a x c", `--resume: input 2 is "x", and the joblog has something else for it: it is of another run`},
			{first, "a", "--resume: the input ends at 1, but the joblog has input 2: it is of another run"},
			{third, "a b x d", `--resume: input 3 is "x", and the joblog has something else for it: it is of another run`},
			{third, "a b", "--resume: the input ends at 2, but the joblog has input 3: it is of another run"},
		} {
			in := &input{args: strings.Fields(tc.input), log: open(t, write(t, tc.log), true, true)}
			for it := range in.items(t.Context()) {
				t.Errorf("sent %+v", it)
			}
			if err := in.failure(); err == nil || err.Error() != tc.want {
				t.Errorf("%q: %v, want %q", tc.input, err, tc.want)
			}
		}
	})
	t.Run("leaves over the inputs that are to be executed", func(t *testing.T) {
		for _, tc := range []struct {
			again, reprint bool
			want           string
		}{{false, false, "c"}, {true, false, "bc"}, {false, true, "abc"}} {
			in := &input{args: []string{"a", "b", "c"}, log: open(t, write(t, first), true, tc.again), reprint: tc.reprint}
			got := ""
			for it := range in.items(t.Context()) {
				got += string(it.Payload)
			}
			if got != tc.want || in.failure() != nil {
				t.Errorf("%+v: got %q, %v", tc, got, in.failure())
			}
		}
	})
}

func TestResultsAreStoredAndLoadedWhole(t *testing.T) {
	r, err := openResults(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	it := client.Item{Index: 3, Payload: []byte("p")}
	done := client.Outcome{Item: it, Result: client.Result{State: task.State{Phase: task.Done, Text: []byte("r\x00"), Stderr: []byte("e"), Facts: "exit=0"}}}
	failed := client.Outcome{Item: it, Result: client.Result{State: task.State{Phase: task.Failed, Text: []byte("why"), Stdout: []byte("o"), Facts: "exit=SIGTERM"}}}
	never := client.Outcome{Item: it}
	never.Err = errors.New("too large")
	for _, o := range []client.Outcome{failed, never, done} {
		if err := r.store(o); err != nil {
			t.Fatal(err)
		}
		past := logged{failed: isFailure(o), receive: len(output(o))}
		got, ok := r.load(it, past, "")
		if !ok || string(output(got)) != string(output(o)) || reason(got) != reason(o) || string(got.State.Stderr) != string(o.State.Stderr) || isFailure(got) != isFailure(o) {
			t.Errorf("%+v: got %+v, %v", o, got, ok)
		}
		if past.receive++; ok {
			if _, ok := r.load(it, past, ""); ok {
				t.Error("loaded a result of another size than the joblog has")
			}
		}
	}
	names, err := os.ReadDir(r.path(3, ""))
	if err != nil || len(names) != 3 {
		t.Errorf("left %v, %v", names, err)
	}
	if exit, _ := os.ReadFile(r.path(3, "exit")); string(exit) != "0\n" {
		t.Errorf("exit %q", exit)
	}
	if err := os.Truncate(r.path(3, "exit"), 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.load(it, logged{receive: 2}, ""); ok {
		t.Error("loaded a result that was not written to its end")
	}
}
