package sched_test

import (
	"fmt"
	"time"

	"taskkeeper/internal/master/sched"
	"taskkeeper/internal/task"
)

// A leader's scheduler hears of two tasks and one free worker, and decides. It reads and
// writes nothing itself: the caller carries out the moves, and hands their outcome back.
func Example() {
	now := time.Now()
	s := sched.New(3)
	for _, e := range []sched.Event{
		sched.DrainsListed{},
		sched.TasksListed{IDs: []string{"t1", "t2"}, Number: 1},
		sched.WorkersListed{IDs: []string{"w1"}},
		sched.WorkerRead{ID: "w1"}, // its list is empty: it is free
	} {
		s.Handle(e, now)
	}

	// Names made by hand, such as t1, may have been used before: their states are read.
	fmt.Println("reads", s.Decide(now).ReadTasks)
	for _, id := range []string{"t1", "t2"} {
		s.Handle(sched.TaskRead{ID: id, State: task.NewPending(0)}, now)
	}

	first := s.Decide(now).Moves[0]
	fmt.Println(first.Worker, "gets", first.Tasks[0].ID)
	s.Handle(sched.Carried{Move: first, Version: 1}, now)
	fmt.Println("moves while it works:", len(s.Decide(now).Moves))

	// The worker's znode vanished. The task is still as it was: the worker was lost with it.
	s.Handle(sched.WorkerGone{ID: "w1", Blame: true}, now)
	fmt.Println("reads", s.Decide(now).ReadTasks)
	s.Handle(sched.TaskRead{ID: "t1", State: task.NewPending(0)}, now)
	s.Handle(sched.WorkersListed{IDs: []string{"w2"}}, now)
	s.Handle(sched.WorkerRead{ID: "w2"}, now)
	again := s.Decide(now).Moves[0]
	fmt.Println(again.Worker, "gets", again.Tasks[0].ID, "and counts a loss:", again.Tasks[0].CountLoss)
	// Output:
	// reads [t1 t2]
	// w1 gets t1
	// moves while it works: 0
	// reads [t1]
	// w2 gets t1 and counts a loss: true
}
