package inspect_test

import (
	"context"
	"fmt"
	"time"

	"taskkeeper/internal/inspect"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Somebody has played the client and a worker by hand. The tree is read once for a status,
// and twice for findings.
func Example() {
	addr, stop := zktest.Serve()
	defer stop()
	ctx := context.Background()
	s, err := session.Open(ctx, session.Config{Address: session.Address{Servers: []string{addr}}})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if err := s.EnsureDirs(task.Dirs()...); err != nil {
		panic(err)
	}
	_, err = s.Multi(
		session.CreateEphemeral(task.WorkerPath("me"), nil),
		session.Create(task.DataPath("t1"), []byte("0.5")), session.Create(task.StatePath("t1"), []byte("pending")),
		session.Create(task.DataPath("t2"), []byte("1.5")),
	)
	if err != nil {
		panic(err)
	}

	tree, err := inspect.Read(ctx, s)
	if err != nil {
		panic(err)
	}
	status := inspect.Summarize(tree, time.Now(), inspect.Filter{})
	fmt.Println("workers free:", status.Workers.Free, "tasks pending:", status.Tasks.Pending)
	_, findings, err := inspect.Diagnose(ctx, s, "") // reads everything, and again what looks wrong
	for _, f := range findings {
		fmt.Println(f.Headline())
	}
	fmt.Println(err)
	// Output:
	// workers free: 1 tasks pending: 1
	// /data/t2  a payload without a task
	// <nil>
}
