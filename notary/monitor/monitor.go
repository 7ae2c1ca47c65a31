package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Config is what a Monitor is made of. Client, Trust and Dir are required; every
// other field has a usable zero value.
type Config struct {
	// Client reaches the notary and the log's public files (Options.Tiles).
	Client *client.Client
	// Trust is the trial's trust folder, whose fingerprint was compared by another
	// channel. The monitor keeps a copy of its own, which grows.
	Trust *receipt.Trust
	// Dir is the monitor's folder; it is made where there is none.
	Dir string
	// Site makes it the monitor of a site: it watches the keys that are enrolled
	// for this site alone, and tells of every enrolment in its name. Empty is the
	// sponsor's.
	Site string
	// MaxAge is how long the log's newest checkpoint may be out of reach before it
	// is stale: 24 hours; negative is for ever.
	MaxAge time.Duration
	// ExpectGrowth is how long the log may stay as large as it is before its
	// checkpoint is stale; 0 is for ever, since a small notary may rest.
	ExpectGrowth time.Duration
	// Packs holds the rule packs that a charter can name; nil is the default pack.
	Packs *rules.Packs
	// Webhook is told of new alarms; nil is nobody.
	Webhook *Webhook
	// Observer is told of looks; nil observes nothing.
	Observer Observer
	// Clock returns the time of alarms; nil is time.Now.
	Clock func() time.Time
	// Step is how many entries are scanned before what was seen is stored: 65,536.
	Step uint64
	// LockWait is how long a look waits for another process: one minute.
	LockWait time.Duration
}

// Observer is told what a monitor does, for metrics. It is called by one goroutine
// at a time.
type Observer interface {
	// Scanned is told of entries that were scanned.
	Scanned(entries uint64)
	// Looked is told how each look ended.
	Looked(r *Report, took time.Duration)
}

func (c *Config) setDefaults() error {
	if c.Client == nil || c.Trust == nil || c.Dir == "" {
		return errors.New("invalid monitor: client, trust folder and folder are required")
	}
	if c.MaxAge == 0 {
		c.MaxAge = 24 * time.Hour
	}
	if c.Packs == nil {
		c.Packs = rules.NewPacks()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Step == 0 {
		c.Step = 1 << 16
	}
	if c.LockWait == 0 {
		c.LockWait = time.Minute
	}
	if c.Webhook != nil {
		return c.Webhook.check()
	}
	return nil
}

// Monitor watches a notary for one trial.
type Monitor struct {
	cfg Config

	// mu is held for a look and guards what follows, which was true of the folder
	// when it was read under the folder's lock.
	mu    sync.Mutex
	doc   *document
	trust *receipt.Trust
	// all holds the statements of the copy by index, byID by id.
	all  []held
	byID map[trial.ID]uint64
	fold *fold
}

// Open prepares a monitor. It fails with ErrOtherTrial where the folder is for
// something else, and with client.ErrOtherAnchors where its trust folder has other
// anchors.
func Open(cfg Config) (*Monitor, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	m := &Monitor{cfg: cfg}
	for _, dir := range []string{
		cfg.Dir, m.path(conflictsDir), m.path(copyDir), m.path(copyDir, receiptsDir), m.path(copyDir, marksDir),
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the monitor's folder: %w", err)
		}
	}
	unlock, err := m.lock(context.Background())
	if err != nil {
		return nil, err
	}
	return m, errors.Join(m.begin(), unlock())
}

// begin reads the folder, or fills a new one.
func (m *Monitor) begin() error {
	d, err := m.load()
	if err != nil {
		return err
	}
	trust, site := m.cfg.Trust, m.cfg.Site
	if d == nil {
		if err := client.WriteTrust(m.path(copyDir, trustDir), trust); err != nil {
			return err
		}
		m.doc = &document{Format: stateFormat, Trial: trust.Charter.String(), Fingerprint: trust.Fingerprint(), Site: site}
		return m.save()
	}
	switch {
	case d.Trial != trust.Charter.String():
		return fmt.Errorf("%w: %s is of the trial %s, want %s", ErrOtherTrial, m.cfg.Dir, d.Trial, trust.Charter)
	case d.Fingerprint != trust.Fingerprint():
		return fmt.Errorf("%w: %s has the fingerprint %s, want %s", client.ErrOtherAnchors, m.cfg.Dir, d.Fingerprint, trust.Fingerprint())
	case d.Site != site:
		return fmt.Errorf("%w: %s is for the view of %s, want %s", ErrOtherTrial, m.cfg.Dir, viewName(d.Site), viewName(site))
	}
	return nil
}

func viewName(site string) string {
	if site == "" {
		return "the whole trial"
	}
	return "site " + site
}

// refresh reads what another process may have written since. The lock is held.
func (m *Monitor) refresh() error {
	d, err := m.load()
	if err != nil {
		return err
	}
	if d == nil {
		return fmt.Errorf("reading the monitor's state: %s is gone", m.path(stateFile))
	}
	if m.doc != nil && m.trust != nil && m.doc.Seq == d.Seq {
		return nil
	}
	m.doc, m.fold = d, nil
	if m.trust, err = client.ReadTrust(m.path(copyDir, trustDir)); err != nil {
		return err
	}
	if m.all, err = readJournal(m.path(journalFile)); err != nil {
		return err
	}
	m.byID = make(map[trial.ID]uint64, len(m.all))
	for _, h := range m.all {
		m.byID[h.ID] = h.Index
	}
	m.sortAll()
	return nil
}

// Acknowledge ends an open alarm that somebody took note of.
func (m *Monitor) Acknowledge(ctx context.Context, id, note string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	return errors.Join(m.acknowledge(id, note), unlock())
}

func (m *Monitor) acknowledge(id, note string) error {
	if err := m.refresh(); err != nil {
		return err
	}
	for i := range m.doc.Alarms {
		if a := &m.doc.Alarms[i]; a.ID == id && a.Status == StatusOpen {
			a.Status, a.Ended, a.Note = StatusAcknowledged, m.cfg.Clock().UTC(), note
			return m.save()
		}
	}
	return fmt.Errorf("%w: %s", ErrNoAlarm, id)
}

// Run looks again and again, as long after the beginning of the last look as
// interval says, until ctx ends. each is told of every look, and of the error of
// one that could not see.
func (m *Monitor) Run(ctx context.Context, interval time.Duration, each func(*Report, error)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		r, err := m.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		each(r, err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
