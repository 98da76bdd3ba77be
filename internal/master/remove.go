package master

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	// removals is how many tasks are removed in a tick, so that the loop turns
	// and assigns between them.
	removals = 300
	// refusals is how many Multis may be refused for that in a tick.
	refusals = 4
	// sweepPause is the least time between two listings of /data, which can be
	// as long as one of /tasks: it matters where the retention time is shorter.
	sweepPause = 10 * time.Second
)

// removal is one part of a Multi that removes what nobody wants any more.
type removal struct {
	kind    removalKind
	id      string
	version int32 // collectable: of its state; ownerless: of its payload
	payload bool  // collectable: there is one, as far as is known
	before  int64 // ownerless: as in orphan
}

type removalKind int

const (
	collectable removalKind = iota // a result that nobody collected, with its payload
	ownerless                      // a payload without a task
)

// ops is a removal as operations. A result goes at the version at which it was
// read as finished: one that was set back to pending since stays.
func (r removal) ops() []session.Op {
	switch {
	case r.kind == ownerless:
		return []session.Op{session.Delete(task.DataPath(r.id), r.version)}
	case r.payload:
		return []session.Op{
			session.Delete(task.StatePath(r.id), r.version),
			session.Delete(task.DataPath(r.id), session.AnyVersion),
		}
	}
	return []session.Op{session.Delete(task.StatePath(r.id), r.version)}
}

// tidy removes some of what is due.
func (l *leader) tidy(now time.Time) error {
	if l.view.retention.period <= 0 || !l.view.ready() {
		return nil
	}
	l.view.glance(rereads)
	rs := l.view.due(now, removals)
	orphans, err := l.inspect(l.view.takeOrphans(removals - len(rs)))
	if err != nil {
		return err
	}
	left, err := l.remove(append(rs, orphans...))
	l.view.putBack(left)
	return err
}

