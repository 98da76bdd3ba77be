package cmdtest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// nearlyAll is about the most that a request may carry, in bytes.
const nearlyAll = 1_000_000

// patience is how long a task may take beside all hostile znodes, on a busy machine, unless a new leader
// reads them before it assigns the task.
const patience = 8 * time.Second

// distinctLines returns about so many bytes of lines, all of them different.
func distinctLines(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		b.WriteString(strconv.Itoa(i))
		b.WriteByte('\n')
	}
	return b.String()
}

// kept is the id of a finished task. A worker by hand that lists it is assigned no other.
const kept = "kept\n"

// kind is a kind of znodes that people may create.
type kind struct {
	name string
	do   func(svc *service)
}

// hostileData has kinds with much data. A server of tests has memory for all of them.
var hostileData = []kind{
	{"a list of a megabyte", func(svc *service) { svc.manual.CreateEphemeral("/workers/big", distinctLines(nearlyAll)) }},
	{"another list of a megabyte", func(svc *service) { svc.manual.Set("/workers/big", "x"+distinctLines(nearlyAll)) }},
	{"a list of as many ids as there may be", func(svc *service) {
		svc.manual.CreateEphemeral("/workers/long", kept+strings.Join(strings.Split(distinctLines(nearlyAll), "\n")[:task.MaxList-1], "\n"))
	}},
	{"a megabyte of newlines, blanks and repeats", func(svc *service) {
		svc.manual.CreateEphemeral("/workers/lines", kept+strings.Repeat("\n", nearlyAll))
		svc.manual.CreateEphemeral("/workers/blanks", kept+strings.Repeat(" ", nearlyAll))
		svc.manual.CreateEphemeral("/workers/repeats", kept+strings.Repeat("a\n", nearlyAll/2))
	}},
	{"a candidate that says a megabyte", func(svc *service) { svc.manual.CreateSeq("/master/by-hand-", strings.Repeat("\x1b", nearlyAll)) }},
	{"names of 900 KB", func(svc *service) {
		long := strings.Repeat("x", 900_000)
		for _, dir := range task.Dirs() {
			svc.manual.CreateEphemeral(dir+"/"+long, "")
			for i := range 9 {
				svc.manual.Create(dir+"/"+strconv.Itoa(i)+long+"-9999999999", "")
			}
		}
	}},
	{"states of a megabyte", func(svc *service) {
		for i := range 10 {
			for j, state := range []string{"done ", "failed ", "banana"} {
				svc.manual.Create(fmt.Sprintf("/tasks/large-%d-%d", i, j), state+strings.Repeat("9", nearlyAll))
			}
		}
	}},
}

func TestHostileDataStopsNobody(t *testing.T) {
	t.Parallel()
	meet(t, hostileData)
}

// meet has a leader meet each kind while it leads, and another leader all of them when it begins to
// lead. Beside each kind a new task is done at once, and no watchdog ends its program.
func meet(t *testing.T, kinds []kind) {
	server := zktest.NewServer(t, zktest.Options{})
	svc := newServiceOn(t, server, "/lab")
	svc.timeout = "4s"
	svc.dirs()
	svc.manual.Create("/tasks/kept", "done 1")
	first := svc.master()
	first.Line(first.Stderr, " leader ")
	second := svc.master()
	w := svc.worker("--slots", "2")

	fresh := func(what string, leader *harness.Child) {
		t.Helper()
		began := time.Now()
		svc.run("0\n").Exit(0)
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
		k.do(svc)
		fresh(k.name, first)
	}
	for range 6 { // also when everything is read again, every 10 s
		<-time.After(2 * time.Second)
		fresh("later", first)
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
	svc.says(0, "status")
	t.Logf("client status took %v", time.Since(began).Round(time.Millisecond))
}
