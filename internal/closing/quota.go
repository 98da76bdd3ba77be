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
	quotas     = "/zookeeper/quota" // what stands below it is about the znode of the same path
	limits     = "/zookeeper_limits"
	stats      = "/zookeeper_stats"
)

// Quota bounds how many tasks there are, and how many bytes their payloads have. 0 stands for any
// number. The bytes of /tasks have no bound: results are to be written also when it is reached.
type Quota struct{ Tasks, Bytes int64 }

// Usage is a quota that is there, and how much of it is used.
type Usage struct {
	Dir         string
	Quota, Used Quota
}

// of is the part of it that is the limit for a directory.
func (q Quota) of(limits string) Quota {
	if strings.HasSuffix(path.Dir(limits), task.TasksDir) {
		q.Bytes = 0
	}
	return q
}

// text is the quota in ZooKeeper's words. It counts the znode itself as well.
func (q Quota) text() string {
	limit := func(n, own int64) int64 {
		if n == 0 {
			return -1
		}
		return n + own
	}
	return fmt.Sprintf("count=-1,bytes=-1;byteHardLimit=%d;countHardLimit=%d", limit(q.Bytes, 0), limit(q.Tasks, 1))
}

// parseQuota reads what ZooKeeper has of a quota or of its use.
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

// quotaZnodes lists the znodes of the quotas, those above before those below.
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
			data = "count=0,bytes=0" // the servers count when it is created
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

// again repeats a call that does nothing twice while its outcome is unknown.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, session.ErrUnknown) {
			return err
		}
	}
}

// Quotas tells which quotas there are.
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
