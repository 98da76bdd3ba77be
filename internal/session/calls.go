package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zkwire"
)

// AnyVersion means "it exists, at any version".
const AnyVersion int32 = -1

// Op is one operation of a Multi.
type Op struct {
	Path string

	kind    opKind
	data    []byte
	version int32
	flags   int32
	acl     []zk.ACL // of the new znode; nil: by the policy
}

type opKind string

const (
	opCheck  opKind = "check"
	opCreate opKind = "create"
	opSet    opKind = "set"
	opDelete opKind = "delete"
)

// Check requires that path is at version. It compares versions only, so use it on paths
// that are never used twice: a znode deleted and created again may pass.
func Check(path string, version int32) Op { return Op{Path: path, kind: opCheck, version: version} }

// Create creates a permanent znode.
func Create(path string, data []byte) Op { return Op{Path: path, kind: opCreate, data: data} }

// CreateEphemeral creates a znode that vanishes with this session.
func CreateEphemeral(path string, data []byte) Op {
	return Op{Path: path, kind: opCreate, data: data, flags: zk.FlagEphemeral}
}

// CreateEphemeralSequential creates a znode that vanishes with this session. ZooKeeper
// appends ten digits to path, which count up.
func CreateEphemeralSequential(path string, data []byte) Op {
	return Op{Path: path, kind: opCreate, data: data, flags: zk.FlagEphemeral | zk.FlagSequence}
}

// Set replaces the data of path, which must be at version.
func Set(path string, data []byte, version int32) Op {
	return Op{Path: path, kind: opSet, data: data, version: version}
}

// Delete removes path, which must be at version and have no children.
func Delete(path string, version int32) Op { return Op{Path: path, kind: opDelete, version: version} }

// With sets the ACL of the new znode, in place of the policy's.
func (o Op) With(acl []zk.ACL) Op { o.acl = acl; return o }

// Size is how many bytes the operation adds to a packet, without the chroot and ACLs: see
// Session.Size.
func (o Op) Size() int { return len(o.Path) + len(o.data) + 128 }

func (o Op) String() string { return string(o.kind) + " " + o.Path }

// request is the operation as go-zookeeper has it. path includes the chroot.
func (o Op) request(path string, acl []zk.ACL) any {
	switch o.kind {
	case opCheck:
		return &zk.CheckVersionRequest{Path: path, Version: o.version}
	case opCreate:
		return &zk.CreateRequest{Path: path, Data: o.data, Acl: acl, Flags: o.flags}
	case opSet:
		return &zk.SetDataRequest{Path: path, Data: o.data, Version: o.version}
	default:
		return &zk.DeleteRequest{Path: path, Version: o.version}
	}
}

// Result is the result of one operation of a Multi.
type Result struct {
	Path string   // of the new znode, after a create
	Stat *zk.Stat // after a Set
}

// MaxPacket is the largest Multi, in bytes, as Size counts them.
const MaxPacket = zkwire.MaxRequest

// MaxPacket is the constant, or less if the limit found for these servers is lower.
func (s *Session) MaxPacket() int {
	most, _ := s.wire.Limits()
	return most
}

// Size is how many bytes operations add to a packet, with the chroot and ACLs.
func (s *Session) Size(ops ...Op) (size int) {
	r := s.policy.known()
	for _, op := range ops {
		size += op.Size() + len(s.cfg.Address.Chroot)
		if op.kind == opCreate && !r.IsZero() {
			size += aclSize(s.acl(r, op.Path))
		}
	}
	return size
}

// requests returns the operations as they are sent, each create with its ACL.
func (s *Session) requests(ops []Op) ([]any, error) {
	reqs := make([]any, len(ops))
	for i, op := range ops {
		if op.kind == opCreate && op.acl == nil {
			r, err := s.currentRules()
			switch {
			case err != nil:
				return nil, err
			case r.err != nil:
				return nil, &OpError{Index: i, Op: op, Err: r.err}
			}
			op.acl = s.acl(r, op.Path)
		}
		reqs[i] = op.request(s.full(op.Path), op.acl)
	}
	return reqs, nil
}

// needs returns the right that the operation needs, and on which znode.
func (o Op) needs() (path string, perms int32) {
	switch o.kind {
	case opCheck:
		return o.Path, zk.PermRead
	case opSet:
		return o.Path, zk.PermWrite
	case opCreate:
		return parent(o.Path), zk.PermCreate
	default:
		return parent(o.Path), zk.PermDelete
	}
}

// Multi carries out all operations or none. The package's documentation explains its
// errors. While the connection is lost, Multi waits.
func (s *Session) Multi(ops ...Op) ([]Result, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	size := s.Size(ops...)
	for {
		if most := s.MaxPacket(); size > most {
			return nil, fmt.Errorf("%s and %d more: %w: %d bytes, at most %d", ops[0], len(ops)-1, ErrTooLarge, size, most)
		}
		if s.wire.Suspect(size) { // a cut counts only on a connection that has answered something
			if err := s.Sync(); err != nil {
				return nil, err
			}
		}
		if err := s.await(); err != nil {
			return nil, err
		}
		reqs, err := s.requests(ops)
		if err != nil {
			return nil, err
		}
		s.wrote.Store(true)
		began := time.Now()
		answers, err := s.conn.Multi(reqs...)
		s.count(ops, began)
		refused, err := s.refusal(ops, answers), named(err)
		switch {
		case err == nil:
			results := make([]Result, len(answers))
			for i, a := range answers {
				results[i].Stat = a.Stat
				if a.String != "" {
					results[i].Path = a.String[len(s.cfg.Address.Chroot):]
				}
			}
			return results, nil
		case refused != nil:
			return nil, refused
		case errors.Is(err, ErrAuthRequired):
			s.over(err)
			return nil, s.overErr()
		case s.ctx.Err() != nil:
			return nil, s.overErr()
		case errors.Is(err, zk.ErrNoServer): // it was never sent
		case errors.Is(err, errThrottled): // it was dropped
			pause(s.ctx, throttledPause)
		default:
			if !connectionLost(err) { // an error without a name: slow down a caller that repeats the call
				pause(s.ctx, 100*time.Millisecond)
			}
			return nil, fmt.Errorf("%s: %w: %w", ops[0], ErrUnknown, err)
		}
	}
}

