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

// joblogHeader and the columns are those of GNU parallel.
const joblogHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"

// entry is a line of the joblog: a task that has ended.
type entry struct {
	seq           int
	host          string // of the worker; "-" if unknown
	start         time.Time
	ran           time.Duration
	send, receive int // bytes of the payload, and of the result or standard output
	exit, signal  int // of a command; exit is -1 for a failure without a status
	command       string
}

// newEntry returns the entry of an outcome that came at now.
func newEntry(o client.Outcome, now time.Time) entry {
	e := entry{seq: o.Index, host: "-", start: now.Add(-o.Took), ran: o.Took, send: len(o.Payload), receive: len(output(o)), command: inOneLine(o.Payload)}
	if ex := o.State.Facts.Executed(); !ex.Began.IsZero() {
		_, host, _ := task.ParseWorkerName(ex.Worker)
		e.host, e.start, e.ran = cmp.Or(inOneLine([]byte(host)), "-"), ex.Began, ex.Ran
	}
	e.exit, e.signal = exitOf(o)
	return e
}

// output returns the result of a task that is done, else its standard output.
func output(o client.Outcome) []byte {
	if o.Err == nil && o.State.Phase == task.Done {
		return o.State.Text
	}
	return o.State.Stdout
}

// exitOf returns a command's exit status and the number of the signal that ended it. As in
// GNU parallel the status is 0 beside a signal. A failure without either has status -1.
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

// inOneLine makes a text fit for a column.
func inOneLine(text []byte) string {
	return strings.ReplaceAll(printable.Line(string(text)), "\t", `\t`)
}

func (e entry) failed() bool { return e.exit != 0 || e.signal != 0 }

func (e entry) String() string {
	return fmt.Sprintf("%d\t%s\t%.3f\t%10.3f\t%d\t%d\t%d\t%d\t%s", e.seq, e.host, float64(e.start.UnixMilli())/1000,
		e.ran.Seconds(), e.send, e.receive, e.exit, e.signal, e.command)
}

// parseEntry reads a line, also one that GNU parallel wrote.
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
