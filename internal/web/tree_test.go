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

// A treeTest reads the tree of znodes once a second of its own time.
type treeTest struct {
	t      *testing.T
	manual *zktest.ManualClient
	r      *treeReader
	now    time.Time
}

func newTreeTest(t *testing.T) *treeTest {
	t.Helper()
	connect := zktest.Connect(t)
	s := harness.Open(t, connect, func(c *session.Config) { c.NoCreate = true })
	return &treeTest{t, zktest.Conn(t, connect), newTreeReader(s), time.Unix(1_700_000_000, 0)}
}

// read reads the tree, a second after the last time, and writes a line for each znode.
func (tt *treeTest) read() (lines []string) {
	tt.t.Helper()
	if err := tt.r.s.Sync(); err != nil {
		tt.t.Fatal(err)
	}
	tt.now = tt.now.Add(time.Second)
	secret, err := new(Page).hidesPayloads(tt.r.s)
	if err != nil {
		tt.t.Fatal(err)
	}
	t, err := tt.r.read(tt.now, secret)
	if err != nil {
		tt.t.Fatal(err)
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

func (tt *treeTest) reads(what string, want ...string) {
	tt.t.Helper()
	if got := tt.read(); !slices.Equal(got, want) {
		tt.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTreeMarksChanges(t *testing.T) {
	tt := newTreeTest(t)
	tt.manual.Create("/zoo", "by hand")
	tt.manual.Create("/tasks", "")
	tt.manual.Create("/tasks/a", "pending")
	tt.manual.Create("/tasks/b", "pending")
	tt.reads("at first", "tasks 0", "a 0 pending", "b 0 pending", "zoo 0 by hand")
	tt.manual.Set("/tasks/a", "done 1")
	tt.manual.Delete("/tasks/b")
	tt.manual.Create("/tasks/c", "")
	tt.manual.Create("/master", "")
	tt.manual.Set("/zoo", "\x1b[2J\n"+strings.Repeat("<b>", 100))
	changed := []string{"master 0  created", "tasks 0", "a 1 done 1 written", "b 0 pending deleted", "c 0  created"}
	for range markedFor / time.Second {
		got := tt.read()
		if !slices.Equal(got[:5], changed) || !strings.HasPrefix(got[5], `zoo 1 \x1b[2J\n<b><b>`) || !strings.HasSuffix(got[5], "<b> written") || len(got[5]) > 200 {
			t.Errorf("marked:\n%s", strings.Join(got, "\n"))
		}
	}
	got := tt.read()
	if !slices.Equal(got[:4], []string{"master 0", "tasks 0", "a 1 done 1", "c 0"}) {
		t.Errorf("later:\n%s", strings.Join(got, "\n"))
	}
	tt.manual.Delete("/tasks/a")
	tt.manual.Create("/tasks/a", "again")
	tt.manual.Delete("/zoo")
	tt.manual.Delete("/master")
	got = tt.read()
	if !slices.Equal(got[:4], []string{"master 0  deleted", "tasks 0", "a 0 again created", "c 0"}) || !strings.HasSuffix(got[4], " deleted") {
		t.Errorf("made again:\n%s", strings.Join(got, "\n"))
	}
}

// The tree shows the first children. A child that becomes one of the first, or that is one of
// the first no more, has not changed.
func TestTreeShowsTheFirstChildren(t *testing.T) {
	tt := newTreeTest(t)
	tt.manual.Create("/tasks", "")
	for i := range mostShown + 2 {
		tt.manual.Create(fmt.Sprintf("/tasks/t%02d", i), "")
	}
	if got := tt.read(); len(got) != 1+mostShown+1 || got[mostShown] != "t49 0" || got[mostShown+1] != "+2 " {
		t.Errorf("at first: %q", got)
	}
	tt.manual.Delete("/tasks/t10")
	if got := tt.read(); len(got) != 1+mostShown+2 || got[11] != "t10 0  deleted" || got[mostShown+1] != "t50 0" || got[mostShown+2] != "+1 " {
		t.Errorf("one is gone: %q", got)
	}
	tt.manual.Create("/tasks/t0", "")
	if got := tt.read(); len(got) != 1+mostShown+2 || got[1] != "t0 0  created" || got[mostShown+1] != "t49 0" || got[mostShown+2] != "+2 " {
		t.Errorf("one is before: %q", got)
	}
}

func TestTreeReadsNoLargeZnodesOrDirectories(t *testing.T) {
	tt := newTreeTest(t)
	tt.manual.Create("/data", "")
	tt.manual.Create("/data/large", strings.Repeat("x", mostRead+1))
	tt.manual.Create("/many", "")
	for i := range mostListed {
		tt.manual.Create(fmt.Sprintf("/many/m%04d", i), "")
	}
	large := fmt.Sprintf("large 0 %d bytes: they are not read for the tree", mostRead+1)
	if got := tt.read(); len(got) != 4+mostShown || got[1] != large || got[3+mostShown] != "+950 " {
		t.Errorf("%q", got)
	}
	tt.manual.Create("/many/one", "")
	tt.reads("one more", "data 0", large, "many 0", "+1001 it has more than 1000 children")
	tt.manual.Delete("/many/one")
	if got := tt.read(); len(got) != 4+mostShown || slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, "created") }) {
		t.Errorf("it is listed again: %q", got)
	}
}

// What the tree has shown before is hidden as soon as there is a policy.
func TestTreeHidesPayloadsAndUnknownZnodesUnderAPolicy(t *testing.T) {
	tt := newTreeTest(t)
	tt.manual.Create("/data", "")
	tt.manual.Create("/data/t", "a secret")
	tt.manual.Create("/other", "a secret too")
	tt.manual.Create("/other/x", "a third one")
	tt.reads("open", "data 0", "t 0 a secret", "other 0 a secret too", "x 0 a third one")
	const foreign = "unknown to these programs: it is not shown under a policy"
	tt.manual.Create("/access", "admin x509:CN=a\n")
	tt.reads("closed", "data 0", "t 0 a payload: it is not shown under a policy", `access 0 admin x509:CN=a\n`, "other 0 "+foreign, "x 0 "+foreign)
}
