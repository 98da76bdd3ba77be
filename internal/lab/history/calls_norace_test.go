//go:build !race

package history

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// A form is how a call fails.
type form struct {
	name    string
	fault   fault
	done    bool          // ZooKeeper carries out the call
	timeout time.Duration // of the session: brief, wary, or 0 for a long one
}

// A fault is what happens to the connection when the call arrives.
type fault int

const (
	reset   fault = iota // it is reset, and no other one is made
	silence              // it passes nothing
	slow                 // it delays each packet from then on
)

const (
	// brief is for faults that last until the session has ended.
	brief = 3 * time.Second
	// wary is for faults that last until the client notices the silence: after two thirds of it,
	// which leaves 2 s to come back.
	wary = 6 * time.Second
)

var forms = []form{ // the long ones first
	{"request lost in a silence until the session ends", silence, false, brief},
	{"reply lost in a silence until the session ends", silence, true, brief},
	{"request lost in a silence until the client notices", silence, false, wary},
	{"reply lost in a silence until the client notices", silence, true, wary},
	{"request lost and no connection until the session ends", reset, false, brief},
	{"reply lost and no connection until the session ends", reset, true, brief},
	{"request lost", reset, false, 0},
	{"reply lost", reset, true, 0},
	{"slow connection", slow, true, 0},
}

// counts are how often things happened beyond what the tasks and the processes that run at the
// end need. Those that are 0 are left out.
type counts map[string]int

// multi matches a multi by its first operation, and by text in it. A request begins with
// its number, 4 bytes, and its type, 4 bytes.
func multi(first zktest.Op, texts ...string) zktest.Match {
	return func(request []byte) bool {
		missing := func(text string) bool { return !zktest.Naming(text)(request) }
		return zktest.Op(binary.BigEndian.Uint32(request[8:])) == first && !slices.ContainsFunc(texts, missing)
	}
}

// A call changes something in ZooKeeper. Its functions get the id of a task.
type call struct {
	name  string
	role  string // that makes it
	match func(id string) zktest.Match

	begin     func(s *service, id string)
	provoke   func(s *service, id string) // brings the call about
	meanwhile func(s *service, id string) // happens during the fault; may be nil

	// What the fault causes if the session survives it; and if the session ends, and the call
	// was not carried out, or was.
	survives, notDone, done counts

	// What a lost reply causes, if that differs: the role sends the call again.
	again counts
}

func idle(s *service, _ string)       { s.begin("") }
func executing(s *service, id string) { s.begin(id) }
func hold(s *service, id string)      { s.hold(id) }

// expireWorker ends the session of the only worker that is busy.
func expireWorker(s *service, _ string) {
	for _, w := range s.manual.Children(task.WorkersDir) {
		if list, _ := s.manual.Get(task.WorkerPath(w)); list != "" {
			stat, _ := s.manual.Stat(task.WorkerPath(w))
			zktest.Expire(s.t, s.root, stat.EphemeralOwner)
			return
		}
	}
}

