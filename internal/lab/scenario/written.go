package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
)

// log is ZooKeeper's own log of all writes so far. Of an ensemble it waits until
// the logs of all servers agree.
func (p *play) log() (txns []history.Txn) {
	if len(p.Servers) == 1 {
		txns, err := history.Read(p.Servers[0].DataDir())
		p.fail(err)
		return txns
	}
	var more string
	p.poll("the servers' logs agree", func() (bool, string) {
		var err error
		txns, more, err = p.compared()
		return err == nil, fmt.Sprint(err)
	})
	p.check(true, "the logs of all servers agree: %d transactions%s", len(txns), more)
	return txns
}

// compared returns the one log that those of all servers agree with, and tells
// where they differ for good reason.
func (p *play) compared() (whole []history.Txn, more string, err error) {
	var logs []disk
	for _, s := range p.all() {
		l := disk{server: p.Name(s)}
		var rerr, serr error
		l.records, rerr = history.Records(s.DataDir())
		l.snapshots, serr = history.Snapshots(s.DataDir())
		if err := errors.Join(rerr, serr); err != nil {
			return nil, "", err
		}
		logs = append(logs, l)
	}
	for i, s := range p.all() {
		if whole, rerr := history.Read(s.DataDir()); rerr != nil {
			err = rerr // a snapshot stands for a part of it
		} else if more, err = agree(ordered(logs[i].records), logs); err == nil {
			return whole, more, nil
		}
	}
	return nil, "", err
}

// ordered are records by their zxids, each once.
func ordered(records []history.Txn) []history.Txn {
	records = slices.Clone(records)
	byZxid := func(a, b history.Txn) int { return cmp.Compare(a.Zxid, b.Zxid) }
	slices.SortStableFunc(records, byZxid)
	return slices.CompactFunc(records, func(a, b history.Txn) bool { return a.Zxid == b.Zxid })
}

// disk is what a server has written.
type disk struct {
	server    string
	records   []history.Txn
	snapshots []int64 // their zxids
}

// agree tells whether every log is the whole one, but for what ZooKeeper leaves
// behind: what a snapshot from the servers' leader stands for is missing; what the
// server had proposed while it was cut off is void, though it is still there; and
// what it got when it failed to join is there twice.
func agree(whole []history.Txn, logs []disk) (more string, err error) {
	for _, l := range logs {
		in := make(map[int64]bool)
		var twice, void int
		covered := func(zxid int64) bool {
			return slices.ContainsFunc(l.snapshots, func(s int64) bool { return s >= zxid })
		}
		for _, r := range l.records {
			i, committed := slices.BinarySearchFunc(whole, r.Zxid, func(t history.Txn, zxid int64) int { return cmp.Compare(t.Zxid, zxid) })
			switch {
			case committed && !reflect.DeepEqual(whole[i], r):
				return "", fmt.Errorf("%s has logged another transaction 0x%x", l.server, r.Zxid)
			case committed && in[r.Zxid]:
				twice++
			case !committed && !covered(r.Zxid):
				return "", fmt.Errorf("%s alone has logged transaction 0x%x", l.server, r.Zxid)
			case !committed:
				void++
			}
			in[r.Zxid] = true
		}
		missing := 0
		for _, t := range whole {
			if in[t.Zxid] {
				continue
			}
			if missing++; !covered(t.Zxid) {
				return "", fmt.Errorf("%s has not logged transaction 0x%x", l.server, t.Zxid)
			}
		}
		if missing > 0 {
			more += fmt.Sprintf("; %s has %d of them in a snapshot only", l.server, missing)
		}
		if void > 0 {
			more += fmt.Sprintf("; %s has %d more, never committed", l.server, void)
		}
		if twice > 0 {
			more += fmt.Sprintf("; %s has %d of them twice", l.server, twice)
		}
	}
	return more, nil
}

// nowhere waits until every server of an ensemble itself has nothing left: one may
// lag behind, or hold what the others do not.
func (p *play) nowhere() {
	for _, s := range p.all() {
		p.poll("nothing is left at "+p.Name(s), func() (bool, string) {
			left, err := p.Remains(p.ctx, s)
			return left == 0 && err == nil, fmt.Sprintf("%d znodes, %v", left, err)
		})
	}
}

// keep copies what the servers of an ensemble have written, if it is not as it
// must be: there are faults of their own in ensembles whose servers fail.
func (p *play) keep(w io.Writer) {
	if len(p.Servers) == 1 || p.ctx.Err() != nil {
		return
	}
	kept, err := os.MkdirTemp("", "taskkeeper-ensemble-")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	for i, s := range p.Ensemble.Servers {
		if err := os.CopyFS(filepath.Join(kept, harness.ServerName(i)), os.DirFS(filepath.Dir(s.DataDir()))); err != nil {
			fmt.Fprintln(w, err)
		}
	}
	fmt.Fprintf(w, "\nwhat the servers have written is in %s\n", kept)
}
