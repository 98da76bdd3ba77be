package zktest

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/identity"
)

func TestDeliverSendsACaughtMultiOnAnotherSession(t *testing.T) {
	p, c, h := rawVia(t)
	h.Create("/a", "old")
	caught, release := p.Catch(OpMulti, Naming("/a"))
	fence, a := h.root+"/fence", h.root+"/a"
	done := make(chan error, 1)
	go func() {
		done <- c.do(OpMulti,
			multiHeader{Op: OpCheck, Err: -1}, str(fence), int32(-1),
			multiHeader{Op: OpSetData, Err: -1}, str(a), str("new"), int32(0),
			multiHeader{Op: -1, Done: true, Err: -1})
	}()
	var multi []byte
	select {
	case multi = <-caught:
	case <-time.After(patience):
		t.Fatal("nothing is caught")
	}
	ops, err := MultiOps(multi)
	if got := fmt.Sprintf("%+v", ops); err != nil || got != fmt.Sprintf("[{Op:check Path:%s Data:[] Version:-1} {Op:setData Path:%s Data:[110 101 119] Version:0}]", fence, a) {
		t.Errorf("caught %s, %v", got, err)
	}

	const noNode, badVersion = -101, -103
	for _, step := range []struct {
		refused int32
		at      int
		data    string
		next    func()
	}{
		{noNode, 0, "old", func() { h.Create("/fence", "") }},
		{0, -1, "new", func() {}},
		{badVersion, 1, "new", func() {}},
	} {
		answer, err := Deliver(p.target, identity.Files{}, multi)
		if err != nil || answer.Refused != step.refused || answer.RefusedAt != step.at {
			t.Errorf("delivered: %+v, %v; want %d at %d", answer, err, step.refused, step.at)
		}
		if answer.Session == h.Session() || answer.Session == 0 {
			t.Errorf("session 0x%x", answer.Session)
		}
		if data, _ := h.Get("/a"); data != step.data {
			t.Errorf("holds %q afterwards, want %q", data, step.data)
		}
		if stat, _ := h.Stat("/a"); answer.Refused == 0 && stat.Mzxid != answer.Zxid {
			t.Errorf("zxid 0x%x, want 0x%x", answer.Zxid, stat.Mzxid)
		}
		step.next()
	}
	seen(t, p, "[]")
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMultiOpsRefusesWhatIsMalformed(t *testing.T) {
	packet := func(op Op, body string) string {
		b, _ := binary.Append(nil, binary.BigEndian, multiHeader{Op: op, Err: -1})
		return "xid,mult" + string(b) + body
	}
	const check = "\x00\x00\x00\x02/a\x00\x00\x00\x03"
	for name, tt := range map[string]struct{ multi, want string }{
		"without_a_header":     {"\x00\x00\x00\x01", "unexpected EOF"},
		"without_an_end":       {packet(OpCheck, check), "EOF"},
		"cut":                  {packet(OpCheck, check[:3]), "unexpected EOF"},
		"of_a_bad_length":      {packet(OpCheck, "\xff\x00\x00\x00"), "unexpected EOF"},
		"of_another_operation": {packet(OpCreate, check), "operation 0 is create"},
	} {
		if ops, err := MultiOps([]byte(tt.multi)); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v", name, ops, err)
		}
	}
}