// calls are all calls that change something, except the one that fails a task for its losses.
var calls = []call{
	{
		name: "create a candidate", role: "master",
		match:   func(string) zktest.Match { return multi(zktest.OpCreate, task.MasterDir+"/") },
		begin:   func(*service, string) {},
		provoke: func(s *service, _ string) { s.start("master") },
		meanwhile: func(s *service, id string) {
			s.start("master", "worker", "worker", "client")
			s.hold(id)
		},
		notDone: counts{"sessions": 1, "expired": 1},
		done:    counts{"sessions": 1, "expired": 1, "candidates": 1, "swept": 1},
	},
	{
		name: "create a worker", role: "worker",
		match: func(string) zktest.Match { return multi(zktest.OpCreate, task.WorkersDir+"/") },
		begin: func(s *service, _ string) {
			s.start("master")
			s.ready()
			s.start("master", "client")
			s.ready()
		},
		provoke:   func(s *service, _ string) { s.start("worker") },
		meanwhile: hold,
		notDone:   counts{"sessions": 1, "expired": 1},
		// The worker that vanished listed the task, and may have begun it.
		done: counts{"sessions": 1, "expired": 1, "workers": 1, "lost": 1, "swept": 1, "assigned": 1, "losses": 1},
	},
	{
		name: "submit", role: "client",
		match:   func(id string) zktest.Match { return multi(zktest.OpCreate, task.DataPath(id)) },
		begin:   idle,
		provoke: hold,
		notDone: counts{"sessions": 1, "expired": 1},
		// The first submission vanishes with its session while it is executed.
		done: counts{"sessions": 1, "expired": 1, "swept": 2, "created": 1, "withdrawn": 1, "assigned": 1, "runs": 1, "takenBack": 1},
	},
	{
		name: "assign", role: "master",
		match:   func(id string) zktest.Match { return multi(zktest.OpCheck, task.StatePath(id), task.WorkersDir+"/") },
		begin:   idle,
		provoke: hold,
		notDone: counts{"sessions": 1, "expired": 1, "candidates": 1, "swept": 1, "leaders": 1},
		done:    counts{"sessions": 1, "expired": 1, "candidates": 1, "swept": 1, "leaders": 1},
	},
	{
		name: "count a loss", role: "master",
		match: func(id string) zktest.Match {
			return multi(zktest.OpCheck, task.StatePath(id), "pending: timeout=600000 losses=1")
		},
		begin:    executing,
		provoke:  expireWorker,
		survives: counts{"sessions": 1, "workers": 1, "lost": 1, "swept": 1, "assigned": 1, "runs": 1, "losses": 1},
		// The next leader knows of no loss that was not written.
		notDone: counts{"sessions": 2, "workers": 1, "lost": 1, "swept": 2, "assigned": 1, "runs": 1, "expired": 1, "candidates": 1, "leaders": 1},
		done:    counts{"sessions": 2, "workers": 1, "lost": 1, "swept": 2, "assigned": 1, "runs": 1, "expired": 1, "candidates": 1, "leaders": 1, "losses": 1},
	},
	{
		name: "take back", role: "master",
		match:    func(string) zktest.Match { return multi(zktest.OpCheck, task.WorkersDir+"/") },
		begin:    executing,
		provoke:  func(s *service, _ string) { s.withdraw(); s.executing-- },
		survives: counts{"done": -1, "withdrawn": 1, "takenBack": 1},
		notDone:  counts{"done": -1, "withdrawn": 1, "takenBack": 1, "sessions": 1, "expired": 1, "candidates": 1, "swept": 1, "leaders": 1},
		done:     counts{"done": -1, "withdrawn": 1, "takenBack": 1, "sessions": 1, "expired": 1, "candidates": 1, "swept": 1, "leaders": 1},
	},
	{
		name: "commit", role: "worker",
		match:   func(id string) zktest.Match { return multi(zktest.OpSetData, task.StatePath(id), "done") },
		begin:   executing,
		provoke: func(s *service, _ string) { s.open() },
		notDone: counts{"sessions": 1, "expired": 1, "workers": 1, "lost": 1, "swept": 1, "assigned": 1, "runs": 1, "losses": 1},
		done:    counts{"sessions": 1, "expired": 1, "workers": 1, "lost": 1, "swept": 1},
	},
	{
		name: "give back", role: "worker",
		match:    func(id string) zktest.Match { return multi(zktest.OpSetData, task.StatePath(id), "pending") },
		begin:    executing,
		provoke:  func(s *service, _ string) { s.slots--; go s.stops["worker"][0]() },
		survives: counts{"workers": 1, "givenBack": 1, "assigned": 1, "runs": 1},
		notDone:  counts{"workers": 1, "expired": 1, "lost": 1, "swept": 1, "assigned": 1, "runs": 1, "losses": 1},
		done:     counts{"workers": 1, "expired": 1, "givenBack": 1, "assigned": 1, "runs": 1},
	},
	{
		name: "clean up", role: "client",
		match:   func(id string) zktest.Match { return multi(zktest.OpDelete, task.DataPath(id)) },
		begin:   idle,
		provoke: func(s *service, id string) { s.do(id, "short") },
		notDone: counts{"sessions": 1, "expired": 1, "swept": 2},
		done:    counts{"sessions": 1, "expired": 1},
		again:   counts{"refused": 2}, // neither znode exists
	},
	{
		name: "resign", role: "master",
		match:     func(string) zktest.Match { return multi(zktest.OpDelete, task.MasterDir+"/") },
		begin:     idle,
		provoke:   func(s *service, _ string) { s.candidates--; go s.stops["master"][0]() },
		meanwhile: hold,
		survives:  counts{"candidates": 1, "leaders": 1},
		notDone:   counts{"candidates": 1, "leaders": 1, "expired": 1, "swept": 1},
		done:      counts{"candidates": 1, "leaders": 1, "expired": 1},
		again:     counts{"candidates": 1, "leaders": 1, "refused": 1},
	},
}

