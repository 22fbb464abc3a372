package measure

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
)

// Metrics holds the metrics for Prometheus. docs/server.md lists them.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge

	runs    *prometheus.CounterVec
	runTook *prometheus.HistogramVec

	upstream *prometheus.CounterVec // requests to registries
	bytes    *prometheus.CounterVec
	retries  *prometheus.CounterVec
	waited   *prometheus.CounterVec
	moved    *prometheus.CounterVec

	mu    sync.Mutex
	hosts map[string]bool
}

// maxHosts is how many registries get their own label. A job may name any registry, and a label is
// never removed, so the number must have a limit.
const maxHosts = 500

// host returns the label of a registry: its name, or "other" after maxHosts registries.
func (m *Metrics) host(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hosts == nil {
		m.hosts = map[string]bool{}
	}
	if !m.hosts[name] {
		if len(m.hosts) == maxHosts {
			return "other"
		}
		m.hosts[name] = true
	}
	return name
}

// NewMetrics returns the metrics of a process. The metrics of the queue and of the budgets are read
// from q and db each time Prometheus asks. q and db may be nil if nothing asks for them.
func NewMetrics(q *job.Queue, db *store.DB) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("dray_http_requests_total", "Requests that this server answered.", "route", "method", "code"),
		took: histogram("dray_http_request_duration_seconds", "Duration of requests to this server, bodies included.",
			[]float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600}, "route"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dray_http_requests_in_flight", Help: "Requests that this server is answering now."}),

		runs: counter("dray_job_runs_total",
			"Runs of jobs that ended in this process, by kind and resulting state.", "kind", "state"),
		runTook: histogram("dray_job_run_duration_seconds", "Duration of runs of jobs.",
			[]float64{.1, .5, 1, 5, 15, 60, 300, 1800, 7200}, "kind"),

		upstream: counter("dray_registry_requests_total",
			"Requests that jobs sent to registries; code 0 means no answer.", "registry", "method", "code"),
		bytes: counter("dray_registry_bytes_total",
			"Bytes of bodies that jobs sent to registries and received from them.", "registry", "direction"),
		retries: counter("dray_registry_retries_total", "Requests to registries that were retried.", "registry"),
		waited: counter("dray_registry_wait_seconds_total",
			"Time that jobs waited because of a registry or its budget.", "registry"),
		moved: counter("dray_job_events_total",
			"Blobs copied, mounted or already present; manifests put; tags set.", "event"),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.took, m.inFlight,
		m.runs, m.runTook,
		m.upstream, m.bytes, m.retries, m.waited, m.moved,
		newQueueMetrics(q, db))
	return m
}

// Memory adds the metrics of a budget of memory, which are read each time Prometheus asks.
func (m *Metrics) Memory(b *memory.Budget) {
	for _, kind := range memory.Kinds() {
		labels := prometheus.Labels{"kind": kind}
		m.registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dray_request_memory_bytes", ConstLabels: labels,
				Help: "Memory that requests take of the budget for what clients send, by kind."},
				func() float64 { return float64(b.Use(kind).Used) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dray_request_memory_limit_bytes", ConstLabels: labels,
				Help: "Memory that this budget has, by kind."},
				func() float64 { return float64(b.Use(kind).Size) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "dray_request_memory_refused_total", ConstLabels: labels,
				Help: "Requests that were refused because this budget was taken, or is too small for them, by kind."},
				func() float64 { return float64(b.Use(kind).Refused) }))
	}
}

// Handler returns the handler of /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Begin counts a request to this server. The caller must call done when the request is answered.
func (m *Metrics) Begin() (done func(route, method string, status int, took time.Duration)) {
	m.inFlight.Inc()
	return func(route, method string, status int, took time.Duration) {
		m.inFlight.Dec()
		m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(status)).Inc()
		m.took.WithLabelValues(route).Observe(took.Seconds())
	}
}

// knownMethod returns s, or "other" for a method that a client invented, so that labels stay few.
func knownMethod(s string) string {
	switch s {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return s
	}
	return "other"
}

// JobEnded counts a run of a job that ended in this process. It is for Config.Ended of the queue.
func (m *Metrics) JobEnded(j job.Job, state job.State, took time.Duration) {
	m.runs.WithLabelValues(j.Kind, string(state)).Inc()
	m.runTook.WithLabelValues(j.Kind).Observe(took.Seconds())
}

// Request counts a request of a job to a registry, and the bytes of its bodies.
func (m *Metrics) Request(q event.Request) {
	host := m.host(q.Host)
	m.upstream.WithLabelValues(host, knownMethod(q.Method), strconv.Itoa(q.Status)).Inc()
	m.bytes.WithLabelValues(host, "sent").Add(float64(q.Sent))
	m.bytes.WithLabelValues(host, "received").Add(float64(q.Received))
}

