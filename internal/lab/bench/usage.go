package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// usage is what tasks have cost so far: the processor time of each kind of process,
// how many packets the server was sent, and what the whole machine has done.
type usage struct {
	processor map[string]time.Duration
	packets   int
	machine   machine
}

// machine is what its processors have done since it was started.
type machine struct {
	switches   int     // of context
	idle, time float64 // of all processors, in seconds
}

// kinds in the order of a task's way; the bench is what makes the floor's calls.
var kinds = []string{"bench", "client", "server", "master", "worker"}

// usage adds up what the programs at the site have taken. Of a server that is not
// ours nothing is known. Where there is no /proc it is empty.
func (s *site) usage() usage {
	u := usage{processor: make(map[string]time.Duration)}
	u.machine = readMachine()
	add := func(kind string, pid int) {
		own, _ := processorTime(pid) // 0 where it is not known
		u.processor[kind] += own
	}
	for _, m := range s.members {
		add(m.name, m.Pid())
	}
	if len(s.members) == 0 {
		add("bench", os.Getpid())
	}
	if s.rig.server != nil {
		add("server", s.rig.server.Pid())
		answer, _ := s.rig.server.Ask("srvr")
		u.packets = parseReceived(answer)
	}
	return u
}

// since is what each task has cost; which says of which tasks.
func (u usage) since(before usage, tasks int, which string) (out []sample) {
	if tasks == 0 {
		return nil
	}
	all := time.Duration(0)
	for _, kind := range kinds {
		if d := u.processor[kind] - before.processor[kind]; d > 0 {
			out = append(out, took("processor time a task, "+kind+which, d/time.Duration(tasks)))
			all += d
		}
	}
	if all > 0 {
		out = append(out, took("processor time a task, in all"+which, all/time.Duration(tasks)))
	}
	if n := u.packets - before.packets; n > 0 {
		out = append(out, sample{what: "requests a task" + which, unit: requests, value: float64(n) / float64(tasks)})
	}
	if n := u.machine.switches - before.machine.switches; n > 0 {
		out = append(out, sample{what: "context switches a task" + which, unit: switches, value: float64(n) / float64(tasks)})
	}
	if n := u.machine.time - before.machine.time; n > 0 {
		out = append(out, sample{what: "processors idle" + which, unit: percent, value: 100 * (u.machine.idle - before.machine.idle) / n})
	}
	return out
}

// readMachine is what the machine has done so far; nothing where there is no /proc.
func readMachine() (m machine) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return m
	}
	stat, err := proc.Stat()
	if err != nil {
		return m
	}
	c := stat.CPUTotal
	idle := c.Idle + c.Iowait
	return machine{int(stat.ContextSwitches), idle, idle + c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal}
}

// parseReceived finds in a server's answer to srvr how many packets it was sent.
func parseReceived(answer string) (n int) {
	for line := range strings.Lines(answer) {
		if k, _ := fmt.Sscanf(line, "Received: %d", &n); k == 1 {
			return n
		}
	}
	return 0
}

// clockTick is what /proc counts in, on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processorTime is what a process has taken so far, and what the children have taken that
// it has waited for, with theirs.
func processorTime(pid int) (own, waited time.Duration) {
	stat := statOf(pid)
	return time.Duration(stat.UTime+stat.STime) * clockTick, time.Duration(stat.CUTime+stat.CSTime) * clockTick
}

// statOf is /proc/PID/stat; its zero value when the process is gone, or there is no /proc.
func statOf(pid int) procfs.ProcStat {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}
	}
	stat, _ := p.Stat()
	return stat
}

// memoryOf is what a process holds in memory, and held at most so far, in MB.
func memoryOf(pid int) (now, most float64, err error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, 0, err
	}
	status, err := p.NewStatus()
	return float64(status.VmRSS) / 1e6, float64(status.VmHWM) / 1e6, err
}

// ownMemory is the share of the resident memory that a process would free, in MB: pages of
// the program that several processes have count in parts.
func ownMemory(pid int) (float64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	rollup, err := p.ProcSMapsRollup()
	return float64(rollup.Pss) / 1e6, err
}

// children are those of a process that live.
func children(pid int) (pids []int) {
	all, _ := procfs.AllProcs()
	for _, p := range all {
		if stat := statOf(p.PID); stat.PPID == pid && stat.State != "Z" {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// withChildren is the processor time of a process and its children, with what these have
// waited for.
func withChildren(pid int) (sum time.Duration) {
	for _, p := range append(children(pid), pid) {
		own, waited := processorTime(p)
		sum += own + waited
	}
	return sum
}
