package session

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestSetACL(t *testing.T) {
	root := zktest.Connect(t)
	s := newSession(t, root)
	zktest.Conn(t, root).Create("/x", "1")
	if err := s.SetACL("/x", zk.WorldACL(zk.PermAdmin), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.SetACL("/x", zk.WorldACL(zk.PermAll), 0); !errors.Is(err, zk.ErrBadVersion) {
		t.Errorf("at an old version: %v", err)
	}
	if stat, err := s.Stat("/x"); err != nil || stat.Aversion != 1 || stat.DataLength != 1 {
		t.Errorf("the Stat of what may not be read: %+v, %v", stat, err)
	}
	if _, err := s.Stat("/none"); !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("the Stat of what is not there: %v", err)
	}
	if err := s.SetACL("/x", zk.DigestACL(zk.PermAll, "me", "secret"), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.SetACL("/x", zk.WorldACL(zk.PermAll), 2); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("without the right: %v", err)
	}
	s.Close()
	if err := s.SetACL("/x", zk.WorldACL(zk.PermAll), 2); !errors.Is(err, ErrOver) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSetACLWhoseAnswerIsLostIsUnknown(t *testing.T) {
	proxy, through := zktest.Via(t, zktest.Connect(t))
	s := newSession(t, through)
	write(t, s, Create("/x", nil))
	const opSetACL zktest.Op = 7
	proxy.CutAfter(opSetACL, 1)
	if err := s.SetACL("/x", zk.WorldACL(zk.PermAdmin), 0); !errors.Is(err, ErrUnknown) {
		t.Errorf("set: %v", err)
	}
	if stat, err := s.Stat("/x"); err != nil || stat.Aversion != 1 {
		t.Errorf("it was not carried out: %+v, %v", stat, err)
	}
}
