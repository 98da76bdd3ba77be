package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
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
	switches   int // of context
	idle, time int // of all processors, in ticks
}

// kinds in the order of a task's way; the bench is what makes the floor's calls.
var kinds = []string{"bench", "client", "server", "master", "worker"}

// usage adds up what the programs at the site have taken. Of a server that is not
// ours nothing is known. Where there is no /proc it is empty.
func (s *site) usage() usage {
	u := usage{processor: make(map[string]time.Duration)}
	if stat, err := os.ReadFile("/proc/stat"); err == nil {
		u.machine = parseMachine(string(stat))
	}
	add := func(kind string, pid int) {
		if d, err := processorTime(pid); err == nil {
			u.processor[kind] += d
		}
	}
	for _, m := range s.members {
		add(m.name, m.Pid())
	}
	if len(s.members) == 0 {
		add("bench", os.Getpid())
	}
	if s.rig.server != nil {
		add("server", s.rig.server.Pid())
		answer, _ := s.rig.server.Srvr()
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
		out = append(out, sample{what: "processors idle" + which, unit: percent, value: 100 * float64(u.machine.idle-before.machine.idle) / float64(n)})
	}
	return out
}

// parseMachine reads /proc/stat: its first line is what all processors have done, in ticks:
// user, nice, system, idle, iowait, irq, softirq, steal, and what those hold already.
func parseMachine(stat string) (m machine) {
	for line := range strings.Lines(stat) {
		switch f := strings.Fields(line); {
		case len(f) > 8 && f[0] == "cpu":
			for i, field := range f[1:9] {
				n, _ := strconv.Atoi(field)
				m.time += n
				if i == 3 || i == 4 {
					m.idle += n
				}
			}
		case len(f) == 2 && f[0] == "ctxt":
			m.switches, _ = strconv.Atoi(f[1])
		}
	}
	return m
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

// processorTime is what a process has taken so far.
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	own, _, err := parseStat(stat)
	return own, err
}

// parseStat reads "pid (name) state …", where the name may hold anything; utime
// and stime are the 14th and the 15th field, and the next two are those of the children
// that it has waited for, with theirs.
func parseStat(stat []byte) (own, waited time.Duration, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("%d fields behind the name", len(fields))
	}
	var ticks [4]int64
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(string(fields[11+i]), 10, 64); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(ticks[0]+ticks[1]) * clockTick, time.Duration(ticks[2]+ticks[3]) * clockTick, nil
}

// memoryOf is what a process holds in memory, and held at most so far, in MB.
func memoryOf(pid int) (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	now, most = parseMemory(string(text))
	if now == 0 {
		return 0, 0, fmt.Errorf("/proc/%d/status tells no VmRSS", pid)
	}
	return now, most, nil
}

func parseMemory(status string) (now, most float64) {
	for line := range strings.Lines(status) {
		var kB float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kB); n == 1 {
			now = kB * 1024 / 1e6
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kB); n == 1 {
			most = kB * 1024 / 1e6
		}
	}
	return now, most
}
