package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// proxy is the one that a program connects through, from its next start on; nil when the
// scene has failed.
func (p *play) proxy(name string) *zktest.Proxy {
	if p.err != nil {
		return nil
	}
	proxy, err := p.Proxy(name)
	p.fail(err)
	return proxy
}

// letter is an assignment of a master on its way to ZooKeeper.
type letter struct {
	from    string
	caught  <-chan []byte
	release func()

	// Once it is caught.
	multi     []byte
	ops       []zktest.MultiOp
	candidate string // the leader's: operation 0 is to check it
}

// hold has the next assignment of a master, now or when it leads, held on its
// way to ZooKeeper.
func (p *play) hold(master string) *letter {
	l := &letter{from: master, release: func() {}}
	if proxy := p.proxy(master); proxy != nil {
		l.caught, l.release = proxy.Catch(zktest.OpMulti,
			zktest.Naming(chroot+task.WorkersDir+"/"), zktest.Naming(chroot+task.TasksDir+"/"))
	}
	return l
}

// caught waits until a letter is held.
func (p *play) caught(l *letter) (at time.Time) {
	if p.err != nil {
		return at
	}
	select {
	case l.multi = <-l.caught:
		at = time.Now()
	case <-time.After(p.patience):
		p.fail(fmt.Errorf("wait for an assignment of %s: not within %s", l.from, p.patience))
		return at
	}
	ops, err := zktest.MultiOps(l.multi)
	p.fail(err)
	var what []string
	for i, op := range ops {
		path, below := strings.CutPrefix(op.Path, chroot)
		if id, ok := strings.CutPrefix(path, task.TasksDir+"/"); ok {
			what = append(what, "task "+harness.Short(id))
		}
		ops[i].Path = path
		if !below {
			p.fail(fmt.Errorf("operation %d of an assignment is of %s", i, op.Path))
		}
	}
	if p.err != nil {
		return at
	}
	led := p.hear(time.Time{}, did(l.from, "leader"))
	l.ops, l.candidate = ops, led.Candidate
	p.tell(at, l.from, "assigns %s: its Multi is held on the way to ZooKeeper", strings.Join(what, ", "))
	return at
}

// deliver has a letter arrive on another session, and checks the answer and
// ZooKeeper's log.
func (p *play) deliver(l *letter) {
	if p.err != nil {
		return
	}
	at := time.Now()
	a, err := zktest.Deliver(p.Servers[0].Addr(), p.Servers[0].Identity("master"), l.multi)
	p.fail(err)
	became := fmt.Sprintf("refused at operation 0, check %s: no node", brief(l.candidate))
	refused := a.RefusedAt == 0 && errors.Is(a.Refused, zk.ErrNoNode)
	if !refused {
		became = fmt.Sprintf("%v at operation %d", a.Refused, a.RefusedAt)
	}
	if a.Refused == nil {
		became = "carried out"
	}
	p.tell(at, "", "the late write of %s reaches ZooKeeper, on another session: %s", l.from, became)
	p.check(refused, "the late write is refused for the candidate's znode")
	if !refused {
		return
	}
	txns, err := history.Read(p.Servers[0].DataDir())
	p.fail(err)
	for _, t := range txns {
		if t.Session == a.Session && t.RefusedAt >= 0 {
			p.check(t.RefusedAt == 0 && t.Refused == history.NoNode && len(t.Events) == 0,
				"ZooKeeper's own log has it as refused at operation 0, zxid 0x%x", t.Zxid)
			return
		}
	}
	p.check(false, "ZooKeeper's own log has the refused write, session 0x%x", a.Session)
}

// unapplied checks that nothing of a letter was applied, and that operation 0
// alone, the check of the candidate, was in the way: all others ask for what is so.
func (p *play) unapplied(l *letter) {
	p.byHand(func(s *session.Session) error {
		if _, _, err := s.Get(l.candidate); !errors.Is(err, zk.ErrNoNode) {
			return fmt.Errorf("look for %s, which is to be gone: %w", l.candidate, err)
		}
		for i, op := range l.ops[1:] {
			data, stat, err := s.Get(op.Path)
			switch {
			case err != nil:
				return err
			case op.Op == zktest.OpSetData && bytes.Equal(data, op.Data):
				p.check(false, "nothing of it was applied: it gave worker %s its task", harness.Short(op.Path))
				return nil
			case stat.Version != op.Version:
				p.check(false, "operation %d would pass: %s is at version %d, not %d", i+1, op.Path, stat.Version, op.Version)
				return nil
			}
		}
		p.check(true, "nothing of it was applied, and its operations 1 to %d would have passed", len(l.ops)-1)
		return nil
	})
}

// remove deletes a znode.
func (p *play) remove(path string) {
	p.byHand(func(s *session.Session) error {
		_, err := s.Multi(session.Delete(path, session.AnyVersion))
		p.tell(time.Now(), "", "%s is deleted by hand", brief(path))
		return err
	})
}

// brief is a candidate's path without the middle: its number tells.
func brief(path string) string { return task.MasterDir + "/…" + path[max(0, len(path)-10):] }

// byHand does what a person would in a shell, on a session of its own.
func (p *play) byHand(do func(*session.Session) error) {
	if p.err != nil {
		return
	}
	s, err := p.Session(p.ctx, "admin", "")
	if err != nil {
		p.fail(err)
		return
	}
	defer s.Close()
	p.fail(do(s))
}
