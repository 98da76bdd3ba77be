package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/task"
)

// drain drains a worker process for as long as the fault lasts, or now and then the host,
// which is all of them.
func (r *run) drain(ctx context.Context, f fault) error {
	conn, err := r.hand()
	if err != nil {
		return err
	}
	defer conn.Close()
	draw := rand.New(rand.NewPCG(r.seed, uint64(f.at)))
	p := r.Process(fmt.Sprintf("%s-%d", workers, 1+draw.IntN(counts[workers])))
	host, _ := os.Hostname()
	names := task.Drains(task.NewWorkerName("", host, p.Pid())) // worker, host, process
	path := chroot + task.DrainPath(names[2])
	if draw.IntN(3) == 0 {
		path = chroot + task.DrainPath(names[1])
	}
	// An error means no drain: the server is away, or nobody has made /drain yet.
	_, _ = conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
	_ = harness.Pause(ctx, f.lasts)
	return remove(conn, path)
}
