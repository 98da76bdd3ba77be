package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// usage is what processes and the machine have used since they were started. A figure that
// cannot be read is 0, as are those of the servers of a running installation.
type usage struct {
	processor map[string]time.Duration // by the kind of process
	requests  int                      // that the server has received
	switches  int                      // of context, on the whole machine
	idle, all float64                  // seconds of all processors
}

// kinds are the kinds of processes, in the order of a task's way. The bench itself counts
// only while it makes the bare calls.
var kinds = []string{"bench", "client", "server", "master", "worker"}

// usage reads what the server and the programs have used so far.
func (s *service) usage() usage {
	u := usage{processor: make(map[string]time.Duration)}
	for _, p := range s.programs {
		u.processor[p.name] += processorTime(p.Pid())
	}
	if len(s.programs) == 0 {
		u.processor["bench"] = processorTime(os.Getpid())
	}
	if s.on.own != nil {
		u.processor["server"] = processorTime(s.on.own.Pid())
		answer, _ := s.on.own.Ask("srvr")
		u.requests = parseReceived(answer)
	}
	u.switches, u.idle, u.all = machine()
	return u
}

// since returns what each of some tasks has used. Suffix ends the names of the figures.
func (u usage) since(before usage, tasks int, suffix string) (out []sample) {
	if tasks == 0 {
		return nil
	}
	sum := time.Duration(0)
	for _, kind := range kinds {
		if d := u.processor[kind] - before.processor[kind]; d > 0 {
			out = append(out, took("processor time a task, "+kind+suffix, d/time.Duration(tasks)))
			sum += d
		}
	}
	if sum > 0 {
		out = append(out, took("processor time a task, in all"+suffix, sum/time.Duration(tasks)))
	}
	if n := u.requests - before.requests; n > 0 {
		out = append(out, sample{what: "requests a task" + suffix, unit: requests, value: float64(n) / float64(tasks)})
	}
	if n := u.switches - before.switches; n > 0 {
		out = append(out, sample{what: "context switches a task" + suffix, unit: switches, value: float64(n) / float64(tasks)})
	}
	if all := u.all - before.all; all > 0 {
		out = append(out, sample{what: "processors idle" + suffix, unit: percent, value: 100 * (u.idle - before.idle) / all})
	}
	return out
}

// parseReceived finds the number of requests in a server's answer to srvr.
func parseReceived(answer string) (n int) {
	_, rest, _ := strings.Cut(answer, "\nReceived: ")
	fmt.Sscan(rest, &n) // 0 without an answer
	return n
}

// machine returns how often the processors have changed from one thread to another, for how
// many seconds they were idle, and how many have passed.
func machine() (switches int, idle, all float64) {
	proc, _ := procfs.NewDefaultFS()
	stat, _ := proc.Stat()
	c := stat.CPUTotal
	idle = c.Idle + c.Iowait
	return int(stat.ContextSwitches), idle, idle + c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal
}

// processorTime returns the processor time of a process.
func processorTime(pid int) time.Duration {
	process, _ := procfs.NewProc(pid)
	stat, _ := process.Stat()
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

// mostMemory returns the most memory that a process has held, in MB.
func mostMemory(pid int) (float64, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := process.NewStatus()
	return float64(status.VmHWM) / 1e6, err
}

// loadAverage returns how many processes used or wanted a processor within the last minute.
func loadAverage() float64 {
	proc, _ := procfs.NewDefaultFS()
	load, err := proc.LoadAvg()
	if err != nil {
		return 0
	}
	return load.Load1
}
