package monitor

import (
	"cmp"
	"fmt"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Report is what a look found. Its JSON is part of the command's output.
type Report struct {
	Trial string `json:"trial"`
	Site  string `json:"site,omitzero"`
	Log   string `json:"log"`
	// At is when it looked, by the monitor's clock.
	At time.Time `json:"at"`
	// LogSize is the size of the largest checkpoint that is trusted and Root its
	// root.
	LogSize uint64 `json:"logSize"`
	Root    string `json:"root,omitzero"`
	// Scanned counts the entries that were scanned so far, and New those of them
	// that this look scanned.
	Scanned uint64 `json:"scanned"`
	New     uint64 `json:"newEntries"`
	// Waits says what was not looked at, and why; empty if everything was.
	Waits string `json:"waits,omitzero"`
	// Statements counts those that were checked and are in the copy.
	Statements int `json:"statements"`
	// Findings counts what the monitor's own fold found; absent where it could not
	// fold.
	Findings *FindingCount `json:"findings,omitzero"`
	// Compared says what came of comparing the findings with the notary's.
	Compared *Comparison `json:"compared,omitzero"`
	// Alarms are those that are open, and Fresh those of them that this look
	// raised.
	Alarms []Alarm `json:"alarms"`
	Fresh  []Alarm `json:"newAlarms"`
	// Queued counts the alarms that the webhook was not told of yet.
	Queued int `json:"webhookQueue"`
	// Error says why it could not look; empty if it could.
	Error string `json:"error,omitzero"`
}

// FindingCount counts findings: all, and of these the open ones, by severity.
type FindingCount struct {
	All      int `json:"all"`
	Open     int `json:"open"`
	Critical int `json:"openCritical"`
	Major    int `json:"openMajor"`
	Minor    int `json:"openMinor"`
}

// Comparison says what came of comparing two folds of the same statements.
type Comparison struct {
	// LogSize is the size of the log that both are of.
	LogSize uint64 `json:"logSize"`
	// Withheld counts the trial's statements that the caller may not see.
	Withheld uint64 `json:"withheld"`
	Agrees   bool   `json:"agrees"`
	// Detail says what differs, or why it was not compared.
	Detail string `json:"detail,omitzero"`
}

// Whole tells whether everything was looked at: without it, no alarm means nothing.
func (r *Report) Whole() bool { return r.Error == "" && r.Waits == "" }

// Wrong tells whether there is an open alarm.
func (r *Report) Wrong() bool { return len(r.Alarms) > 0 }

// report says what is known at the end of a look.
func (l *look) report(failed error) *Report {
	m, d := l.m, l.m.doc
	r := &Report{
		Trial: d.Trial, Site: d.Site, Log: m.trust.Origin(), At: l.now, Scanned: d.Scanned, New: d.Scanned - l.began,
		Waits: cmp.Or(l.waits, l.uncompared), Statements: len(m.all), Compared: l.findings, Alarms: d.open(""), Fresh: []Alarm{}, Queued: len(d.Queue),
	}
	if r.Alarms == nil {
		r.Alarms = []Alarm{}
	}
	r.Fresh = append(r.Fresh, l.fresh...)
	if cp, ok, err := d.trusted(); err == nil && ok {
		r.LogSize, r.Root = cp.Size, fmt.Sprintf("%x", cp.Root)
	}
	if m.fold != nil {
		r.Findings = countFindings(m.fold.engine.Findings())
	}
	if failed != nil {
		r.Error = failed.Error()
	}
	return r
}

func countFindings(list []rules.Finding) *FindingCount {
	c := &FindingCount{All: len(list)}
	for i := range list {
		f := &list[i]
		if !f.Open() {
			continue
		}
		c.Open++
		switch f.Severity {
		case trial.SeverityCritical:
			c.Critical++
		case trial.SeverityMajor:
			c.Major++
		default:
			c.Minor++
		}
	}
	return c
}

// Findings returns what the monitor's own fold found in its last look, by index,
// rule and statement; ok is false where it could not fold.
func (m *Monitor) Findings() (list []rules.Finding, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fold == nil {
		return nil, false
	}
	return m.fold.engine.Findings(), true
}
