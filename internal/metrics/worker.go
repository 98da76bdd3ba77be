package metrics

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"taskkeeper/internal/task"
)

// Results of an execution.
const (
	Done      = "done"
	Failed    = "failed"
	Cancelled = "cancelled" // taken away, cut off, or the worker was told to stop
)

// Worker counts what the slots of a process execute.
type Worker struct {
	queues     queues
	executions *prometheus.HistogramVec
	waiting    *prometheus.HistogramVec
	slots      *prometheus.GaugeVec
	busy       *prometheus.GaugeVec
	registered atomic.Int64 // slots
}

// seconds are the buckets of times that tasks take: from 1 ms to 3 h.
var seconds = []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800}

// NewWorker registers what a Worker counts.
func NewWorker(r prometheus.Registerer) *Worker {
	f := promauto.With(r)
	return &Worker{
		executions: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "execution_duration_seconds",
			Help:    "How long executions took, by queue and result: done, failed, or cancelled. Its count is that of executions.",
			Buckets: seconds,
		}, []string{"queue", "result"}),
		waiting: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "task_waiting_seconds",
			Help:    "How long tasks had been there when an execution of them began: from the servers' clock to this machine's.",
			Buckets: seconds,
		}, []string{"queue"}),
		slots: f.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "slots",
			Help: "Slots of this process that are registered as workers.",
		}, []string{"queue"}),
		busy: f.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "slots_busy",
			Help: "Slots of this process that execute a task.",
		}, []string{"queue"}),
	}
}

// Registered says that a slot has registered. Call what it returns when it has left.
func (m *Worker) Registered(queue string) (left func()) {
	if m == nil {
		return func() {}
	}
	g := m.slots.WithLabelValues(m.queues.label(queue))
	m.busy.WithLabelValues(m.queues.label(queue)) // so that it is there, as 0
	g.Inc()
	m.registered.Add(1)
	return func() {
		g.Dec()
		m.registered.Add(-1)
	}
}

// Ready fails while no slot has registered.
func (m *Worker) Ready() error {
	if m.registered.Load() == 0 {
		return errors.New("no slot has a znode under " + task.WorkersDir)
	}
	return nil
}

// Began says that an execution begins, of a task created then. Call what it returns with its
// result when it has ended.
func (m *Worker) Began(queue string, created time.Time) (ended func(result string)) {
	if m == nil {
		return func(string) {}
	}
	queue = m.queues.label(queue)
	began := time.Now()
	m.waiting.WithLabelValues(queue).Observe(max(0, began.Sub(created).Seconds()))
	busy := m.busy.WithLabelValues(queue)
	busy.Inc()
	return func(result string) {
		busy.Dec()
		m.executions.WithLabelValues(queue, result).Observe(time.Since(began).Seconds())
	}
}
