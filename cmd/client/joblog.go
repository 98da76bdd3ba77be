package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/client"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// joblogHeader is that of GNU parallel, as are the columns.
const joblogHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"

// entry is a line of the joblog: a task that has ended.
type entry struct {
	seq           int
	host          string // of the worker; "-" where nobody told
	start         time.Time
	ran           time.Duration
	send, receive int // bytes of the payload, and of the result or what stdout had
	exit, signal  int // of a command; exit is -1 for a failure without
	command       string
}

// newEntry is the entry of an outcome that came at a time.
func newEntry(o client.Outcome, now time.Time) entry {
	e := entry{seq: o.Index, host: "-", start: now.Add(-o.Took), ran: o.Took, send: len(o.Payload), receive: len(output(o)), command: inOneLine(o.Payload)}
	if told := o.State.Facts.Executed(); !told.Began.IsZero() {
		_, host, _ := task.ParseWorkerName(told.Worker)
		e.host, e.start, e.ran = cmp.Or(inOneLine([]byte(host)), "-"), told.Began, told.Ran
	}
	e.exit, e.signal = exitOf(o)
	return e
}

// output is what a task has for standard output.
func output(o client.Outcome) []byte {
	if o.Err == nil && o.State.Phase == task.Done {
		return o.State.Text
	}
	return o.State.Stdout
}

// exitOf is a command's exit status and the number of the signal that ended it: as parallel
// has it, 0 beside a signal, and -1 for what failed without either.
func exitOf(o client.Outcome) (status, signal int) {
	if !isFailure(o) {
		return 0, 0
	}
	exit := o.State.Facts.Executed().Exit
	if n := unix.SignalNum(exit); n != 0 {
		return 0, int(n)
	}
	if n, err := strconv.Atoi(exit); err == nil && n > 0 {
		return n, 0
	}
	return -1, 0
}

// inOneLine is a text as a column.
func inOneLine(text []byte) string {
	return strings.ReplaceAll(printable.Line(string(text)), "\t", `\t`)
}

func (e entry) failed() bool { return e.exit != 0 || e.signal != 0 }

func (e entry) String() string {
	return fmt.Sprintf("%d\t%s\t%.3f\t%10.3f\t%d\t%d\t%d\t%d\t%s", e.seq, e.host, float64(e.start.UnixMilli())/1000,
		e.ran.Seconds(), e.send, e.receive, e.exit, e.signal, e.command)
}

// parseEntry reads a line, of parallel's too.
func parseEntry(line string) (e entry, err error) {
	columns := strings.SplitN(line, "\t", 9)
	if len(columns) < 9 {
		return e, fmt.Errorf("has %d columns, not 9", len(columns))
	}
	number := func(i int) float64 {
		n, nerr := strconv.ParseFloat(strings.TrimSpace(columns[i]), 64)
		if nerr != nil && err == nil {
			err = fmt.Errorf("column %d is no number: %.40q", i+1, columns[i])
		}
		return n
	}
	start, ran := number(2), number(3)
	e = entry{
		seq: int(number(0)), host: columns[1], start: time.UnixMilli(int64(start*1000 + 0.5)), ran: time.Duration(ran*1000+0.5) * time.Millisecond,
		send: int(number(4)), receive: int(number(5)), exit: int(number(6)), signal: int(number(7)), command: columns[8],
	}
	if err == nil && e.seq < 1 {
		err = fmt.Errorf("the Seq is %d", e.seq)
	}
	return e, err
}
