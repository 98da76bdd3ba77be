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
	Cancelled = "cancelled" // revoked, cut off, or the worker was stopped
)

// Worker counts the executions in the slots of a process.
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
			Help:    "How long executions took, by queue and result: done, failed, or cancelled. Its count is the number of executions.",
			Buckets: seconds,
		}, []string{"queue", "result"}),
		waiting: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "task_waiting_seconds",
			Help:    "How long tasks had existed when an execution of them began: from creation by the servers' clock to the beginning by this machine's clock.",
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

// Registered counts a slot that has registered. Call left when the slot has left.
func (m *Worker) Registered(queue string) (left func()) {
	if m == nil {
		return func() {}
	}
	g := m.slots.WithLabelValues(m.queues.label(queue))
	m.busy.WithLabelValues(m.queues.label(queue)) // created with the value 0
	g.Inc()
	m.registered.Add(1)
	return func() {
		g.Dec()
		m.registered.Add(-1)
	}
}

// Ready fails while no slot is registered.
func (m *Worker) Ready() error {
	if m.registered.Load() == 0 {
		return errors.New("no slot has a znode under " + task.WorkersDir)
	}
	return nil
}

// Began counts an execution that begins, of a task created at created. Call ended with the result
// when the execution has ended.
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
