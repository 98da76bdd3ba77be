package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"taskkeeper/internal/stage"
)

func workerFails(p *play) error {
	if err := p.start("master-1", "master", "leader"); err != nil {
		return err
	}
	if err := p.start("worker-1", "worker", "registered"); err != nil {
		return err
	}
	// Before it executes: it is dead when the task comes.
	if _, err := p.send("worker-1", syscall.SIGKILL); err != nil {
		return err
	}
	submitted := time.Now()
	if err := p.enter("client-1", "client", "run", "0.5"); err != nil {
		return err
	}
	p.tell(submitted, "client-1", "submits a task of 0.5 s")
	if _, err := p.see(submitted, did("master", "worker gone, its tasks are free again")); err != nil {
		return err
	}
	if err := p.start("worker-2", "worker", "registered"); err != nil {
		return err
	}
	if _, err := p.see(submitted, did("worker-2", "task done")); err != nil {
		return err
	}
	if err := p.st.Exit(p.ctx, "client-1", 0); err != nil {
		return err
	}
	p.check(p.st.Results() == 1, "the client has its result, after the worker came back")

	// While it executes.
	since := time.Now()
	if err := p.enter("client-2", "client", "run", "1"); err != nil {
		return err
	}
	p.tell(since, "client-2", "submits a task of 1 s")
	begun, err := p.see(since, did("worker-2", "task started"))
	if err != nil {
		return err
	}
	killed, err := p.send("worker-2", syscall.SIGKILL)
	if err != nil {
		return err
	}
	if err := p.start("worker-3", "worker", "registered"); err != nil {
		return err
	}
	again, err := p.see(killed, assigned(begun.Task))
	if err != nil {
		return err
	}
	if err := p.st.Exit(p.ctx, "client-2", 0); err != nil {
		return err
	}
	p.within("the task was assigned again after SIGKILL", again.Time.Sub(killed), afterKill)
	p.check(p.st.Results() == 2, "both tasks have one result each")
	return nil
}

func clientFails(p *play) error {
	if err := p.start("master-1", "master", "leader"); err != nil {
		return err
	}
	// Before its task is executed: there is no worker yet.
	if err := p.start("client-1", "client", "connected", "run", "1"); err != nil {
		return err
	}
	if err := p.tasks(1); err != nil {
		return err
	}
	killed, err := p.send("client-1", syscall.SIGKILL)
	if err != nil {
		return err
	}
	if err := p.tasks(0); err != nil {
		return err
	}
	p.within("its task has vanished after SIGKILL", time.Since(killed), afterKill)
	if err := p.start("worker-1", "worker", "registered"); err != nil {
		return err
	}
	// While it is executed.
	since := time.Now()
	if err := p.start("client-2", "client", "connected", "run", "3600"); err != nil {
		return err
	}
	if _, err := p.see(since, did("worker-1", "task started")); err != nil {
		return err
	}
	killed, err = p.send("client-2", syscall.SIGKILL)
	if err != nil {
		return err
	}
	ended, err := p.see(killed, did("worker-1", "task was taken away, cancelling it"))
	if err != nil {
		return err
	}
	p.within("the execution was cancelled after SIGKILL", ended.Time.Sub(killed), afterKill)
	// The worker is free for others.
	if err := p.enter("client-3", "client", "run", "0.1"); err != nil {
		return err
	}
	if err := p.st.Exit(p.ctx, "client-3", 0); err != nil {
		return err
	}
	p.check(p.st.Results() == 1, "another client has its result from the same worker")
	return nil
}

func oneOfTwoWorkersFails(p *play) error {
	if err := p.start("master-1", "master", "leader"); err != nil {
		return err
	}
	for _, w := range []string{"worker-1", "worker-2"} {
		if err := p.start(w, "worker", "registered"); err != nil {
			return err
		}
	}
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		client := fmt.Sprintf("client-%d", i+1)
		since := time.Now()
		if err := p.enter(client, "client", "run", "1"); err != nil {
			return err
		}
		begun, err := p.see(since, did("worker", "task started"))
		if err != nil {
			return err
		}
		hit, err := p.send(begun.From, sig)
		if err != nil {
			return err
		}
		again, err := p.see(hit, assigned(begun.Task))
		if err != nil {
			return err
		}
		if _, err := p.see(hit, func(e stage.Event) bool { return e.Msg == "task done" && e.Task == begun.Task }); err != nil {
			return err
		}
		if err := p.st.Exit(p.ctx, client, 0); err != nil {
			return err
		}
		bound, what := afterKill, "after SIGKILL"
		if sig == syscall.SIGTERM {
			bound, what = afterTerm, "after SIGTERM"
		}
		p.within("the task was assigned to the other worker "+what, again.Time.Sub(hit), bound)
		if err := p.start(fmt.Sprintf("worker-%d", i+3), "worker", "registered"); err != nil {
			return err
		}
	}
	p.check(p.st.Results() == 2, "both tasks have one result each")
	return nil
}

