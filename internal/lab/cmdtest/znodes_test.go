package cmdtest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

const (
	// nearlyAll is about the most that a request may carry, in bytes.
	nearlyAll = 1_000_000
	// veryMany is how many znodes a person makes by mistake.
	veryMany = 200_000
)

// patience is how long a task takes at most, with all of that, on a busy machine: not as
// long as to read 200,000 names. Only a new leader does that first.
const patience = 8 * time.Second

// many makes znodes, many in a request: a server keeps its last 500 in memory.
func (sv *service) many(n int, path func(i int) string) {
	sv.t.Helper()
	for i := 0; i < n; {
		var ops []any
		for ; i < n && len(ops) < 200; i++ {
			ops = append(ops, &zk.CreateRequest{Path: sv.chroot() + path(i), Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := sv.hand.Conn.Multi(ops...); err != nil {
			sv.t.Fatal(err)
		}
	}
}

// distinctLines are of about so many bytes together, each another one.
func distinctLines(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		b.WriteString(strconv.Itoa(i))
		b.WriteByte('\n')
	}
	return b.String()
}

// kept is a finished task: a worker by hand that lists it is given no other.
const kept = "kept\n"

// hostileZnodes is what hands may leave in the four trees, by its kind: the kinds that a
// server with the memory that it has in tests can hold together.
var hostileZnodes = map[string][]kind{
	"large": {
		{"a list of a megabyte", func(sv *service) { sv.hand.CreateEphemeral("/workers/big", distinctLines(nearlyAll)) }},
		{"another list of a megabyte", func(sv *service) { sv.hand.Set("/workers/big", "x"+distinctLines(nearlyAll)) }},
		{"a list of as many ids as there may be", func(sv *service) {
			sv.hand.CreateEphemeral("/workers/long", kept+strings.Join(strings.Split(distinctLines(nearlyAll), "\n")[:task.MaxList-1], "\n"))
		}},
		{"a megabyte of newlines, blanks and repeats", func(sv *service) {
			sv.hand.CreateEphemeral("/workers/lines", kept+strings.Repeat("\n", nearlyAll))
			sv.hand.CreateEphemeral("/workers/blanks", kept+strings.Repeat(" ", nearlyAll))
			sv.hand.CreateEphemeral("/workers/repeats", kept+strings.Repeat("a\n", nearlyAll/2))
		}},
		{"a candidate that says a megabyte", func(sv *service) { sv.hand.CreateSeq("/master/by-hand-", strings.Repeat("\x1b", nearlyAll)) }},
		{"names of 900 KB", func(sv *service) {
			long := strings.Repeat("x", 900_000)
			for _, dir := range task.Dirs() {
				sv.hand.CreateEphemeral(dir+"/"+long, "")
				for i := range 9 {
					sv.hand.Create(dir+"/"+strconv.Itoa(i)+long+"-9999999999", "")
				}
			}
		}},
		{"states of a megabyte", func(sv *service) {
			for i := range 10 {
				for j, state := range []string{"done ", "failed ", "banana"} {
					sv.hand.Create(fmt.Sprintf("/tasks/large-%d-%d", i, j), state+strings.Repeat("9", nearlyAll))
				}
			}
		}},
	},
	"many": {
		{"50,000 znodes below a task", func(sv *service) {
			sv.hand.Create("/tasks/parent", "done 1")
			sv.hand.Create("/data/parent", "")
			sv.many(veryMany/4, func(i int) string { return fmt.Sprintf("/tasks/parent/%d", i) })
		}},
		{"200,000 names under /workers", func(sv *service) { sv.many(veryMany, func(i int) string { return fmt.Sprintf("/workers/%d", i) }) }},
		{"200,000 names under /tasks", func(sv *service) { sv.many(veryMany, func(i int) string { return fmt.Sprintf("/tasks/ %d", i) }) }},
	},
	"candidates": {
		{"50,000 candidates", func(sv *service) {
			sv.many(veryMany/4, func(i int) string { return fmt.Sprintf("/master/%010d", 5_000_000_000+i) })
		}},
		{"200,000 other names under /master", func(sv *service) { sv.many(veryMany, func(i int) string { return fmt.Sprintf("/master/%d-", i) }) }},
	},
}

type kind struct {
	name string
	do   func(sv *service)
}

// TestHostileZnodesStopNobody has a leader meet each kind while it leads, and another
// all of them when it begins to lead: with each, a task of now is done at once, and
// nobody's watchdog ends it.
func TestHostileZnodesStopNobody(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for name, kinds := range hostileZnodes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sv := start(t)
			server := zktest.NewServer(t, zktest.Options{})
			sv.root, sv.timeout = zktest.Chroot(t, server, "/lab"), "4s"
			sv.hand = zktest.Conn(t, sv.root)
			meet(t, sv, kinds)
		})
	}
}

func meet(t *testing.T, sv *service, kinds []kind) {
	sv.dirs()
	sv.hand.Create("/tasks/kept", "done 1")
	first := sv.master()
	first.Line(first.Stderr, " leader ")
	second := sv.master()
	w := sv.worker("--slots", "2")

	fresh := func(what string, leader *harness.Child) {
		t.Helper()
		began := time.Now()
		sv.pipe("0\n").Exit(0)
		took := time.Since(began).Round(time.Millisecond)
		if t.Logf("%-45s a task took %v", what, took); took > patience && leader == first {
			t.Errorf("with %s a task takes %v", what, took)
		}
		if logged(leader, " leader ") != 1 || logged(leader, "joining the election again") > 0 {
			t.Errorf("%s does not lead any more:\n%.2000s", leader, leader.Stderr)
		}
		select {
		case <-leader.Done():
			t.Fatalf("%s has ended:\n%.2000s", leader, leader.Stderr)
		default:
		}
	}
	fresh("before", first)
	for _, k := range kinds {
		k.do(sv)
		fresh(k.name, first)
	}
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); <-time.After(300 * time.Millisecond) {
		fresh("later", first) // also when everything is read again
	}
	first.Send(syscall.SIGTERM)
	first.Exit(0)
	second.Line(second.Stderr, " leader ")
	fresh("with a new leader", second)
	for _, p := range []*harness.Child{first, second, w} {
		for _, line := range p.Stderr.Lines() {
			if len(line) > 2000 {
				t.Errorf("%s logs %d bytes: %.500s", p, len(line), line)
			}
		}
		if n := len(p.Stderr.Lines()); n > 3000 {
			t.Errorf("%s logs %d lines", p, n)
		}
	}
	began := time.Now()
	sv.says(0, "status")
	t.Logf("client status took %v", time.Since(began).Round(time.Millisecond))
}
