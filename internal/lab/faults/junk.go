package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// junkSize is about the most that a server takes in one request, in bytes.
const junkSize = 900_000

// junk writes into all directories what no program of ours writes, leaves it
// there for as long as the fault lasts, and removes it.
func (r *run) junk(ctx context.Context, f fault) error {
	conn, err := r.hand()
	if err != nil {
		return err
	}
	defer conn.Close() // and what is ephemeral goes
	var permanent []string
	draw := rand.New(rand.NewPCG(r.seed, uint64(f.at)))
	for range 12 {
		for _, z := range drawJunk(draw) {
			acl := zk.WorldACL(zk.PermAll)
			if z.foreign {
				acl = zk.DigestACL(zk.PermAll, "somebody", "else")
			}
			// An error means less junk, or none if the server is away.
			_, err := conn.Create(chroot+z.path, z.data, z.flags, acl)
			if z.flags == 0 && !errors.Is(err, zk.ErrNoServer) {
				permanent = append(permanent, chroot+z.path)
			}
		}
	}
	_ = harness.Pause(ctx, f.lasts)
	for _, path := range slices.Backward(permanent) { // children first
		if err := remove(conn, path); err != nil {
			return err
		}
	}
	return nil
}

// hand opens a session to the server itself. What it does is not judged.
func (r *run) hand() (*zk.Conn, error) {
	ready := make(chan *zk.Conn, 1)
	conn, _, err := zk.Connect([]string{r.server.Addr()}, 20*time.Second, zk.WithLogger(silent{}), zk.WithDialer(zktest.Dialer(r.server.Identity("admin"))),
		zk.WithEventCallback(func(e zk.Event) {
			if e.Type == zk.EventSession && e.State == zk.StateHasSession {
				conn := <-ready
				ready <- conn
				r.mu.Lock()
				r.hands = append(r.hands, conn.SessionID())
				r.mu.Unlock()
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("write junk: %w", err)
	}
	ready <- conn
	return conn, nil
}

// silent drops go-zookeeper's log.
type silent struct{}

func (silent) Printf(string, ...any) {}

// remove removes a znode, and waits for a server that is away.
func remove(conn *zk.Conn, path string) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := conn.Delete(path, -1)
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("remove junk at %.80q: %w", path, err)
		}
	}
}

// znode is one that no program of ours writes.
type znode struct {
	path    string
	data    []byte
	flags   int32
	foreign bool // only somebody else may read and write it
}

// drawJunk draws a znode, and what stands below or beside it.
func drawJunk(draw *rand.Rand) []znode {
	name := fmt.Sprintf("junk-%x", draw.Uint64())
	dirs := task.Dirs()
	dir := dirs[draw.IntN(len(dirs))]
	switch draw.IntN(8) {
	case 0: // a worker that lists 150,000 tasks
		var list strings.Builder
		for range junkSize / 6 {
			fmt.Fprintf(&list, "%05x\n", draw.IntN(1<<20))
		}
		return []znode{{path: task.WorkersDir + "/" + name, data: []byte(list.String()), flags: zk.FlagEphemeral}}
	case 1: // a candidate that says very much of itself
		return []znode{{path: task.MasterDir + "/" + name + "-", data: junkBytes(draw), flags: zk.FlagEphemeral | zk.FlagSequence}}
	case 2: // a candidate without a number
		return []znode{{path: task.MasterDir + "/" + name + "x", data: junkBytes(draw), flags: zk.FlagEphemeral}}
	case 3: // a task without a payload, with a child
		path := task.TasksDir + "/" + name
		return []znode{{path: path, data: []byte("pending")}, {path: path + "/child"}}
	case 4: // a state of no known word
		return []znode{{path: task.TasksDir + "/" + name, data: junkBytes(draw)}}
	case 5: // what only somebody else may read
		return []znode{{path: dir + "/" + name, foreign: true}}
	case 6: // a worker that looks free, and may not be written
		return []znode{{path: task.WorkersDir + "/" + name, foreign: true, flags: zk.FlagEphemeral}}
	default: // a name that a shell would act upon, and a long one
		return []znode{
			{path: dir + "/" + name + "$(touch${IFS}x)'\"\u202e"},
			{path: dir + "/" + name + strings.Repeat("long", 10_000)},
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
