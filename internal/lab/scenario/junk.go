package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// junk writes into all directories what no program of ours writes, leaves it there for as long as
// the fault lasts, and removes it.
func (f *faults) junk(ctx context.Context, next fault) error {
	draw := rand.New(rand.NewPCG(uint64(f.seed), uint64(next.at)))
	var znodes []session.Op
	for range 12 {
		znodes = append(znodes, drawJunk(draw)...)
	}
	return f.write(ctx, next.lasts, znodes...)
}

// drain drains a worker process for as long as the fault lasts, or now and then the host, which is
// all of them.
func (f *faults) drain(ctx context.Context, next fault) error {
	draw := rand.New(rand.NewPCG(uint64(f.seed), uint64(next.at)))
	p := f.Process(fmt.Sprintf("%s-%d", workers, 1+draw.IntN(counts[workers])))
	host, _ := os.Hostname()
	names := task.Drains(task.NewWorkerName("", host, p.Pid())) // worker, host, process
	name := names[2]
	if draw.IntN(3) == 0 {
		name = names[1]
	}
	return f.write(ctx, next.lasts, session.Create(task.DrainPath(name), nil))
}

// write creates znodes, on a session of its own that is not judged, and removes them after a while.
func (f *faults) write(ctx context.Context, lasts time.Duration, znodes ...session.Op) error {
	address, err := session.ParseAddress(f.Connect())
	if err != nil {
		return err
	}
	// The session outlasts every outage of the server.
	s, err := session.Open(ctx, session.Config{Address: address, Timeout: time.Minute, TLS: f.server.Identity("admin")})
	if err != nil {
		return fmt.Errorf("write junk: %w", err)
	}
	defer s.Close()
	f.mu.Lock()
	f.outsiders = append(f.outsiders, s.ID())
	f.mu.Unlock()
	for _, z := range znodes {
		_, _ = s.Multi(z) // an error means less junk: /drain is missing, or the disk is full
	}
	_ = harness.Pause(ctx, lasts)
	for _, z := range slices.Backward(znodes) { // children first
		if err := remove(s, z.Path); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a znode, however often the connection is lost.
func remove(s *session.Session, path string) error {
	for deadline := time.Now().Add(toEnd); ; time.Sleep(100 * time.Millisecond) {
		_, err := s.Multi(session.Delete(path, session.AnyVersion))
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("remove junk at %.80q: %w", path, err)
		}
	}
}

// junkSize is about the most that a server takes in one request, in bytes.
const junkSize = 900_000

// drawJunk draws a znode that no program of ours writes, and what stands below or beside it.
func drawJunk(draw *rand.Rand) []session.Op {
	foreign := zk.DigestACL(zk.PermAll, "somebody", "else")
	name := fmt.Sprintf("/junk-%x", draw.Uint64())
	dirs := task.Dirs()
	dir := dirs[draw.IntN(len(dirs))]
	switch draw.IntN(8) {
	case 0: // a worker that lists 150,000 tasks
		var list strings.Builder
		for range junkSize / 6 {
			fmt.Fprintf(&list, "%05x\n", draw.IntN(1<<20))
		}
		return []session.Op{session.CreateEphemeral(task.WorkersDir+name, []byte(list.String()))}
	case 1: // a candidate that says very much of itself; it goes with the session
		return []session.Op{session.CreateEphemeralSequential(task.MasterDir+name+"-", junkBytes(draw))}
	case 2: // a candidate without a number
		return []session.Op{session.CreateEphemeral(task.MasterDir+name+"x", junkBytes(draw))}
	case 3: // a task without a payload, with a child
		path := task.TasksDir + name
		return []session.Op{session.Create(path, []byte("pending")), session.Create(path+"/child", nil)}
	case 4: // a state of no known word
		return []session.Op{session.Create(task.TasksDir+name, junkBytes(draw))}
	case 5: // what only somebody else may read
		return []session.Op{session.Create(dir+name, nil).With(foreign)}
	case 6: // a worker that looks free, and may not be written
		return []session.Op{session.CreateEphemeral(task.WorkersDir+name, nil).With(foreign)}
	default: // a name that a shell would act upon, and a long one
		return []session.Op{
			session.Create(dir+name+"$(touch${IFS}x)'\"\u202e", nil),
			session.Create(dir+name+strings.Repeat("long", 10_000), nil),
		}
	}
}

func junkBytes(draw *rand.Rand) []byte {
	data := make([]byte, junkSize)
	for i := range data {
		data[i] = byte(draw.Uint32())
	}
	return data
}