// Observe counts an event of a job.
func (m *Metrics) Observe(e event.Event) {
	switch e.Kind {
	case event.Retried:
		m.retries.WithLabelValues(m.host(e.Host)).Inc()
	case event.Waiting:
		m.Waited(e.Host, e.Wait)
	case event.Moved, event.Mounted, event.Present, event.Committed, event.Tagged:
		m.moved.WithLabelValues(string(e.Kind)).Inc()
	}
}

// Waited counts how long a job waited for the budget of a registry.
func (m *Metrics) Waited(host string, wait time.Duration) {
	m.waited.WithLabelValues(m.host(host)).Add(wait.Seconds())
}

// queueMetrics collects the metrics that are in the database, each time Prometheus asks.
type queueMetrics struct {
	queue                *job.Queue
	db                   *store.DB
	jobs, oldest, budget *prometheus.Desc
	workers, running     *prometheus.Desc
	engine               *prometheus.Desc
}

func newQueueMetrics(q *job.Queue, db *store.DB) *queueMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &queueMetrics{
		queue:   q,
		db:      db,
		jobs:    desc("dray_jobs", "Jobs that have not ended, by state; at most 100,000 are counted.", "state"),
		running: desc("dray_jobs_running", "Jobs, and parts of divided jobs, that run in this process now."),
		oldest:  desc("dray_queue_oldest_seconds", "Time that the oldest queued job has waited."),
		workers: desc("dray_workers", "Processes that run jobs and are alive, by kind and pool; the pool default has the "+
			"jobs of no pool.", "kind", "pool"),
		engine: desc("dray_engine_up", "Whether Temporal answers this process; only with --engine."),
		budget: desc("dray_budget_requests", "Requests that the shared budget of a registry still allows, "+
			"as of the last draw; the lowest value of all logins.", "registry", "class"),
	}
}

func (q *queueMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- q.jobs
	to <- q.oldest
	to <- q.workers
	to <- q.running
	to <- q.engine
	to <- q.budget
}

const statsTimeout = 2 * time.Second // the longest wait for the database

func (q *queueMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	to <- prometheus.MustNewConstMetric(q.running, prometheus.GaugeValue, float64(q.queue.Running()))
	q.collectJobs(ctx, to)
	q.collectWorkers(ctx, to)
	q.collectBudgets(ctx, to)
	q.collectEngine(ctx, to)
}

// collectJobs sends nothing if the database does not answer; the metrics of this process are still served.
func (q *queueMetrics) collectJobs(ctx context.Context, to chan<- prometheus.Metric) {
	stats, err := q.queue.Stats(ctx)
	if err != nil {
		return
	}
	for _, state := range wire.States() {
		if !state.Ended() {
			to <- prometheus.MustNewConstMetric(q.jobs, prometheus.GaugeValue, float64(stats.Jobs[state]), string(state))
		}
	}
	to <- prometheus.MustNewConstMetric(q.oldest, prometheus.GaugeValue, stats.Oldest.Seconds())
}

func (q *queueMetrics) collectWorkers(ctx context.Context, to chan<- prometheus.Metric) {
	all, err := q.queue.Workers(ctx)
	if err != nil {
		return
	}
	alive := map[[2]string]int{}
	for _, w := range all {
		pools := w.Pools
		if len(pools) == 0 {
			pools = []string{pool.Default}
		}
		for _, in := range pools {
			if w.Alive && w.Slots > 0 {
				alive[[2]string{w.Kind, in}]++
			}
		}
	}
	for of, n := range alive {
		to <- prometheus.MustNewConstMetric(q.workers, prometheus.GaugeValue, float64(n), of[0], of[1])
	}
}

func (q *queueMetrics) collectEngine(ctx context.Context, to chan<- prometheus.Metric) {
	if !q.db.Postgres() { // the engine is this process
		return
	}
	up := 0.0
	if q.queue.Ready(ctx) == nil {
		up = 1
	}
	to <- prometheus.MustNewConstMetric(q.engine, prometheus.GaugeValue, up)
}

func (q *queueMetrics) collectBudgets(ctx context.Context, to chan<- prometheus.Metric) {
	rows, err := q.db.QueryContext(ctx, `SELECT registry, class, MIN(tokens) FROM budgets GROUP BY registry, class`)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var registry, class string
		var left float64
		if rows.Scan(&registry, &class, &left) != nil {
			return
		}
		to <- prometheus.MustNewConstMetric(q.budget, prometheus.GaugeValue, left, registry, class)
	}
}
