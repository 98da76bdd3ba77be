package master

import (
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/task"
)

// DefaultRetention is how long a result that outlives its client is kept for
// somebody to collect it.
const DefaultRetention = 24 * time.Hour

// retention is what the leader knows of what it will remove one day. It is part
// of the view: without I/O, and the time is passed in. That is this process's
// monotonic time, so that no clock that is set removes anything.
type retention struct {
	period  time.Duration // 0: nothing is removed
	results []*result     // in the order in which they were read; also some that are none any more
	alone   *payloads     // as first listed
	orphans []orphan      // found alone twice
	glanced item          // the last of the queue that was glanced at
}

// result is a finished task that outlives its client, as the leader first read it.
type result struct {
	id      string
	version int32
	zxid    int64 // of its last write: a task made again can be at an old version
	read    time.Time
	left    bool // it cannot be removed
}

// payloads are the names in /data that were not in /tasks, which was listed
// right afterwards.
type payloads struct {
	names        map[string]bool
	zxid         int64 // of the last one that came or went
	began, ended time.Time
	refused      bool // they may not be listed: nothing is known
}

// orphan is a payload that had no task in two listings.
type orphan struct {
	id     string
	before int64 // it was made by this zxid, or it is another than the one that was listed first
}

// large is from how many bytes on a state that is not pending is not read again and again: its
// Stat, in a request of its own, tells whether it was written.
const large = 4 << 10

// keep merges how a task was read: from now on the retention time of a finished
// one runs, unless it does already. A state that was written anew starts anew.
// What a session keeps that session's end removes.
func (v *view) keep(id string, s task.State, stat *zk.Stat, now time.Time) {
	t := v.tasks[id]
	if t != nil {
		t.large = 0
		if s.Phase != task.Pending && stat.DataLength > large {
			t.large = stat.Mzxid
		}
	}
	switch {
	case t == nil || t.phase == held:
	case v.retention.period <= 0 || !s.Finished() || stat.EphemeralOwner != 0:
		t.result = nil
	case t.result == nil || t.result.zxid != stat.Mzxid:
		t.result = &result{id: id, version: stat.Version, zxid: stat.Mzxid, read: now}
		v.retention.push(t.result, v.tasks)
	}
}

// push adds a result. Before what was collected since makes up most of them, it
// is dropped: the oldest are looked at no sooner than they are due.
func (r *retention) push(res *result, tasks map[string]*taskView) {
	if len(r.results) > 2*len(tasks)+ahead {
		r.results = slices.DeleteFunc(r.results, func(res *result) bool { return !res.stands(tasks) })
	}
	r.results = append(r.results, res)
}

// stands tells whether the result is, as far as is known, still there.
func (r *result) stands(tasks map[string]*taskView) bool {
	t := tasks[r.id]
	return t != nil && t.result == r && !r.left
}

// due returns up to n results that nobody collected in time, those first that
// were read first. They stay due until they are dropped.
func (v *view) due(now time.Time, n int) []removal {
	rs, tasks := v.retention.results, v.tasks
	for len(rs) > 0 && !rs[0].stands(tasks) {
		rs = rs[1:]
	}
	v.retention.results = rs
	var due []removal
	for _, r := range rs {
		if len(due) == n || now.Sub(r.read) < v.retention.period {
			break
		}
		// One that is held is finished by hand: first its worker frees itself.
		if r.stands(tasks) && tasks[r.id].phase != held {
			due = append(due, removal{kind: collectable, id: r.id, version: r.version, payload: true})
		}
	}
	return due
}

// drop forgets a result. The listing that follows its removal forgets the task.
func (v *view) drop(id string) {
	if t := v.tasks[id]; t != nil {
		t.result = nil
	}
}

// leave has a result that cannot be removed left where it is, for as long as
// nobody writes its state.
func (v *view) leave(id string) {
	if t := v.tasks[id]; t != nil && t.result != nil {
		t.result.left = true
	}
}

// glances is how much of the queue is looked through in a tick.
const glances = 8 * rereads

// glance has up to n tasks read that were never read, each once, while there is
// no worker: only an assignment that is refused tells of finished ones else.
func (v *view) glance(n int) {
	for _, w := range v.workers {
		if !w.ignored {
			return
		}
	}
	r := &v.retention
	items := v.queue.after(r.glanced, glances)
	if len(items) == 0 {
		r.glanced = item{} // from the first one again: some may have come between
	}
	for _, it := range items {
		if t := v.tasks[it.id]; t != nil && t.phase == waiting && !t.read {
			if n == 0 {
				return
			}
			n--
			v.look(it.id)
		}
		r.glanced = it
	}
}

// after returns the first n in the queue that stand behind an item.
func (q *queue) after(it item, n int) []item {
	items := q.items[q.head:]
	i, found := slices.BinarySearchFunc(items, it, compareItems)
	if found {
		i++
	}
	return items[i:min(i+n, len(items))]
}

// mergePayloads merges a listing of the payloads without a task. One that was
// alone a retention time ago, and is again, belongs to nobody. It may have had a
// task in between, but that is gone as well.
func (v *view) mergePayloads(p payloads) {
	r := &v.retention
	if r.alone == nil {
		r.alone = &p
		return
	}
	if p.began.Sub(r.alone.ended) < r.period {
		return
	}
	r.orphans = nil
	for id := range p.names {
		if r.alone.names[id] {
			r.orphans = append(r.orphans, orphan{id, r.alone.zxid})
		}
	}
	slices.SortFunc(r.orphans, func(a, b orphan) int { return strings.Compare(a.id, b.id) })
	r.alone = &p
}

// takeOrphans returns up to n payloads that belong to nobody, and have no task
// by now.
func (v *view) takeOrphans(n int) []removal {
	var rs []removal
	r := &v.retention
	for len(rs) < n && len(r.orphans) > 0 {
		o := r.orphans[0]
		r.orphans = r.orphans[1:]
		if v.tasks[o.id] == nil {
			rs = append(rs, removal{kind: ownerless, id: o.id, before: o.before})
		}
	}
	return rs
}

// putBack has orphans taken again that were not dealt with. Results still stand.
func (v *view) putBack(rs []removal) {
	var back []orphan
	for _, r := range rs {
		if r.kind == ownerless {
			back = append(back, orphan{r.id, r.before})
		}
	}
	v.retention.orphans = append(back, v.retention.orphans...)
}
