package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// woods is a tree that is read by hand.
type woods struct {
	t    *testing.T
	hand *zktest.ManualClient
	r    *treeReader
	now  time.Time
}

func newWoods(t *testing.T) *woods {
	t.Helper()
	connect := zktest.Connect(t)
	s := harness.Open(t, connect, func(c *session.Config) { c.NoCreate = true })
	return &woods{t, zktest.Conn(t, connect), newTreeReader(s), time.Unix(1_700_000_000, 0)}
}

// read reads the tree, a second after the last time, and writes a line for each znode.
func (w *woods) read() (lines []string) {
	w.t.Helper()
	if err := w.r.s.Sync(); err != nil {
		w.t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	secret, err := new(Page).hidesPayloads(w.r.s)
	if err != nil {
		w.t.Fatal(err)
	}
	t, err := w.r.read(w.now, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	line := func(z znode) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %d %s%s %s", z.Name, z.Version, z.Data, z.Note, z.Change)))
	}
	for _, d := range t.Dirs {
		line(d.znode)
		for _, z := range d.List {
			line(z)
		}
		if d.More > 0 || d.Note != "" {
			lines = append(lines, fmt.Sprintf("+%d %s", d.More, d.Note))
		}
	}
	return lines
}

func (w *woods) reads(what string, want ...string) {
	w.t.Helper()
	if got := w.read(); !slices.Equal(got, want) {
		w.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTreeMarksWhatChanges(t *testing.T) {
	w := newWoods(t)
	w.hand.Create("/zoo", "by hand")
	w.hand.Create("/tasks", "")
	w.hand.Create("/tasks/a", "pending")
	w.hand.Create("/tasks/b", "pending")
	w.reads("at first", "tasks 0", "a 0 pending", "b 0 pending", "zoo 0 by hand")
	w.hand.Set("/tasks/a", "done 1")
	w.hand.Delete("/tasks/b")
	w.hand.Create("/tasks/c", "")
	w.hand.Create("/master", "")
	w.hand.Set("/zoo", "\x1b[2J\n"+strings.Repeat("<b>", 100))
	changed := []string{"master 0  created", "tasks 0", "a 1 done 1 written", "b 0 pending deleted", "c 0  created"}
	for range markedFor / time.Second {
		got := w.read()
		if !slices.Equal(got[:5], changed) || !strings.HasPrefix(got[5], `zoo 1 \x1b[2J\n<b><b>`) || !strings.HasSuffix(got[5], "<b> written") || len(got[5]) > 200 {
			t.Errorf("marked:\n%s", strings.Join(got, "\n"))
		}
	}
	got := w.read()
	if !slices.Equal(got[:4], []string{"master 0", "tasks 0", "a 1 done 1", "c 0"}) {
		t.Errorf("later:\n%s", strings.Join(got, "\n"))
	}
	w.hand.Delete("/tasks/a")
	w.hand.Create("/tasks/a", "again")
	w.hand.Delete("/zoo")
	w.hand.Delete("/master")
	got = w.read()
	if !slices.Equal(got[:4], []string{"master 0  deleted", "tasks 0", "a 0 again created", "c 0"}) || !strings.HasSuffix(got[4], " deleted") {
		t.Errorf("made again:\n%s", strings.Join(got, "\n"))
	}
}

// What is shown are the first children. One that becomes the fiftieth, or is none of the first
// any more, has not changed.
func TestTreeShowsTheFirstChildren(t *testing.T) {
	w := newWoods(t)
	w.hand.Create("/tasks", "")
	for i := range mostShown + 2 {
		w.hand.Create(fmt.Sprintf("/tasks/t%02d", i), "")
	}
	if got := w.read(); len(got) != 1+mostShown+1 || got[mostShown] != "t49 0" || got[mostShown+1] != "+2 " {
		t.Errorf("at first: %q", got)
	}
	w.hand.Delete("/tasks/t10")
	if got := w.read(); len(got) != 1+mostShown+2 || got[11] != "t10 0  deleted" || got[mostShown+1] != "t50 0" || got[mostShown+2] != "+1 " {
		t.Errorf("one is gone: %q", got)
	}
	w.hand.Create("/tasks/t0", "")
	if got := w.read(); len(got) != 1+mostShown+2 || got[1] != "t0 0  created" || got[mostShown+1] != "t49 0" || got[mostShown+2] != "+2 " {
		t.Errorf("one is before: %q", got)
	}
}

func TestTreeReadsNothingLarge(t *testing.T) {
	w := newWoods(t)
	w.hand.Create("/data", "")
	w.hand.Create("/data/large", strings.Repeat("x", mostRead+1))
	w.hand.Create("/many", "")
	for i := range mostListed {
		w.hand.Create(fmt.Sprintf("/many/m%04d", i), "")
	}
	large := fmt.Sprintf("large 0 %d bytes: they are not read for the tree", mostRead+1)
	if got := w.read(); len(got) != 4+mostShown || got[1] != large || got[3+mostShown] != "+950 " {
		t.Errorf("%q", got)
	}
	w.hand.Create("/many/one", "")
	w.reads("one more", "data 0", large, "many 0", "+1001 it has more than 1000 children")
	w.hand.Delete("/many/one")
	if got := w.read(); len(got) != 4+mostShown || slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, "created") }) {
		t.Errorf("it is listed again: %q", got)
	}
}

// A payload that has been shown is not shown any more once there is a policy.
func TestTreeKeepsSecrets(t *testing.T) {
	w := newWoods(t)
	w.hand.Create("/data", "")
	w.hand.Create("/data/t", "a secret")
	w.hand.Create("/other", "a secret too")
	w.hand.Create("/other/x", "a third one")
	w.reads("open", "data 0", "t 0 a secret", "other 0 a secret too", "x 0 a third one")
	const foreign = "unknown to these programs: it is not shown under a policy"
	w.hand.Create("/access", "admin x509:CN=a\n")
	w.reads("closed", "data 0", "t 0 a payload: it is not shown under a policy", `access 0 admin x509:CN=a\n`, "other 0 "+foreign, "x 0 "+foreign)
}
