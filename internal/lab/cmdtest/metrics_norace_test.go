//go:build !race

package cmdtest

import (
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectMetrics(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("tell_that_ZooKeeper_is_away_and_count_the_connection_that_is_found_again", func(t *testing.T) {
		server := zktest.NewServer(t, zktest.Options{})
		svc := newServiceOn(t, server, "/metrics")
		svc.timeout = "20s"
		leader := svc.watched("master")
		programs := []watched{leader, svc.watched("worker"), svc.watched("master")}
		leader.counts(map[string]float64{`workers{queue="(default)",state="free"}`: 1})
		server.Kill()
		for _, p := range programs {
			p.answers("/readyz", 503, "no connection to ZooKeeper for ")
			p.answers("/healthz", 200, "ok") // to start it again would not help
			p.counts(map[string]float64{"zookeeper_connected": 0, "zookeeper_sessions_total": 1})
		}
		leader.counts(map[string]float64{"is_leader": 1, "leader_answers": 0, `workers{queue="(default)",state="free"}`: -1})
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			p.answers("/readyz", 200, "ok")
			p.counts(map[string]float64{"zookeeper_connected": 1, "zookeeper_sessions_total": 1, "zookeeper_reconnects_total": 1})
		}
		leader.counts(map[string]float64{"leader_answers": 1, `workers{queue="(default)",state="free"}`: 1, "leader_turn_seconds": 0})
	})
	t.Run("count_the_session_after_one_that_expired", func(t *testing.T) {
		svc := start(t)
		svc.timeout = "20s"
		leader := svc.watched("master")
		leader.counts(map[string]float64{"is_leader": 1})
		zktest.Expire(t, svc.root, owner(t, svc.manual, "/master/"+svc.manual.Children("/master")[0]))
		leader.counts(map[string]float64{
			"is_leader": 1, "elections_total": 2, "zookeeper_connected": 1, "zookeeper_sessions_total": 2, "zookeeper_reconnects_total": 0,
		})
		leader.answers("/readyz", 200, "ok")
	})
}
