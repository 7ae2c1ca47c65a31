package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trialnotary/trialnotary/notary/monitor"
)

// MonitorMetrics are the metrics of a monitor. They name nothing of the trial. They
// are a monitor.Observer.
type MonitorMetrics struct {
	registry *prometheus.Registry

	looks      *prometheus.CounterVec
	took       prometheus.Histogram
	entries    prometheus.Counter
	looked     prometheus.Gauge
	seen       prometheus.Gauge
	logSize    prometheus.Gauge
	scanned    prometheus.Gauge
	statements prometheus.Gauge
	queue      prometheus.Gauge
	alarms     *prometheus.GaugeVec
	findings   *prometheus.GaugeVec
	agrees     prometheus.Gauge
}

// NewMonitorMetrics makes the metrics of a monitor of this version.
func NewMonitorMetrics(version string) *MonitorMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "trialnotary_monitor_" + name, Help: help})
	}
	m := &MonitorMetrics{
		registry: prometheus.NewRegistry(),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trialnotary_monitor_looks_total", Help: "Looks, by outcome: ok, alarm, or failed where it could not look at everything.",
		}, []string{"outcome"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trialnotary_monitor_look_seconds", Help: "How long a look took.", Buckets: []float64{.1, .5, 1, 5, 10, 30, 60, 300, 1800},
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trialnotary_monitor_entries_total", Help: "Entries of the log that were scanned.",
		}),
		looked:     gauge("last_look_timestamp_seconds", "When the last look ended."),
		seen:       gauge("last_success_timestamp_seconds", "When the last look ended that could look at everything, with or without an alarm."),
		logSize:    gauge("log_size", "Entries of the largest checkpoint that is trusted."),
		scanned:    gauge("scanned_entries", "Entries that were scanned so far."),
		statements: gauge("statements", "Statements of the trial that were checked and are in the local copy."),
		queue:      gauge("webhook_queue", "Alarms that the webhook was not told of yet."),
		agrees:     gauge("findings_agree", "1 where the notary's findings are those that the monitor computes, 0 where not, or not compared."),
		alarms: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trialnotary_monitor_open_alarms", Help: "Open alarms, by kind.",
		}, []string{"kind"}),
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trialnotary_monitor_open_findings", Help: "Open findings of the trial, by severity.",
		}, []string{"severity"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "trialnotary_monitor_build_info", Help: "The version that runs; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(
		m.looks, m.took, m.entries, m.looked, m.seen, m.logSize, m.scanned, m.statements, m.queue, m.alarms, m.findings, m.agrees, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, outcome := range []string{"ok", "alarm", "failed"} {
		m.looks.WithLabelValues(outcome)
	}
	return m
}

// Handler answers Prometheus.
func (m *MonitorMetrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Scanned counts entries.
func (m *MonitorMetrics) Scanned(entries uint64) { m.entries.Add(float64(entries)) }

// Looked takes what a look found.
func (m *MonitorMetrics) Looked(r *monitor.Report, took time.Duration) {
	outcome := "ok"
	switch {
	case r.Error != "":
		outcome = "failed"
	case r.Wrong():
		outcome = "alarm"
	case !r.Whole():
		outcome = "failed"
	}
	m.looks.WithLabelValues(outcome).Inc()
	m.took.Observe(took.Seconds())
	now := float64(r.At.UnixMilli()) / 1000
	m.looked.Set(now)
	if r.Whole() {
		m.seen.Set(now)
	}
	m.logSize.Set(float64(r.LogSize))
	m.scanned.Set(float64(r.Scanned))
	m.statements.Set(float64(r.Statements))
	m.queue.Set(float64(r.Queued))
	m.agrees.Set(0)
	if c := r.Compared; c != nil && c.Agrees {
		m.agrees.Set(1)
	}
	m.alarms.Reset()
	for _, kind := range monitor.Kinds() {
		m.alarms.WithLabelValues(string(kind)).Set(0)
	}
	for _, a := range r.Alarms {
		m.alarms.WithLabelValues(string(a.Kind)).Inc()
	}
	if f := r.Findings; f != nil {
		m.findings.WithLabelValues("critical").Set(float64(f.Critical))
		m.findings.WithLabelValues("major").Set(float64(f.Major))
		m.findings.WithLabelValues("minor").Set(float64(f.Minor))
	}
}
