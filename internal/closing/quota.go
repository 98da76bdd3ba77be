package closing

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	serversOwn = "/zookeeper"
	quotas     = "/zookeeper/quota" // below it stands the path of the znode that has the quota
	limits     = "/zookeeper_limits"
	stats      = "/zookeeper_stats"
)

// Quota bounds the number of tasks, and the bytes of their payloads; 0 is no bound. The bytes of
// /tasks have no bound: results must be written also when the quota is reached.
type Quota struct{ Tasks, Bytes int64 }

// Usage is an existing quota, and how much of it is used.
type Usage struct {
	Dir         string
	Quota, Used Quota
}

// of is the part of the quota that bounds the directory of these limits.
func (q Quota) of(limits string) Quota {
	if strings.HasSuffix(path.Dir(limits), task.TasksDir) {
		q.Bytes = 0
	}
	return q
}

// text is the quota in ZooKeeper's form, which counts the directory itself as well.
func (q Quota) text() string {
	limit := func(n, own int64) int64 {
		if n == 0 {
			return -1
		}
		return n + own
	}
	return fmt.Sprintf("count=-1,bytes=-1;byteHardLimit=%d;countHardLimit=%d", limit(q.Bytes, 0), limit(q.Tasks, 1))
}

// parseQuota reads ZooKeeper's form of a quota or of its use.
func parseQuota(data []byte, tasks, bytes string) (q Quota) {
	for fact := range strings.FieldsFuncSeq(string(data), func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(fact, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil || n < 0:
		case name == tasks:
			q.Tasks = max(0, n-1)
		case name == bytes:
			q.Bytes = n
		}
	}
	return q
}

// bounded are the znodes that have a quota.
var bounded = []string{task.TasksDir, task.DataDir}

// quotaZnodes lists the znodes of the quotas, parents first.
func (t Tree) quotaZnodes() (paths []string) {
	for _, dir := range bounded {
		path := quotas
		for name := range strings.SplitSeq((t.Chroot + dir)[1:], "/") {
			path += "/" + name
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
		paths = append(paths, path+limits, path+stats)
	}
	return paths
}

func (t Tree) setQuota(q Quota, policy access.Policy) error {
	for _, path := range t.quotaZnodes() {
		data := ""
		switch {
		case strings.HasSuffix(path, limits):
			data = q.of(path).text()
		case strings.HasSuffix(path, stats):
			data = "count=0,bytes=0" // the servers count once it is created
		}
		err := create(t.Servers, path, []byte(data), policy)
		if err == nil && strings.HasSuffix(path, limits) {
			err = again(func() error {
				_, err := t.Servers.Multi(session.Set(path, []byte(data), session.AnyVersion))
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("quota: %w", err)
		}
	}
	return nil
}

func (t Tree) removeQuota() error {
	paths := t.quotaZnodes()
	slices.Reverse(paths)
	for _, path := range paths {
		err := again(func() error {
			_, err := t.Servers.Multi(session.Delete(path, session.AnyVersion))
			return err
		})
		if err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrNotEmpty) {
			return fmt.Errorf("quota: %w", err)
		}
	}
	return nil
}

// again repeats a call while its outcome is unknown. The call must be safe to repeat.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, session.ErrUnknown) {
			return err
		}
	}
}

// Quotas returns the existing quotas.
func Quotas(t Tree) (all []Usage, err error) {
	for _, dir := range bounded {
		path := quotas + t.Chroot + dir
		limit, _, err := t.Servers.Get(path + limits)
		if err == nil {
			var used []byte
			if used, _, err = t.Servers.Get(path + stats); err == nil {
				all = append(all, Usage{Dir: dir, Quota: parseQuota(limit, "countHardLimit", "byteHardLimit"), Used: parseQuota(used, "count", "bytes")})
			}
		}
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return nil, err
		}
	}
	return all, nil
}
