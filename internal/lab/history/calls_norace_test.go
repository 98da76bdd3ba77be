//go:build !race

package history

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// counts are what a history comes to, exactly.
type counts struct {
	sessions, expired int
	created           int // tasks, like the next two
	done, withdrawn   int
	assigned, runs    int // runs: what the workers began
	givenBack         int
	takenBack, losses int
	candidates        int
	leaders           int // those that wrote anything
	workers, lost     int // lost: vanished with their tasks, if any, or removed by others
	swept             int // znodes that the end of their session removed, not their owner
	refused           int // multis of the role at fault
}

func (c counts) plus(d counts) counts {
	return counts{
		c.sessions + d.sessions, c.expired + d.expired,
		c.created + d.created, c.done + d.done, c.withdrawn + d.withdrawn,
		c.assigned + d.assigned, c.runs + d.runs, c.givenBack + d.givenBack, c.takenBack + d.takenBack, c.losses + d.losses,
		c.candidates + d.candidates, c.leaders + d.leaders, c.workers + d.workers, c.lost + d.lost,
		c.swept + d.swept, c.refused + d.refused,
	}
}

// count counts what the report does not, and takes over what it does.
func (s *service) count(txns []Txn, r Report) counts {
	c := counts{
		sessions: r.Sessions, expired: r.Expired,
		created: r.Created, done: r.Done, withdrawn: r.Withdrawn,
		assigned: r.Assigned, runs: s.runs, givenBack: r.GivenBack, takenBack: r.TakenBack, losses: r.Losses,
		leaders: len(r.Terms), workers: r.Workers, lost: r.WorkersLost,
	}
	for id, faulty := range s.sessions {
		if faulty {
			c.refused += r.Refused[id]
		}
	}
	for _, t := range txns {
		if t.closes() {
			c.swept += len(t.Events) - 1
		}
		for _, e := range t.Events {
			if e.Op == Create && strings.HasPrefix(e.Path, task.MasterDir+"/") {
				c.candidates++
			}
		}
	}
	return c
}

// opCheck is the operation that the leader's Multis begin with.
const opCheck zktest.Op = 13

// multi matches a Multi by its first operation and by what it names: xid 4 ·
// operation 4 · first operation 4 · rest.
func multi(first zktest.Op, names ...string) zktest.Match {
	return func(request []byte) bool {
		if zktest.Op(binary.BigEndian.Uint32(request[8:])) != first {
			return false
		}
		for _, name := range names {
			if !zktest.Naming(name)(request) {
				return false
			}
		}
		return true
	}
}

// call is one that may fail, and what comes of it. The functions get the id of
// the task that it is about.
type call struct {
	name  string
	role  string // who makes it
	match func(id string) zktest.Match

	begin     func(s *service, id string) // starts what is there before the call
	provoke   func(s *service, id string) // brings the call about
	meanwhile func(s *service, id string) // what happens during the fault, if anything

	candidates, workers, held int // what is there afterwards; held: tasks

	// What it comes to, beside the tasks: when the session survives; when it is
	// over before the fault is, and the call was not carried out, or was.
	survives, notDone, done counts
	// A call whose outcome is unknown is sent again and refused so often if it was
	// carried out; with 0 it is looked for, after a Sync.
	repeats int
}

