package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Master counts what a master does.
type Master struct {
	queues      queues
	elections   prometheus.Counter
	assignments *prometheus.CounterVec
	losses      *prometheus.CounterVec
	fenced      prometheus.Counter
	listings    *prometheus.HistogramVec
	listed      *prometheus.GaugeVec
}

// NewMaster registers what a Master counts.
func NewMaster(r prometheus.Registerer) *Master {
	f := promauto.With(r)
	m := &Master{
		elections: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "elections_total",
			Help: "Elections that this process has won.",
		}),
		assignments: f.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "assignments_total",
			Help: "Tasks that this process has assigned to workers, as the leader.",
		}, []string{"queue"}),
		losses: f.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "losses_total",
			Help: "Executions that were lost with their workers and that this process found as the leader.",
		}, []string{"queue"}),
		fenced: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "fenced_writes_total",
			Help: "Writes that ZooKeeper refused because this process did not lead any more.",
		}),
		listings: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "listing_duration_seconds",
			Help:    "How long the leader's listings of /tasks and /workers took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14), // up to 8 s
		}, []string{"znode"}),
		listed: f.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "listed",
			Help: "Children that the leader's last listing of /tasks and /workers found.",
		}, []string{"znode"}),
	}
	m.knows("")
	return m
}

// knows creates the losses of a queue with the value 0: Prometheus sees no increase in a counter
// that begins with 1. It returns the queue's label.
func (m *Master) knows(queue string) (label string) {
	label = m.queues.label(queue)
	m.losses.WithLabelValues(label)
	return label
}

// Elected counts an election won.
func (m *Master) Elected() {
	if m != nil {
		m.elections.Inc()
	}
}

// Resigned records that this process no longer leads.
func (m *Master) Resigned() {
	if m != nil {
		m.listed.Reset()
	}
}

// Assigned counts an assignment of a task.
func (m *Master) Assigned(queue string) {
	if m != nil {
		m.assignments.WithLabelValues(m.queues.label(queue)).Inc()
	}
}

// Lost counts an execution that was lost with its worker.
func (m *Master) Lost(queue string) {
	if m != nil {
		m.losses.WithLabelValues(m.queues.label(queue)).Inc()
	}
}

// Fenced counts a write that was refused because another master leads.
func (m *Master) Fenced() {
	if m != nil {
		m.fenced.Inc()
	}
}

// Listed counts a listing.
func (m *Master) Listed(znode string, children int, took time.Duration) {
	if m != nil {
		m.listings.WithLabelValues(znode).Observe(took.Seconds())
		m.listed.WithLabelValues(znode).Set(float64(children))
	}
}

// Queue is what a leader knows of a queue.
type Queue struct {
	Name    string
	Tasks   map[string]int // by state
	Workers map[string]int // by state
	Oldest  time.Duration  // age of the oldest pending task; 0: none is pending
}

// View answers the questions of a scrape.
type View interface {
	Leads() bool
	// Turn is how long the loop has been in one turn.
	Turn() time.Duration
	// Queues fails if the master does not lead, or does not answer before ctx ends.
	Queues(ctx context.Context) ([]Queue, error)
}

// patience is how long a scrape waits for the leader.
const patience = time.Second

// leader collects the values of a View.
type leader struct {
	master                                       *Master
	view                                         View
	leads, turn, answers, tasks, workers, oldest *prometheus.Desc
}

// Watch registers the values of the view, which each scrape asks for.
func (m *Master) Watch(r prometheus.Registerer, view View) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	r.MustRegister(&leader{
		master: m, view: view,
		leads:   desc("is_leader", "1 if this process leads, as far as it knows, else 0. While it has no connection to ZooKeeper another one may lead."),
		turn:    desc("leader_turn_seconds", "How long the present turn of the leader's loop has taken. A turn takes milliseconds; while ZooKeeper is away it does not end."),
		answers: desc("leader_answers", "1 if the leader answered about tasks and workers, 0 if it did not answer within a second. Leader only."),
		tasks:   desc("tasks", "Tasks by state, as the leader knows them: pending, running (in a worker's list), done or failed and not collected, malformed. Leader only.", "queue", "state"),
		workers: desc("workers", "Workers (slots) by state, as the leader knows them: free, busy; draining counts those of both that are draining. Leader only.", "queue", "state"),
		oldest:  desc("oldest_pending_age_seconds", "Age of the oldest pending task, by its client's clock; 0 if none is pending. Leader only.", "queue"),
	})
}

// Describe implements prometheus.Collector.
func (l *leader) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.leads, l.turn, l.answers, l.tasks, l.workers, l.oldest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (l *leader) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	flag := map[bool]float64{true: 1}
	leads := l.view.Leads()
	gauge(l.leads, flag[leads])
	gauge(l.turn, l.view.Turn().Seconds())
	if !leads {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	queues, err := l.view.Queues(ctx)
	gauge(l.answers, flag[err == nil])
	for _, q := range l.merged(queues) {
		for state, n := range q.Tasks {
			gauge(l.tasks, float64(n), q.Name, state)
		}
		for state, n := range q.Workers {
			gauge(l.workers, float64(n), q.Name, state)
		}
		gauge(l.oldest, q.Oldest.Seconds(), q.Name)
	}
}

// merged adds up the queues that share a label.
func (l *leader) merged(queues []Queue) map[string]Queue {
	there := make(map[string]bool, len(queues))
	for _, q := range queues {
		there[q.Name] = true
	}
	for _, gone := range l.master.queues.trim(there) {
		l.master.losses.DeleteLabelValues(gone)
		l.master.assignments.DeleteLabelValues(gone)
	}
	byLabel := make(map[string]Queue)
	for _, q := range queues {
		label := l.master.knows(q.Name)
		sum, there := byLabel[label]
		if !there {
			sum = Queue{Name: label, Tasks: make(map[string]int), Workers: make(map[string]int)}
		}
		for state, n := range q.Tasks {
			sum.Tasks[state] += n
		}
		for state, n := range q.Workers {
			sum.Workers[state] += n
		}
		sum.Oldest = max(sum.Oldest, q.Oldest)
		byLabel[label] = sum
	}
	return byLabel
}