func compete(p *play) error {
	const each = 20
	if err := p.start("master-1", "master", "leader"); err != nil {
		return err
	}
	for _, w := range []string{"worker-1", "worker-2"} {
		if err := p.start(w, "worker", "registered"); err != nil {
			return err
		}
	}
	began := time.Now()
	for _, c := range []string{"client-1", "client-2"} {
		args := []string{"run"}
		for range each {
			args = append(args, "0.1")
		}
		if err := p.enter(c, "client", args...); err != nil {
			return err
		}
		p.tell(time.Now(), c, "submits %d tasks of 0.1 s", each)
	}
	for _, c := range []string{"client-1", "client-2"} {
		if err := p.st.Exit(p.ctx, c, 0); err != nil {
			return err
		}
		p.tell(time.Now(), c, "has all its results")
	}
	took := time.Since(began)
	share := map[string]int{}
	for _, e := range p.st.Events() {
		if e.Msg == "task done" {
			share[e.From]++
		}
	}
	p.check(share["worker-1"]+share["worker-2"] == 2*each, "tasks executed: %d by worker-1, %d by worker-2", share["worker-1"], share["worker-2"])
	p.check(share["worker-1"] >= each/2 && share["worker-2"] >= each/2, "both workers had a good share")
	p.check(p.st.Twice() == 0, "executions begun again: %d", p.st.Twice())
	p.check(p.st.Results() == 2*each, "results: %d of %d", p.st.Results(), 2*each)
	p.check(took < each*2*100*time.Millisecond, "both worked at the same time: %d ms for %d tasks of 100 ms", took.Milliseconds(), 2*each)
	return nil
}

func masterFails(p *play) error {
	for i, ready := range []string{"leader", "backup"} {
		if err := p.start(fmt.Sprintf("master-%d", i+1), "master", ready); err != nil {
			return err
		}
	}
	for _, w := range []string{"worker-1", "worker-2"} {
		if err := p.start(w, "worker", "registered", "--slots", "2"); err != nil {
			return err
		}
	}
	const each = 60
	for _, c := range []string{"client-1", "client-2"} {
		if err := p.enter(c, "client", "--count", fmt.Sprint(each), "--max-sleep", "0.2s"); err != nil {
			return err
		}
		p.tell(time.Now(), c, "begins %d tasks of up to 0.2 s, one after the other", each)
	}
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.st.Finished(p.ctx, each/2*(i+1)); err != nil {
			return err
		}
		leader := p.st.Leader()
		hit, err := p.send(leader, sig)
		if err != nil {
			return err
		}
		elected, err := p.see(hit, did("master", "leader"))
		if err != nil {
			return err
		}
		first, err := p.see(elected.Time, assigned(""))
		if err != nil {
			return err
		}
		p.check(elected.From != leader && strings.HasPrefix(first.From, elected.From), "%s took over", elected.From)
		bound, what := afterTerm, "SIGTERM"
		if sig == syscall.SIGKILL {
			bound, what = afterKill, "SIGKILL"
		}
		p.within("a new leader after "+what, elected.Time.Sub(hit), bound)
		p.tell(first.Time, "", "first assignment %d ms after the signal; the tasks under way take up to 200 ms", first.Time.Sub(hit).Milliseconds())
		if i == 0 {
			if err := p.start("master-3", "master", "backup"); err != nil {
				return err
			}
		}
	}
	for _, c := range []string{"client-1", "client-2"} {
		if err := p.st.Exit(p.ctx, c, 0); err != nil {
			return err
		}
	}
	p.check(p.st.Results() == 2*each, "results: %d of %d", p.st.Results(), 2*each)
	p.check(p.st.Twice() == 0, "executions begun again: %d", p.st.Twice())
	return nil
}