// calls are all that change anything; the leader's poison task is beside them.
var calls = []call{
	{
		name: "candidate_create", role: "master",
		match:   func(string) zktest.Match { return multi(zktest.OpCreate, task.MasterDir+"/") },
		begin:   func(s *service, _ string) {},
		provoke: func(s *service, _ string) { s.startMaster(s.through) },
		meanwhile: func(s *service, id string) {
			s.startMaster(s.root)
			s.startWorker(s.root, 1)
			s.startWorker(s.root, 2)
			s.startClient(s.root)
			s.do(s.asked, id, held)
		},
		candidates: 2, workers: 3, held: 1,
		notDone: counts{sessions: 1, expired: 1},
		done:    counts{sessions: 1, expired: 1, candidates: 1, swept: 1},
	},
	{
		name: "worker_create", role: "worker",
		match:      func(string) zktest.Match { return multi(zktest.OpCreate, task.WorkersDir+"/") },
		begin:      func(s *service, _ string) { s.occupied() },
		provoke:    func(s *service, _ string) { s.startWorker(s.through, 1) },
		meanwhile:  func(s *service, id string) { s.do(s.asked, id, held) },
		candidates: 2, workers: 3, held: 3,
		notDone: counts{sessions: 1, expired: 1},
		// It was given the task, and nobody can tell that it did not begin.
		done: counts{sessions: 1, expired: 1, workers: 1, lost: 1, swept: 1, assigned: 1, losses: 1},
	},
	{
		name: "submit", role: "client",
		match:      func(id string) zktest.Match { return multi(zktest.OpCreate, task.DataPath(id)) },
		begin:      func(s *service, _ string) { s.everything() },
		provoke:    func(s *service, id string) { s.do(s.asked, id, held) },
		candidates: 2, workers: 3, held: 1,
		notDone: counts{sessions: 1, expired: 1},
		// The first submission vanishes with its session while it is executed.
		done: counts{sessions: 1, expired: 1, swept: 2, created: 1, withdrawn: 1, assigned: 1, runs: 1, takenBack: 1},
	},
	{
		name: "assign", role: "master",
		match:      func(id string) zktest.Match { return multi(opCheck, task.StatePath(id), task.WorkersDir+"/") },
		begin:      func(s *service, _ string) { s.everything() },
		provoke:    func(s *service, id string) { s.do(s.asked, id, held) },
		candidates: 2, workers: 3, held: 1,
		notDone: counts{sessions: 1, expired: 1, candidates: 1, swept: 1, leaders: 1},
		done:    counts{sessions: 1, expired: 1, candidates: 1, swept: 1, leaders: 1},
	},
	{
		name: "count_a_loss", role: "master",
		match: func(id string) zktest.Match {
			return multi(opCheck, task.StatePath(id), "pending: timeout=600000 losses=1")
		},
		begin: func(s *service, id string) { s.executing(id) },
		provoke: func(s *service, id string) {
			stat, _ := s.hand.Stat(task.WorkerPath(s.holder(id)))
			zktest.Expire(s.t, s.root, stat.EphemeralOwner)
		},
		candidates: 2, workers: 3, held: 1,
		survives: counts{sessions: 1, workers: 1, lost: 1, swept: 1, assigned: 1, runs: 1, losses: 1},
		// The next leader knows of no loss that was not written.
		notDone: counts{sessions: 2, workers: 1, lost: 1, swept: 2, assigned: 1, runs: 1, expired: 1, candidates: 1, leaders: 1},
		done:    counts{sessions: 2, workers: 1, lost: 1, swept: 2, assigned: 1, runs: 1, expired: 1, candidates: 1, leaders: 1, losses: 1},
	},
	{
		name: "take_back", role: "master",
		match: func(string) zktest.Match { return multi(opCheck, task.WorkersDir+"/") },
		begin: func(s *service, id string) {
			s.everything()
			s.do(s.asked, id, held)
			s.listed(1)
		},
		provoke:    func(s *service, _ string) { s.withdraw() },
		candidates: 2, workers: 3,
		survives: counts{done: -1, withdrawn: 1, takenBack: 1},
		notDone:  counts{done: -1, withdrawn: 1, takenBack: 1, sessions: 1, expired: 1, candidates: 1, swept: 1, leaders: 1},
		done:     counts{done: -1, withdrawn: 1, takenBack: 1, sessions: 1, expired: 1, candidates: 1, swept: 1, leaders: 1},
	},
	{
		name: "commit", role: "worker",
		match:      func(id string) zktest.Match { return multi(zktest.OpSetData, task.StatePath(id), "done") },
		begin:      func(s *service, id string) { s.executing(id) },
		provoke:    func(s *service, _ string) { s.open() },
		candidates: 2, workers: 3,
		notDone: counts{sessions: 1, expired: 1, workers: 1, lost: 1, swept: 1, assigned: 1, runs: 1, losses: 1},
		done:    counts{sessions: 1, expired: 1, workers: 1, lost: 1, swept: 1},
	},
	{
		name: "give_back", role: "worker",
		match:      func(id string) zktest.Match { return multi(zktest.OpSetData, task.StatePath(id), "pending") },
		begin:      func(s *service, id string) { s.executing(id) },
		provoke:    func(s *service, _ string) { go s.workers[0]() },
		candidates: 2, workers: 2, held: 1,
		survives: counts{givenBack: 1, assigned: 1, runs: 1},
		notDone:  counts{expired: 1, lost: 1, swept: 1, assigned: 1, runs: 1, losses: 1},
		done:     counts{expired: 1, givenBack: 1, assigned: 1, runs: 1},
	},
	{
		name: "clean_up", role: "client",
		match:      func(id string) zktest.Match { return multi(zktest.OpDelete, task.DataPath(id)) },
		begin:      func(s *service, _ string) { s.everything() },
		provoke:    func(s *service, id string) { s.do(s.asked, id, "short") },
		candidates: 2, workers: 3,
		notDone: counts{sessions: 1, expired: 1, swept: 2},
		done:    counts{sessions: 1, expired: 1},
		repeats: 2, // of the two znodes each is found gone
	},
	{
		name: "resign", role: "master",
		match:      func(string) zktest.Match { return multi(zktest.OpDelete, task.MasterDir+"/") },
		begin:      func(s *service, _ string) { s.everything() },
		provoke:    func(s *service, _ string) { go s.masters[0]() },
		meanwhile:  func(s *service, id string) { s.do(s.asked, id, held) },
		candidates: 1, workers: 3, held: 1,
		survives: counts{leaders: 1},
		notDone:  counts{leaders: 1, expired: 1, swept: 1},
		done:     counts{leaders: 1, expired: 1},
		repeats:  1,
	},
}

