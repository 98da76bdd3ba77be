package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/election"
	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// pipeline is how many reads are under way at once: a state can have 900 KB.
const pipeline = 64

// Read reads the tree without the payloads. It ends early with ctx.
func Read(ctx context.Context, s *session.Session) (*Tree, error) {
	t, k := new(Tree), new(known)
	if err := s.Sync(); err != nil {
		return nil, err
	}
	var err error
	if t.Access, err = readAccess(s); err != nil {
		return nil, err
	}
	if err := t.readRoles(ctx, s, k); err != nil {
		return nil, err
	}
	if err := t.readMembers(ctx, s, k); err != nil {
		return nil, err
	}
	return t, t.readTasks(ctx, s, k)
}

// readRoles reads the candidates, the workers and the drains that are not known yet.
func (t *Tree) readRoles(ctx context.Context, s *session.Session, k *known) error {
	names, err := k.candidates.list(t, s, task.MasterDir)
	if err != nil {
		return err
	}
	candidates := election.Ordered(names)
	t.Candidates, err = k.candidates.read(ctx, candidates, func(name string) (Candidate, error) {
		data, z, err := get(s, task.MasterDir, name)
		return Candidate{z, newText(data).Beginning}, err
	})
	if err != nil {
		return err
	}
	ran := make(map[string]bool, len(candidates))
	for _, name := range candidates {
		ran[name] = true
	}
	for _, name := range names {
		if !ran[name] {
			t.Strangers = append(t.Strangers, Znode{Name: name})
		}
	}
	if names, err = k.workers.list(t, s, task.WorkersDir); err != nil {
		return err
	}
	t.Workers, err = k.workers.read(ctx, names, func(name string) (Worker, error) {
		data, z, err := get(s, task.WorkersDir, name)
		list, malformed := task.ParseList(data)
		return Worker{z, list.IDs, malformed}, err
	})
	if err != nil {
		return err
	}
	if names, err = k.drains.list(t, s, task.DrainDir); err != nil {
		return err
	}
	t.Drains, err = k.drains.read(ctx, names, func(name string) (Drain, error) {
		data, z, err := get(s, task.DrainDir, name)
		drained, note := task.ParseDrain(data, z.Version)
		return Drain{z, drained, newText([]byte(note)).Beginning}, err
	})
	return err
}

// readMembers reads the znodes of the processes, and the protocol that they speak.
func (t *Tree) readMembers(ctx context.Context, s *session.Session, k *known) error {
	names, err := k.members.list(t, s, task.MembersDir)
	if err != nil {
		return err
	}
	read := func(dir, name string) (Member, error) {
		data, z, err := get(s, dir, name)
		return Member{z, member.Parse(data)}, err
	}
	t.Members, err = k.members.read(ctx, names, func(name string) (Member, error) { return read(task.MembersDir, name) })
	if err != nil {
		return err
	}
	own, err := k.protocol.read(ctx, []string{task.MembersDir[1:]}, func(name string) (Member, error) { return read("", name) })
	if err == nil && len(own) > 0 && own[0].Err == nil {
		t.Protocol = &own[0].Told
	}
	return err
}

func (t *Tree) readTasks(ctx context.Context, s *session.Session, k *known) error {
	names, err := k.tasks.list(t, s, task.TasksDir)
	if err != nil {
		return err
	}
	t.Tasks, err = k.tasks.read(ctx, names, func(name string) (Task, error) {
		if !task.ValidID(name) {
			return Task{Znode: Znode{Name: name}}, nil // the leader never assigns it
		}
		return getTask(s, name)
	})
	return err
}

func getTask(s *session.Session, name string) (Task, error) {
	data, z, err := get(s, task.TasksDir, name)
	return newTask(z, data), err
}

func newTask(z Znode, data []byte) Task {
	s := task.ParseState(data)
	return Task{z, s.Phase, s.Losses, s.Facts, newText(s.Text), newText(s.Stderr)}
}

// list lists a permanent znode, sorted. A missing znode is empty. So is a znode that may not be
// listed; it is added to t.Dirs with the error.
func (t *Tree) list(s *session.Session, dir string) ([]string, error) {
	names, _, err := s.Children(dir)
	switch {
	case err == nil, errors.Is(err, zk.ErrNoNode):
		slices.Sort(names)
		return names, nil
	case errors.Is(err, session.ErrOver):
		return nil, err
	}
	t.Dirs = append(t.Dirs, Znode{Name: dir, Err: err})
	return nil, nil
}

// longestName is the longest name of a znode that is read, in bytes. Many znodes are read in
// one request, and the servers refuse a request of more than 1 MB.
const longestName = 2 * task.MaxID

// get reads a child of a permanent znode. It returns an error of the session, or zk.ErrNoNode;
// any other error goes into the Znode.
func get(s *session.Session, dir, name string) ([]byte, Znode, error) {
	if len(name) > longestName {
		return nil, Znode{Name: name, Err: fmt.Errorf("its name has %d bytes", len(name))}, nil
	}
	data, stat, err := s.Get(dir + "/" + name)
	z, err := znode(name, stat, err)
	return data, z, err
}

func znode(name string, stat *zk.Stat, err error) (Znode, error) {
	switch {
	case err == nil:
		return Znode{
			Name: name, Created: time.UnixMilli(stat.Ctime), Modified: time.UnixMilli(stat.Mtime),
			Mzxid: stat.Mzxid, Version: stat.Version, Owner: stat.EphemeralOwner, Pzxid: stat.Pzxid, Aversion: stat.Aversion, children: stat.NumChildren,
		}, nil
	case errors.Is(err, zk.ErrNoNode), errors.Is(err, session.ErrOver):
		return Znode{}, err
	}
	return Znode{Name: name, Err: err}, nil
}

// readAll reads many znodes at once, and leaves out those that have vanished.
func readAll[T any](ctx context.Context, names []string, read func(name string) (T, error)) ([]T, error) {
	all, gone := make([]T, len(names)), make([]bool, len(names))
	err := each(ctx, len(names), func(i int) (err error) {
		if all[i], err = read(names[i]); errors.Is(err, zk.ErrNoNode) {
			gone[i], err = true, nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	there := all[:0]
	for i := range all {
		if !gone[i] {
			there = append(there, all[i])
		}
	}
	return there, nil
}

// each calls do n times, many at once, until a call fails.
func each(ctx context.Context, n int, do func(i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(pipeline, n) {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(i); err != nil {
					return err
				}
			}
			return context.Cause(ctx)
		})
	}
	return g.Wait()
}
