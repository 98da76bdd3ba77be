//go:build !race

package history

import (
	"time"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

const (
	// brief is long enough for a cut off session to have done something, and
	// short enough for many cases.
	brief = 3 * time.Second
	// wary is such that a client which noticed a silence, after two thirds of it,
	// has two seconds to come back.
	wary = 6 * time.Second
)

// form is how a call fails.
type form struct {
	name    string
	timeout time.Duration // of the sessions of the role at fault
	done    bool          // the call is carried out
	unknown bool          // its session goes on, and nobody told it whether it was
	ends    bool          // its session is over before the fault is

	// arm lays the fault; last waits until the call is there, and returns when
	// the fault is over.
	arm func(s *service, call zktest.Match) (last func(meanwhile func()))
}

var forms = []form{
	{name: "request_lost", timeout: calm, unknown: true, arm: cut((*zktest.Proxy).CutBefore)},
	{name: "reply_lost", timeout: calm, done: true, unknown: true, arm: cut((*zktest.Proxy).CutAfter)},
	{name: "request_lost_and_refused_until_the_session_is_over", timeout: brief, ends: true, arm: refused(false)},
	{name: "reply_lost_and_refused_until_the_session_is_over", timeout: brief, ends: true, done: true, arm: refused(true)},
	{name: "silence_for_a_moment", timeout: calm, done: true, arm: silence(true, (*service).aMoment)},
	{name: "silence_before_it_until_that_is_noticed", timeout: wary, unknown: true, arm: silence(false, (*service).noticed)},
	{name: "silence_after_it_until_that_is_noticed", timeout: wary, done: true, unknown: true, arm: silence(true, (*service).noticed)},
	{name: "silence_before_it_until_the_session_is_over", timeout: brief, ends: true, arm: silence(false, (*service).over)},
	{name: "silence_after_it_until_the_session_is_over", timeout: brief, ends: true, done: true, arm: silence(true, (*service).over)},
	{name: "slow", timeout: calm, done: true, arm: slow},
}

func cut(at func(*zktest.Proxy, zktest.Op, int, ...zktest.Match) <-chan struct{}) func(*service, zktest.Match) func(func()) {
	return func(s *service, call zktest.Match) func(func()) {
		met := at(s.proxy, zktest.OpMulti, 1, call)
		return func(meanwhile func()) {
			s.wait("the call", met)
			meanwhile()
		}
	}
}

// refused is a connection that is lost and cannot be had again.
func refused(done bool) func(*service, zktest.Match) func(func()) {
	return func(s *service, call zktest.Match) func(func()) {
		var met <-chan struct{}
		release := func() {}
		if done {
			met = s.proxy.RefuseAfter(zktest.OpMulti, 1, call)
		} else {
			met, release = s.proxy.Hold(zktest.OpMulti, 1, call)
		}
		return func(meanwhile func()) {
			s.wait("the call", met)
			s.proxy.Refuse(true)
			release()
			meanwhile()
			s.over(s.session())
			s.proxy.Refuse(false)
		}
	}
}

// silence is a connection that is there, and passes nothing. What is not to be
// done stays in it: the server closes it when the session comes back by another,
// or is over.
func silence(done bool, until func(*service, *session.Session)) func(*service, zktest.Match) func(func()) {
	return func(s *service, call zktest.Match) func(func()) {
		met, release := s.proxy.Hold(zktest.OpMulti, 1, call)
		return func(meanwhile func()) {
			s.wait("the call", met)
			s.proxy.Blackhole(true)
			if done {
				release()
			}
			meanwhile()
			until(s, s.session())
			s.proxy.Blackhole(false)
		}
	}
}

// aMoment is too short for anybody to notice.
func (s *service) aMoment(*session.Session) { <-time.After(300 * time.Millisecond) }

// slow is a distant server, from the call on until the end.
func slow(s *service, call zktest.Match) func(func()) {
	s.proxy.Delay(60 * time.Millisecond)
	met, release := s.proxy.Hold(zktest.OpMulti, 1, call)
	return func(meanwhile func()) {
		s.wait("the call", met)
		release()
		meanwhile()
	}
}