// count counts a Multi and its operations.
func (s *Session) count(ops []Op, began time.Time) {
	s.cfg.Meter.Request("multi", began)
	for _, op := range ops {
		s.cfg.Meter.Operation(string(op.kind))
	}
}

// throttledPause is how long a call waits after an overloaded server has dropped its request.
const throttledPause = 500 * time.Millisecond

// refusal returns the operation that the server refused; nil if there is none. It is the
// first with an error: the operations after it have an error as well.
func (s *Session) refusal(ops []Op, answers []zk.MultiResponse) *OpError {
	for i, a := range answers {
		if a.Error == nil {
			continue
		}
		err := named(a.Error)
		if i >= len(ops) || !definite(err) {
			return nil
		}
		if Refused(err) {
			err = s.denied(ops[i].needs())
		}
		return &OpError{Index: i, Op: ops[i], Err: err}
	}
	return nil
}

// Get reads a znode. It fails with zk.ErrNoNode if the znode is missing.
func (s *Session) Get(path string) (data []byte, stat *zk.Stat, err error) {
	err = s.read("get", func() error {
		data, stat, err = s.conn.Get(s.full(path))
		return err
	})
	return data, stat, s.wrap("get", path, zk.PermRead, err)
}

// GetW is Get and sets a watch, which hints once, when the znode changes or vanishes. It
// sets no watch if the znode is missing.
func (s *Session) GetW(path string) (data []byte, stat *zk.Stat, err error) {
	err = s.read("get", func() error {
		data, stat, _, err = s.conn.GetW(s.full(path))
		return err
	})
	return data, stat, s.wrap("get", path, zk.PermRead, err)
}

// Children lists the names of a znode's children, in no order. It fails with zk.ErrNoNode
// if the znode itself is missing.
func (s *Session) Children(path string) (names []string, stat *zk.Stat, err error) {
	err = s.read("list", func() error {
		names, stat, err = s.conn.Children(s.full(path))
		return err
	})
	return names, stat, s.wrap("list", path, zk.PermRead, err)
}

// ChildrenW is Children and sets a watch, which hints once, when a child is created or
// deleted.
func (s *Session) ChildrenW(path string) (names []string, stat *zk.Stat, err error) {
	err = s.read("list", func() error {
		names, stat, _, err = s.conn.ChildrenW(s.full(path))
		return err
	})
	return names, stat, s.wrap("list", path, zk.PermRead, err)
}

// ACL reads a znode's ACL and Stat. It fails with zk.ErrNoNode if the znode is missing, and
// with zk.ErrNoAuth if the right to read the ACL is missing.
func (s *Session) ACL(path string) (acl []zk.ACL, stat *zk.Stat, err error) {
	err = s.read("get_acl", func() error {
		acl, stat, err = s.conn.GetACL(s.full(path))
		return err
	})
	return acl, stat, s.wrap("get the ACL of", path, zk.PermRead, err)
}

// Sync makes later reads of this session show all that anyone wrote before the call. By
// then a call of this session with an unknown outcome has been carried out, or never will
// be.
func (s *Session) Sync() error {
	root := s.cfg.Address.Chroot
	if root == "" {
		root = "/"
	}
	err := s.read("sync", func() error {
		_, err := s.conn.Sync(root)
		return err
	})
	if err != nil {
		err = fmt.Errorf("sync %s: %w", root, err)
	}
	return err
}

// namelessRetries is how often a read is repeated after an error that go-zookeeper has no
// name for. While a session ends, the servers answer with several such errors. Then they
// close the connection, and the next handshake shows that the session is over.
const namelessRetries = 20

// read repeats a call after a lost connection. The call must be safe to repeat.
func (s *Session) read(kind string, call func() error) error {
	for nameless := 0; ; {
		if err := s.await(); err != nil {
			return err
		}
		began := time.Now()
		err := named(call())
		s.cfg.Meter.Request(kind, began)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrAuthRequired):
			s.over(err)
			return s.overErr()
		case s.ctx.Err() != nil:
			return s.overErr()
		case connectionLost(err):
		case errors.Is(err, errThrottled):
			pause(s.ctx, throttledPause)
		case definite(err) || nameless == namelessRetries:
			return err
		default:
			nameless++
			pause(s.ctx, 50*time.Millisecond)
		}
	}
}

// await waits for a connection. It fails when the session is over.
func (s *Session) await() error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-s.ctx.Done():
		return s.overErr()
	default:
	}
	select {
	case <-up:
		return nil
	case <-s.ctx.Done():
		return s.overErr()
	}
}

// full returns the path with the chroot; "/" is the chroot itself.
func (s *Session) full(path string) string {
	if path == "/" && s.cfg.Address.Chroot != "" {
		return s.cfg.Address.Chroot
	}
	return s.cfg.Address.Chroot + path
}
