package scenario

import (
	"bytes"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
)

func TestAWriteOfAnOldLeaderIsShownWithTheCandidatesAndTheWorker(t *testing.T) {
	began := time.UnixMilli(0)
	var zxid int64
	txn := func(session int64, expired bool, events ...history.Event) history.Txn {
		zxid++
		for i := range events {
			events[i].Path = chroot + events[i].Path
		}
		return history.Txn{Zxid: zxid, Session: session, Time: began.Add(time.Duration(zxid) * time.Second), Expired: expired, RefusedAt: -1, Events: events}
	}
	const old, next, worker = "/master/a-0000000000", "/master/b-0000000001", "/workers/host:1-aaaaaaaaaaaa"
	txns := []history.Txn{
		txn(1, false, history.Event{Op: history.Create, Path: old, Owner: 1}),
		txn(2, false, history.Event{Op: history.Create, Path: next, Owner: 2}),
		txn(3, false, history.Event{Op: history.Create, Path: worker, Owner: 3}),
		txn(3, false, history.Event{Op: history.Create, Path: "/workers/host:1-bbbbbbbbbbbb", Owner: 3}),
		txn(4, false, history.Event{Op: history.Create, Path: "/data/t", Owner: 4}, history.Event{Op: history.Create, Path: "/tasks/t", Owner: 4}),
		txn(1, true, history.Event{Op: history.Delete, Path: old, Owner: 1}),
		txn(1, false, history.Event{Op: history.Set, Path: worker, Data: []byte("t")}),
	}
	var out bytes.Buffer
	r := &run{Cluster: new(harness.Cluster), out: &out, began: began, txns: txns}
	r.explain(history.Check(history.Under(txns, chroot), history.Options{}).Violations)
	const want = `
A write in ZooKeeper's own log breaks the rule "leader": only the session that owns the lowest candidate leads.
/workers/…aaaaaa: written by neither its owner 0x3 nor the leader 0x2.

  1000 ms  another   create /master/…000000
  2000 ms  another   create /master/…000001
  3000 ms  another   create /workers/…aaaaaa
  6000 ms  another   delete /master/…000000, its session has expired
  7000 ms  another   set /workers/…aaaaaa "…t"   <── breaks the rule

`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
