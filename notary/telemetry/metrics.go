package telemetry

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/trial"
)

// The upper bounds of the histograms, in seconds.
var (
	stageBuckets = []float64{
		1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
	}
	callBuckets = []float64{1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .15, .2, .25, .5, 1, 2.5, 5, 10, 30, 60}
)

// Metrics are the notary's metrics. What is counted on the hot path is resolved
// when they are made: no call looks a label up or allocates.
type Metrics struct {
	registry *prometheus.Registry
	stages   map[notary.Stage]prometheus.Observer
	outcomes map[notary.Outcome]prometheus.Counter
	refusals map[trial.Reason]prometheus.Counter
	// unlisted counts refusals for a reason that is not of the fixed list: no test
	// lets one through.
	unlisted prometheus.Counter

	callCount *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
	methods   sync.Map // methodKey to *method
	known     atomic.Int32
}

// maxMethods bounds the methods that have metrics of their own. Every name is that
// of a handler, so the bound is never reached, and nothing depends on that.
const maxMethods = 64

type methodKey struct {
	name string
	http bool
}

// method are the metrics of one method over one transport.
type method struct {
	name, transport string
	took            prometheus.Observer
	codes           [17]atomic.Pointer[prometheus.Counter] // made when first needed
}

// NewMetrics makes the metrics of a program of this version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		stages:   make(map[notary.Stage]prometheus.Observer),
		outcomes: make(map[notary.Outcome]prometheus.Counter),
		refusals: make(map[trial.Reason]prometheus.Counter),
		callCount: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trialnotary_calls_total",
			Help: "Calls by transport, method and gRPC code.",
		}, []string{"transport", "method", "code"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trialnotary_call_duration_seconds",
			Help: "From a call's arrival to its answer, by transport and method. A stream counts as one call.", Buckets: callBuckets,
		}, []string{"transport", "method"}),
	}
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trialnotary_stage_duration_seconds",
		Help: "Stages of a submission. Queue, store, add and place are measured once a batch.", Buckets: stageBuckets,
	}, []string{"stage"})
	for _, s := range notary.Stages() {
		m.stages[s] = stages.WithLabelValues(string(s))
	}
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trialnotary_submissions_total", Help: "Submissions by outcome, statements of streams included.",
	}, []string{"outcome"})
	for _, o := range notary.Outcomes() {
		m.outcomes[o] = outcomes.WithLabelValues(string(o))
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trialnotary_refusals_total", Help: "What was not answered as asked, by the reasons of docs/api.md.",
	}, []string{"reason"})
	for _, r := range rpc.Reasons() {
		m.refusals[r.Reason] = refusals.WithLabelValues(string(r.Reason))
	}
	m.unlisted = refusals.WithLabelValues("OTHER")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trialnotary_build_info", Help: "1; the labels tell what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(stages, outcomes, refusals, m.callCount, m.callTime, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) stage(s notary.Stage, took time.Duration) {
	if h := m.stages[s]; h != nil {
		h.Observe(took.Seconds())
	}
}

func (m *Metrics) refused(reason trial.Reason) {
	if c := m.refusals[reason]; c != nil {
		c.Inc()
		return
	}
	m.unlisted.Inc()
}

func (m *Metrics) call(c rpc.Call, code codes.Code, took time.Duration) {
	one := m.method(methodKey{c.Method, c.HTTP})
	one.took.Observe(took.Seconds())
	m.counter(one, code).Inc()
}

func (m *Metrics) method(key methodKey) *method {
	if one, ok := m.methods.Load(key); ok {
		return one.(*method) //nolint:forcetypeassert // nothing else is stored
	}
	if m.known.Add(1) > maxMethods {
		key = methodKey{name: "HTTP", http: key.http}
	}
	one := &method{name: methodName(key.name), transport: "grpc"}
	if key.http {
		one.transport = "http"
	}
	one.took = m.callTime.WithLabelValues(one.transport, one.name)
	stored, _ := m.methods.LoadOrStore(key, one)
	return stored.(*method) //nolint:forcetypeassert // as above
}

func (m *Metrics) counter(one *method, c codes.Code) prometheus.Counter {
	if int(c) >= len(one.codes) {
		c = codes.Unknown
	}
	if counter := one.codes[c].Load(); counter != nil {
		return *counter
	}
	counter := m.callCount.WithLabelValues(one.transport, one.name, codeName(c))
	one.codes[c].Store(&counter)
	return counter
}

// codeName is the gRPC code as the specification spells it.
func codeName(c codes.Code) string {
	return code.Code(c).String()
}

// methodName makes Submit of /trialnotary.v1.NotaryService/Submit, Health/Check of
// /grpc.health.v1.Health/Check, and tiles of HTTP tiles.
func methodName(full string) string {
	if page, ok := strings.CutPrefix(full, "HTTP"); ok {
		if page = strings.TrimSpace(page); page != "" {
			return page
		}
		return "other"
	}
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	service = service[strings.LastIndex(service, ".")+1:]
	if service == "NotaryService" {
		return name
	}
	return service + "/" + name
}

// Handler serves the metrics at /metrics and nothing else.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		// More than a few scrapes at once are a mistake of somebody's.
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return mux
}
