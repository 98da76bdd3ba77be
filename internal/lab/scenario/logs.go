package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

// readLogs is ZooKeeper's own log of all writes so far. In an ensemble it waits until the logs of
// all servers agree: ZooKeeper 3.8.0 has faults of its own that lose transactions.
func (r *run) readLogs() (txns []history.Txn) {
	if len(r.Servers) == 1 {
		txns, err := history.Read(r.Servers[0].DataDir())
		r.must(err)
		return txns
	}
	r.poll("the servers' logs agree", func() (bool, string) {
		var err error
		for _, s := range r.Servers {
			if txns, err = history.Read(s.DataDir()); err == nil { // it fails if a snapshot stands for a part of the log
				err = r.compareLogs(s)
			}
			if err == nil {
				return true, ""
			}
		}
		return false, err.Error()
	})
	r.check(true, "the logs of all servers agree: %d transactions", len(txns))
	return txns
}

// compareLogs compares the logs of all servers with the whole log of one of them.
func (r *run) compareLogs(with *zktest.Server) error {
	whole, err := history.Records(with.DataDir())
	for _, s := range r.Servers {
		records, rerr := history.Records(s.DataDir())
		snapshots, serr := history.Snapshots(s.DataDir())
		if err = errors.Join(err, rerr, serr); err != nil {
			return err
		}
		if err = agree(whole, records, snapshots); err != nil {
			return fmt.Errorf("%s %w", r.Name(s), err)
		}
	}
	return nil
}

// agree checks a log by the whole one. What a snapshot from the servers' leader covers may be
// missing, or may be there though it was never committed: the server had proposed it while it was
// cut off. What the server got when it failed to join is there twice.
func agree(whole, records []history.Txn, snapshots []int64) error {
	covered := slices.Max(append(snapshots, 0)) // up to this zxid
	committed, has := make(map[int64]history.Txn), make(map[int64]bool)
	for _, t := range whole {
		committed[t.Zxid] = t
	}
	for _, t := range records {
		has[t.Zxid] = true
		c, ok := committed[t.Zxid]
		switch {
		case ok && !reflect.DeepEqual(c, t):
			return fmt.Errorf("has logged another transaction 0x%x", t.Zxid)
		case !ok && t.Zxid > covered:
			return fmt.Errorf("alone has logged transaction 0x%x", t.Zxid)
		}
	}
	for _, t := range whole {
		if !has[t.Zxid] && t.Zxid > covered {
			return fmt.Errorf("has not logged transaction 0x%x", t.Zxid)
		}
	}
	return nil
}