// remove carries removals out. Where one is refused all are looked at, so that
// those that can be removed are, and one Multi is refused and not one for each.
// What is left is still due.
func (l *leader) remove(rs []removal) (left []removal, err error) {
	for refused := 0; len(rs) > 0 && refused < refusals; {
		ops, ends := fenced(l.fence, rs, l.packet())
		batch := rs[:len(ends)]
		_, err := l.s.Multi(ops...)
		var e *session.OpError
		switch {
		case err == nil:
			for _, r := range batch {
				l.removed(r)
				for _, op := range r.ops() {
					l.rights.Has(parent(op.Path), session.RightDelete)
				}
			}
			rs = rs[len(batch):]
			continue
		case errors.Is(err, session.ErrUnknown):
			// After a Sync the look tells those apart that are gone.
			l.log.Warn("no answer to a removal, looking what became of it", "err", err)
			if err := l.s.Sync(); err != nil {
				return nil, err
			}
		case errors.Is(err, session.ErrTooLarge): // the servers take less than was known
		case !errors.As(err, &e):
			return nil, err
		case e.Index == 0:
			l.log.Warn("removal refused by ZooKeeper: this master leads no more", "candidate", l.fence.Path, "err", e)
			return nil, errDeposed
		case session.Refused(e): // as all the others in that directory
			l.rights.Lacks(task.DataDir, session.RightDelete, e)
			return rs, nil
		case !errors.Is(e.Err, zk.ErrNoNode) && !errors.Is(e.Err, zk.ErrBadVersion):
			i, _ := slices.BinarySearch(ends, e.Index+1)
			l.leave(rs[i], e.Op.Path, e.Err.Error())
			rs = slices.Delete(rs, i, i+1)
		}
		refused++
		if rs, err = l.inspect(rs); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

// parent is the znode above a path.
func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }

func (l *leader) removed(r removal) {
	if r.kind == ownerless {
		l.log.Info("payload removed: it had no task", "task", r.id)
		return
	}
	l.view.drop(r.id)
	l.log.Info("task removed: nobody collected its result in time", "task", r.id)
}

// leave leaves alone what a removal is about, and complains.
func (l *leader) leave(r removal, path, why string) {
	l.odd.tell(path, why+"; not removed")
	if r.kind == collectable {
		l.view.leave(r.id)
	}
}

// node is what a look at a znode came to: its Stat, or why there is none.
type node struct {
	stat *zk.Stat
	err  error
}

// inspect looks at the znodes that removals are about, and returns those that
// are still to be removed, as they are now. It reads the ACL of each: its Stat
// comes with that, and neither what it holds nor the names of what is below.
func (l *leader) inspect(rs []removal) ([]removal, error) {
	states, data := make([]node, len(rs)), make([]node, len(rs))
	var g errgroup.Group
	g.SetLimit(pipeline)
	for i, r := range rs {
		g.Go(func() error {
			if r.kind == collectable {
				_, states[i].stat, states[i].err = l.s.ACL(task.StatePath(r.id))
			}
			_, data[i].stat, data[i].err = l.s.ACL(task.DataPath(r.id))
			return nil
		})
	}
	_ = g.Wait()
	var rest []removal
	for i, r := range rs {
		for _, err := range []error{states[i].err, data[i].err} {
			if errors.Is(err, session.ErrOver) {
				return nil, err
			}
		}
		if r.kind == collectable && l.inspectResult(&r, states[i], data[i]) ||
			r.kind == ownerless && l.inspectOrphan(&r, data[i]) {
			rest = append(rest, r)
		}
	}
	return rest, nil
}

// inspectResult merges how a result's znodes look now, and tells whether it is
// still to be removed. That one is not there is fine: somebody collected it.
func (l *leader) inspectResult(r *removal, state, data node) bool {
	r.payload = !errors.Is(data.err, zk.ErrNoNode)
	switch {
	case errors.Is(state.err, zk.ErrNoNode):
		l.view.drop(r.id)
	case state.err != nil:
		l.leave(*r, task.StatePath(r.id), state.err.Error())
	case state.stat.Version != r.version:
		l.view.drop(r.id)
		l.view.look(r.id)
	case state.stat.NumChildren > 0:
		l.leave(*r, task.StatePath(r.id), "znodes below a task")
	case data.err == nil && data.stat.NumChildren > 0:
		l.leave(*r, task.DataPath(r.id), "znodes below a payload")
	default:
		return true
	}
	return false
}

// inspectOrphan is inspectResult for a payload without a task.
func (l *leader) inspectOrphan(r *removal, data node) bool {
	switch {
	case errors.Is(data.err, zk.ErrNoNode):
	case data.err != nil:
		l.leave(*r, task.DataPath(r.id), data.err.Error())
	case data.stat.EphemeralOwner != 0: // its session's end removes it
	case data.stat.Czxid > r.before: // it was made since it was listed first
	case data.stat.NumChildren > 0:
		l.leave(*r, task.DataPath(r.id), "znodes below a payload")
	default:
		r.version = data.stat.Version
		return true
	}
	return false
}

// sweepDue tells whether /data is to be listed with the next listing of /tasks.
func (l *leader) sweepDue() bool {
	return l.view.retention.period > 0 && !time.Now().Before(l.nextSweep)
}

// listData lists the payloads, for the lister: then it lists the tasks, so that
// what is submitted in between is not taken for a payload without a task.
func (l *leader) listData() (*payloads, error) {
	p := &payloads{names: make(map[string]bool), began: time.Now()}
	names, stat, err := l.s.Children(task.DataDir)
	if errors.Is(err, zk.ErrNoNode) {
		err = l.s.EnsureDirs(task.DataDir)
		stat = new(zk.Stat)
	}
	switch {
	case session.Refused(err):
		l.rights.Lacks(task.DataDir, session.RightRead, err)
		p.refused = true
		return p, nil
	case err != nil:
		return nil, err
	}
	l.rights.Has(task.DataDir, session.RightRead)
	p.zxid = stat.Pzxid
	for _, id := range names {
		if task.ValidID(id) {
			p.names[id] = true
		}
	}
	return p, nil
}

// without takes those away that have tasks.
func (p *payloads) without(tasks []string) {
	for _, id := range tasks {
		delete(p.names, id)
	}
	p.ended = time.Now()
}
