package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "taskkeeper"

// Session counts what a process asks of ZooKeeper. It is a session.Meter.
type Session struct {
	requests   *prometheus.HistogramVec
	operations *prometheus.CounterVec
	connected  prometheus.Gauge
	sessions   prometheus.Counter
	reconnects prometheus.Counter
}

// NewSession registers what a Session counts.
func NewSession(r prometheus.Registerer) *Session {
	f := promauto.With(r)
	return &Session{
		requests: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "zookeeper_request_duration_seconds",
			Help:    "How long a request to ZooKeeper took until its answer came, by kind. A request whose answer was lost counts as well.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // up to 4 s
		}, []string{"request"}),
		operations: f.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "zookeeper_operations_total",
			Help: "Operations that were sent within multi requests (atomic transactions), by kind, whatever their outcome.",
		}, []string{"operation"}),
		connected: f.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "zookeeper_connected",
			Help: "1 while a session has a connection to a server, else 0.",
		}),
		sessions: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "zookeeper_sessions_total",
			Help: "Sessions begun. More than 1: an earlier session was lost.",
		}),
		reconnects: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "zookeeper_reconnects_total",
			Help: "Reconnects: a connection was lost, and its session goes on with another one.",
		}),
	}
}

// Request counts a request that began at began.
func (m *Session) Request(kind string, began time.Time) {
	m.requests.WithLabelValues(kind).Observe(time.Since(began).Seconds())
}

// Operation counts an operation of a kind in a multi.
func (m *Session) Operation(kind string) {
	m.operations.WithLabelValues(kind).Inc()
}

// Connected counts a connection: the first of a session, or another one.
func (m *Session) Connected(first bool) {
	if first {
		m.sessions.Inc()
	} else {
		m.reconnects.Inc()
	}
	m.connected.Set(1)
}

// Disconnected records that there is no connection now.
func (m *Session) Disconnected() {
	m.connected.Set(0)
}

// Build registers the version of the program.
func Build(r prometheus.Registerer, version string) {
	promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the program's version.",
	}, []string{"version"}).WithLabelValues(version).Set(1)
}