// expected adds up what a case comes to.
func (c call) expected(f form, tasks int) counts {
	want := counts{
		sessions: 5, candidates: 2, leaders: 1, workers: 3,
		created: tasks, done: tasks, assigned: tasks, runs: tasks,
	}
	switch {
	case f.ends && f.done:
		return want.plus(c.done)
	case f.ends:
		return want.plus(c.notDone)
	case f.unknown && f.done:
		want.refused += c.repeats
	}
	return want.plus(c.survives)
}

// TestReconnectCalls fails each call of the service in each form.
func TestReconnectCalls(t *testing.T) {
	var all errgroup.Group
	all.SetLimit(together)
	for _, f := range slices.Backward(forms) { // the long ones first
		for _, c := range calls {
			all.Go(func() error {
				t.Run(c.name+"/"+f.name, func(t *testing.T) { fail(t, c, f) })
				return nil
			})
		}
	}
	_ = all.Wait()
}

// together is how many cases run at a time: mostly they wait, for a session to
// end.
const together = 12

func fail(t *testing.T, c call, f form) {
	s := newService(t, c.role, f.timeout)
	id := task.NewID()
	c.begin(s, id)
	last := f.arm(s, c.match(id))
	s.proxy.Seen()
	c.provoke(s, id)
	last(func() {
		if c.meanwhile != nil {
			c.meanwhile(s, id)
		}
	})
	if f.unknown && c.repeats == 0 {
		s.seen(zktest.OpSync)
	}
	s.there(c.candidates, c.workers)
	s.listed(c.held)
	s.open()
	for range 3 {
		s.some(2) // one for a worker: there is nothing behind a task that a busy machine holds up, to be taken back
	}
	s.stop()

	txns := s.history()
	r := Check(txns, Options{Finished: true})
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if got, want := s.count(txns, r), c.expected(f, s.created); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if t.Failed() {
		t.Log(r)
	}
}
