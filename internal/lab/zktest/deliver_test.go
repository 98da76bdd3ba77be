package zktest

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

func TestDeliverSendsACaughtMultiOnAnotherSession(t *testing.T) {
	p, c, h := onceVia(t)
	h.Create("/a", "old")
	caught, release := p.Catch(OpMulti, Naming("/a"))
	fence, a := h.root+"/fence", h.root+"/a"
	done := make(chan error, 1)
	go func() {
		_, err := c.Multi(&zk.CheckVersionRequest{Path: fence, Version: -1}, &zk.SetDataRequest{Path: a, Data: []byte("new")})
		done <- err
	}()
	multi := Receive(t, "multi that is caught", caught)
	ops, err := MultiOps(multi)
	if got := fmt.Sprintf("%+v", ops); err != nil || got != fmt.Sprintf("[{Op:check Path:%s Data:[] Version:-1} {Op:setData Path:%s Data:[110 101 119] Version:0}]", fence, a) {
		t.Errorf("caught %s, %v", got, err)
	}
	for _, step := range []struct {
		refused error
		at      int
		data    string
		next    func()
	}{
		{zk.ErrNoNode, 0, "old", func() { h.Create("/fence", "") }},
		{nil, -1, "new", func() {}},
		{zk.ErrBadVersion, 1, "new", func() {}},
	} {
		answer, err := Deliver(p.target, identity.Files{}, multi)
		if err != nil || answer.Refused != step.refused || answer.RefusedAt != step.at {
			t.Errorf("delivered: %+v, %v; want %v at %d", answer, err, step.refused, step.at)
		}
		if answer.Session == c.SessionID() || answer.Session == 0 {
			t.Errorf("session 0x%x", answer.Session)
		}
		if data, _ := h.Get("/a"); data != step.data {
			t.Errorf("holds %q afterwards, want %q", data, step.data)
		}
		step.next()
	}
	seen(t, p, "[]")
	release()
	if err := <-done; err != zk.ErrBadVersion {
		t.Errorf("the caught multi: %v", err)
	}
}

func TestMultiOpsRefusesWhatIsMalformed(t *testing.T) {
	packet := func(op Op, body string) string {
		header := append(binary.BigEndian.AppendUint32(nil, uint32(op)), "\x00\xff\xff\xff\xff"...)
		return "xid,mult" + string(header) + body
	}
	const check = "\x00\x00\x00\x02/a\x00\x00\x00\x03"
	for name, tt := range map[string]struct{ multi, want string }{
		"without_a_header":     {"\x00\x00\x00\x01", "EOF"},
		"without_an_end":       {packet(OpCheck, check), "EOF"},
		"cut":                  {packet(OpCheck, check[:3]), "EOF"},
		"of_a_bad_length":      {packet(OpCheck, "\xff\x00\x00\x00\x00\x00\x00\x00"), "EOF"},
		"of_another_operation": {packet(OpCreate, check), "operation 0 is create"},
	} {
		if ops, err := MultiOps([]byte(tt.multi)); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v", name, ops, err)
		}
	}
}
