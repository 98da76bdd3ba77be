package web

import (
	"context"
	"errors"
	"time"

	"taskkeeper/internal/member"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	versionsEvery = 2 * time.Second
	mostVersions  = 500 // read at a time
)

// process is the common part of the names of a worker and of its process under /members.
type process struct {
	queue, host string
	pid         int
}

func processOf(name string) process {
	queue, host, pid := task.ParseWorkerName(name)
	return process{queue, host, pid}
}

// followVersions reads the versions of the workers, while this master leads and somebody looks,
// until ctx or the session ends. Znodes under /members do not change: each is read once.
func (p *Page) followVersions(ctx context.Context, s *session.Session) error {
	known := make(map[string]string) // by the names under /members
	for ; ctx.Err() == nil; wait(ctx, versionsEvery) {
		if !p.leader.Leads() || !p.hub.watched() {
			continue
		}
		names, _, err := s.Children(task.MembersDir)
		if errors.Is(err, session.ErrOver) {
			return err
		}
		of, still := make(map[process]string), make(map[string]string)
		var unread []string
		for _, name := range names {
			version, there := known[name]
			switch {
			case there:
				of[processOf(name)], still[name] = version, version
			case len(unread) < mostVersions:
				unread = append(unread, name)
			}
		}
		if len(unread) > 0 {
			if err := readVersions(s, unread, still); err != nil {
				return err
			}
		}
		for _, name := range unread {
			of[processOf(name)] = still[name]
		}
		known = still
		p.mu.Lock()
		p.versions = of
		p.mu.Unlock()
	}
	return nil
}

// readVersions adds the versions of members; "" for one that is gone or may not be read.
func readVersions(s *session.Session, names []string, to map[string]string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = task.MemberPath(name)
	}
	for i, r := range s.GetAll(paths...) {
		if errors.Is(r.Err, session.ErrOver) {
			return r.Err
		}
		to[names[i]] = shown(member.Parse(r.Data).Version)
	}
	return nil
}
