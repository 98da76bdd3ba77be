package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
)

func TestRecoveries(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	log := []harness.Event{
		{From: "worker-1", Msg: "registered", Worker: "w1", Time: at(1)},
		{From: "worker-2", Msg: "registered", Worker: "w2", Time: at(2)},
		{From: "master-1", Msg: "assigned", Task: "a", Worker: "w1", Time: at(10)},
		{From: "master-1", Msg: "assigned", Task: "b", Worker: "w2", Time: at(11)},
		{From: "worker-2", Msg: "task done", Task: "b", Worker: "w2", Time: at(20)},
		// 30: something happens
		{From: "master-2", Msg: "assigned again, lost with its worker", Task: "a", Worker: "w2", Time: at(50)},
		{From: "master-2", Msg: "assigned", Task: "c", Worker: "w2", Time: at(40)}, // heard late
	}
	for name, tc := range map[string]struct {
		hit  hit
		want string
	}{
		"of_the_leader_ends_with_the_next_assignment": {
			hit{fault: fault{target: leader, kind: kill}, name: "master-1", led: true, began: at(30)}, "the leader: SIGKILL [10ms]"},
		"of_the_leader_hit_as_a_mere_master": {
			hit{fault: fault{target: masters, kind: stop, lasts: time.Minute}, name: "master-1", led: true, began: at(30)},
			"the leader: SIGSTOP, longer than the session timeout [10ms]"},
		"of_a_backup_takes_no_time": {hit{fault: fault{target: masters, kind: kill}, name: "master-2", began: at(30)}, ""},
		"of_a_worker_ends_with_the_new_assignment_of_its_task": {
			hit{fault: fault{target: workers, kind: cut, lasts: time.Second}, name: "worker-1", began: at(30)},
			"a worker: cut off, shorter than the session timeout [20ms]"},
		"of_a_worker_that_had_finished_takes_no_time": {hit{fault: fault{target: workers, kind: kill}, name: "worker-2", began: at(30)}, ""},
		"of_the_server_is_told_apart_from_its_return": {
			hit{fault: fault{target: server, kind: kill}, name: "server", began: at(15), served: at(36)},
			"the server itself, until it answers: SIGKILL [21ms], the server's return: SIGKILL [4ms]"},
		"that_never_came_counts_nothing": {hit{fault: fault{target: leader, kind: kill}, name: "master-2", led: true, began: at(60)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var all []string
			for _, r := range recoveries([]hit{tc.hit}, log) {
				all = append(all, fmt.Sprint(r.what, " ", r.times))
			}
			if got := strings.Join(all, ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("median_and_worst", func(t *testing.T) {
		r := recovery{times: []time.Duration{5, 1, 9}}
		if r.median() != 5 || r.worst() != 9 || !slices.Equal(r.times, []time.Duration{5, 1, 9}) {
			t.Errorf("%d %d %d", r.median(), r.worst(), r.times)
		}
	})
}
