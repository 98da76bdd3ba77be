package command_test

import (
	"context"
	"fmt"

	"taskkeeper/internal/command"
	"taskkeeper/internal/task"
)

// Each payload replaces {} in one run of the command. The output is the result; an exit
// status other than 0 is the task's failure, with the last of standard error.
func Example() {
	c, err := command.New(command.Config{Words: []string{"expr", "6", "*", "{}"}})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	for _, payload := range []string{"7", "x"} {
		o, err := c.Execute(context.Background(), task.Execution{Task: "t1", Worker: "w1", Payload: []byte(payload)})
		fmt.Printf("result %q, exit status %s: %v\n", o.Result, o.Exit, err)
	}
	// Output:
	// result "42", exit status 0: <nil>
	// result "", exit status 2: exit status 2: expr: non-integer argument
}