// expected is what a fault causes.
func (c call) expected(f form) counts {
	switch {
	case f.timeout == brief && f.done:
		return c.done
	case f.timeout == brief:
		return c.notDone
	case f.done && f.fault != slow && c.again != nil:
		return c.again
	}
	return c.survives
}

// TestReconnectCalls fails each call in each form.
func TestReconnectCalls(t *testing.T) {
	var all errgroup.Group
	all.SetLimit(12) // most of the time a test waits for the end of a session
	for _, f := range forms {
		for _, c := range calls {
			all.Go(func() error {
				t.Run(c.name+"/"+f.name, func(t *testing.T) { failCall(t, c, f) })
				return nil
			})
		}
	}
	_ = all.Wait()
}

func failCall(t *testing.T, c call, f form) {
	s := newService(t, c.role, f.timeout)
	id := task.NewID()
	c.begin(s, id)

	var met <-chan struct{}
	release := func() {}
	if f.fault == reset && f.done {
		met = s.proxy.RefuseAfter(zktest.OpMulti, 1, c.match(id))
	} else {
		met, release = s.proxy.Hold(zktest.OpMulti, 1, c.match(id))
	}
	c.provoke(s, id)
	s.wait("the call", met)
	switch f.fault {
	case reset:
		s.proxy.Refuse(true)
	case silence:
		s.proxy.Blackhole(true)
	case slow:
		s.proxy.Delay(100 * time.Millisecond)
	}
	if f.done || f.fault == reset {
		release() // into a connection that is reset, if it is
	}
	if c.meanwhile != nil {
		c.meanwhile(s, id)
	}
	s.outlast(f.timeout)
	s.proxy.Refuse(false)
	s.proxy.Blackhole(false)
	s.ready()
	s.open()
	for range 3 {
		s.some(2) // one for each worker: there is nothing behind a slow task to be taken back
	}
	s.stop()
	txns, r := s.judge(Options{Finished: true})
	if got, want := s.beyond(txns, r), c.expected(f); !maps.Equal(got, want) {
		t.Errorf("caused %v, want %v\n%+v", got, want, r)
	}
}

// outlast waits during a fault for what its session timeout is for.
func (s *service) outlast(timeout time.Duration) {
	s.t.Helper()
	id := fmt.Sprintf("0x%x", s.session().ID())
	switch timeout {
	case brief:
		zktest.Eventually(s.t, "the end of a session", func() (bool, string) {
			<-time.After(50 * time.Millisecond) // several tests ask at a time, for seconds
			dump, err := zktest.Shared(s.t).Ask("dump")
			return err == nil && !strings.Contains(dump, id), fmt.Sprint(dump, err)
		})
	case wary:
		zktest.Eventually(s.t, "a lost connection", func() (bool, string) {
			_, suspended := s.session().Suspended()
			return suspended, "none"
		})
	}
}

// beyond counts what a history has beyond what its tasks and processes need.
func (s *service) beyond(txns []Txn, r Report) counts {
	roles := 0
	for _, stops := range s.stops {
		roles += len(stops)
	}
	c := counts{
		"sessions": r.Sessions - roles, "expired": r.Expired,
		"created": r.Created - s.created, "done": r.Done - s.created, "withdrawn": r.Withdrawn,
		"assigned": r.Assigned - s.created, "runs": s.runs - s.created,
		"givenBack": r.GivenBack, "takenBack": r.TakenBack, "losses": r.Losses,
		"leaders": len(r.Terms) - 1, "workers": r.Workers - s.slots, "lost": r.WorkersLost,
		"candidates": -s.candidates,
	}
	for _, t := range txns {
		if t.closes() {
			c["swept"] += len(t.Events) - 1
		}
		if t.RefusedAt >= 0 && s.sessions[t.Session] {
			c["refused"]++
		}
		for _, e := range t.Events {
			if e.Op == Create && strings.HasPrefix(e.Path, task.MasterDir+"/") {
				c["candidates"]++
			}
		}
	}
	maps.DeleteFunc(c, func(_ string, n int) bool { return n == 0 })
	return c
}
