package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
)

// Snapshot is what a scrape reads besides what was counted. What is not known is
// left out: a zero time, a missing key.
type Snapshot struct {
	Now     time.Time
	Service notary.Gauges
	// Mark is the size at the high-water mark, Published the time at which the
	// newest checkpoint was published or, for an older one, found.
	Mark      uint64
	Published time.Time
	// Pending is the number of statements that are stored and have no index yet;
	// negative where it could not be read.
	Pending int64
	// Free are free bytes by volume, Bytes the sizes of files by name, Expiry the
	// ends of certificates by name.
	Free, Bytes map[string]uint64
	Expiry      map[string]time.Time
	Connections rpc.Connections
	Health      []notary.Condition
	Check       notary.CheckStatus
	// Checked is when a full check last found nothing, in this run or before.
	Checked time.Time
}

// readPatience bounds what a scrape reads.
const readPatience = 5 * time.Second

// Watch lets every scrape read the service. It is called once.
func (m *Metrics) Watch(read func(context.Context) Snapshot) {
	m.registry.MustRegister(&collector{read: read})
}

// collector turns a Snapshot into metrics.
type collector struct {
	read func(context.Context) Snapshot
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trialnotary_"+name, help, labels, nil)
}

// What a scrape reads.
var (
	descEntries     = desc("log_entries", "Entries in the log.")
	descPublished   = desc("published_entries", "Entries that the newest checkpoint covers.")
	descUnpublished = desc("unpublished_entries", "Entries that no checkpoint covers yet.")
	descMark        = desc("high_water_mark_entries", "Entries of the largest tree that was ever signed.")
	descPlaced      = desc("placed_entries", "Entries from the start on whose statements the database knows the index of.")
	descAge         = desc("checkpoint_age_seconds", "Since the newest checkpoint was published. It grows while there is nothing to publish.")
	descMarkAge     = desc("time_mark_age_seconds", "Since the newest time mark. It grows while there is nothing to log.")
	descInFlight    = desc("submissions_in_flight", "Statements between admission and index.")
	descQueued      = desc("submissions_queued", "Statements that wait to be stored.")
	descAwaiting    = desc("submissions_awaiting_index", "Statements that were added to the log and wait for their index.")
	descCallers     = desc("submissions_waiting", "Submissions that wait for their answer.")
	descPending     = desc("pending_statements", "Statements that are stored and have no index yet.")
	descHeldBack    = desc("receipts_held_back_total", "Receipts that did not verify and were not handed out.")
	descFree        = desc("free_bytes", "Free space by volume.", "volume")
	descBytes       = desc("file_bytes", "Size of the database and of its write-ahead log.", "file")
	descExpiry      = desc("certificate_expiry_timestamp_seconds", "When a certificate in use ends.", "certificate")
	descOpen        = desc("connections", "Open connections of the gRPC and the HTTP listener.")
	descAccepted    = desc("connections_accepted_total", "Connections that were let in.")
	descClosed      = desc("connections_closed_total", "Connections that were turned away or gave their place up, because there were too many.")
	descHealthy     = desc("healthy", "1 if a condition of health is good, 0 if not.", "condition")
	descChecked     = desc("full_check_success_timestamp_seconds", "When a full check last found nothing, in this run or before; none if never.")
	descCheckTook   = desc("full_check_duration_seconds", "How long this run's last full check took; none before the first.")
	descCheckCount  = desc("full_check_entries", "Entries that this run's last full check read; none before the first.")
	descCheckOK     = desc("full_check_ok", "1 if this run's last full check found nothing, 0 if it did; none before the first.")
	descViews       = desc("trial_views", "Folded trials that are held in memory, one for each that is seen differently.")
	descViewBytes   = desc("trial_view_bytes", "About how much memory they take.")
	descRefolds     = desc("trial_folds_total", "Folds of a trial that began with its charter.")
	descFolded      = desc("trial_statements_folded_total", "Statements that were folded.")
	descFoldTime    = desc("trial_fold_seconds_total", "Time that folding took, reading the statements included.")
	descChecking    = desc("full_check_running", "1 while a full check runs.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descEntries, descPublished, descUnpublished, descMark, descPlaced, descAge, descMarkAge, descInFlight, descQueued,
		descAwaiting, descCallers, descPending, descHeldBack, descFree, descBytes, descExpiry, descOpen, descAccepted, descClosed,
		descHealthy, descChecked, descCheckTook, descCheckCount, descCheckOK, descChecking,
		descViews, descViewBytes, descRefolds, descFolded, descFoldTime,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	s := c.read(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	g := s.Service
	gauge(descEntries, float64(g.Entries))
	gauge(descPublished, float64(g.Published))
	// The two are read one after the other: the second may have overtaken the first.
	gauge(descUnpublished, float64(g.Entries-min(g.Published, g.Entries)))
	gauge(descMark, float64(s.Mark))
	gauge(descPlaced, float64(g.Placed))
	gauge(descInFlight, float64(g.InFlight))
	gauge(descQueued, float64(g.Queued))
	gauge(descAwaiting, float64(g.Awaiting))
	gauge(descCallers, float64(g.Callers))
	if !s.Published.IsZero() {
		gauge(descAge, s.Now.Sub(s.Published).Seconds())
	}
	if !g.LastMark.IsZero() {
		gauge(descMarkAge, s.Now.Sub(g.LastMark).Seconds())
	}
	if s.Pending >= 0 {
		gauge(descPending, float64(s.Pending))
	}
	count := func(d *prometheus.Desc, v uint64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descViews, float64(g.Views))
	gauge(descViewBytes, float64(g.ViewBytes))
	count(descRefolds, g.Refolds)
	count(descFolded, g.Folded)
	to <- prometheus.MustNewConstMetric(descFoldTime, prometheus.CounterValue, g.FoldTime.Seconds())
	count(descHeldBack, g.BadReceipts)
	gauge(descOpen, float64(s.Connections.Open))
	count(descAccepted, s.Connections.Accepted)
	count(descClosed, s.Connections.Closed)
	collectNamed(gauge, s)
	if k := s.Check; !k.Ended.IsZero() {
		gauge(descCheckTook, k.Took.Seconds())
		gauge(descCheckCount, float64(k.Report.Entries))
		gauge(descCheckOK, oneIf(k.Err == nil))
	}
	gauge(descChecking, oneIf(s.Check.Phase != ""))
	if !s.Checked.IsZero() {
		gauge(descChecked, float64(s.Checked.UnixMilli())/1000)
	}
}

// collectNamed collects what there are several of, under names that the program
// gave them.
func collectNamed(gauge func(*prometheus.Desc, float64, ...string), s Snapshot) {
	for volume, free := range s.Free {
		gauge(descFree, float64(free), volume)
	}
	for file, size := range s.Bytes {
		gauge(descBytes, float64(size), file)
	}
	for name, end := range s.Expiry {
		if !end.IsZero() {
			gauge(descExpiry, float64(end.Unix()), name)
		}
	}
	for _, condition := range s.Health {
		gauge(descHealthy, oneIf(condition.OK), condition.Name)
	}
}

func oneIf(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
