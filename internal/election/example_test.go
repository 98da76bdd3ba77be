package election_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/election"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Two candidates run for leader, each on a session of its own. The first one leads. When it
// resigns, the second one leads, and ZooKeeper refuses what the first one still writes.
func Example() {
	addr, stop := zktest.Serve()
	defer stop()
	join := func(who string) (*session.Session, *election.Candidate) {
		s, err := session.Open(context.Background(), session.Config{Address: session.Address{Servers: []string{addr}}})
		if err != nil {
			panic(err)
		}
		c, err := election.Join(s, who, session.NewRights(nil))
		if err != nil {
			panic(err)
		}
		return s, c
	}
	first, a := join("host:1")
	defer first.Close()
	second, b := join("host:2")
	defer second.Close()

	for _, c := range []*election.Candidate{a, b} {
		leads, err := c.Election()
		fmt.Println("leads:", leads, err)
	}

	term, err := a.Campaign(context.Background()) // returns when a leads
	if err != nil {
		panic(err)
	}
	write := func(by *session.Session, fence session.Op) error {
		_, err := by.Multi(fence, session.Set(task.MasterDir, []byte("written by the leader"), session.AnyVersion))
		return err
	}
	fmt.Println("the leader writes:", write(first, term.Fence()))

	fence := term.Fence()
	term.End()
	if err := a.Resign(); err != nil {
		panic(err)
	}
	term, err = b.Campaign(context.Background())
	if err != nil {
		panic(err)
	}
	defer term.End()
	fmt.Println("the old leader writes late, and is refused:", errors.Is(write(first, fence), zk.ErrNoNode))
	// Output:
	// leads: true <nil>
	// leads: false <nil>
	// the leader writes: <nil>
	// the old leader writes late, and is refused: true
}
