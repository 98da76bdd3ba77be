package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// usage is the processor time of each kind of process so far.
type usage map[string]time.Duration

// kinds in the order of a task's way.
var kinds = []string{"client", "server", "master", "worker"}

// usage adds up what the programs at the site have taken. Of a server that is not
// ours nothing is known. Where there is no /proc it is empty.
func (s *site) usage() usage {
	u := make(usage)
	for _, m := range s.members {
		if d, err := processorTime(m.Pid()); err == nil {
			u[m.name] += d
		}
	}
	if s.rig.server != nil {
		var pid int
		text, _ := os.ReadFile(filepath.Join(filepath.Dir(s.rig.server.DataDir()), "pid"))
		if _, err := fmt.Sscan(string(text), &pid); err == nil {
			if d, err := processorTime(pid); err == nil {
				u["server"] = d
			}
		}
	}
	return u
}

// since is what each kind of process has taken for each task.
func (u usage) since(before usage, tasks int) (out []sample) {
	for _, kind := range kinds {
		if d := u[kind] - before[kind]; d > 0 {
			out = append(out, took("processor time a task, "+kind, d/time.Duration(tasks)))
		}
	}
	return out
}

// clockTick is what /proc counts in, on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processorTime is what a process has taken so far.
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

// parseStat reads "pid (name) state …", where the name may hold anything; utime
// and stime are the 14th and the 15th field.
func parseStat(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%d fields behind the name", len(fields))
	}
	var user, system int64
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		return 0, err
	}
	return time.Duration(user+system) * clockTick, nil
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
