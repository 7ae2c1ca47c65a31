package chronology

import (
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Report is a chronology at a position of the log, to be shown to people.
type Report struct {
	Trial   trial.ID
	Numbers []string // in public registries
	Sponsor string
	Sites   []trial.Site
	// RulePack is the digest of the pack that the charter names; "" for none.
	RulePack string
	// Position is the last index that was folded, and Time the log time there.
	Position uint64
	Time     time.Time
	// Statements is how many were folded.
	Statements int

	Events   []Event
	Findings []rules.Finding
	Windows  []Window

	// What the fold does not know.

	// Origin, Size and Root are those of the newest checkpoint that covers it all.
	Origin string
	Size   uint64
	Root   [32]byte
	// Withheld is how many of the trial's statements whoever asked may not see, and
	// that were not folded; nil where that is not known.
	Withheld *uint64
	// Notes are what a reader has to know, such as how the statements were had.
	Notes []string
}

// Window is when data were locked, or opened again.
type Window struct {
	Statement trial.ID
	Unlock    bool
	// Label is the lock's, also for what opens it, and Type its type.
	Label string
	Type  trial.LockType
	Scope trial.DataScope
	// Begin is the index where it took effect and From the log time there. End and
	// To are where a later lock ended it; Ended is false while it lasts.
	Begin, End uint64
	From, To   time.Time
	Ended      bool
	Reason     string // of an unlock
	Members    int    // of a lock
}

// Report returns what was folded so far. It shares what the chronology holds, and
// is to be read before the next Apply.
func (c *Chronology) Report() *Report {
	s := c.engine.State()
	charter := s.Charter()
	r := &Report{
		Trial: c.events[0].Statement, Numbers: slices.Clone(c.numbers), Sponsor: charter.SponsorOrganisation,
		Sites: charter.Sites, RulePack: charter.RulePack, Position: s.Position(), Time: s.Now(), Statements: c.statements,
		Events: c.events, Findings: c.engine.Findings(),
	}
	r.Windows = windows(s, r.times())
	return r
}

// times returns the log time of each index that has an event.
func (r *Report) times() map[uint64]time.Time {
	out := make(map[uint64]time.Time, len(r.Events))
	for i := range r.Events {
		out[r.Events[i].Index] = r.Events[i].Time
	}
	return out
}

// windows returns the locks that locked data, and the unlocks that opened them, in
// the order in which they took effect.
func windows(s *trial.State, at map[uint64]time.Time) []Window {
	locks := s.Locks()
	byID := make(map[trial.ID]*trial.LockState, len(locks))
	for i := range locks {
		byID[locks[i].Logged.Statement] = &locks[i]
	}
	end := func(w *Window, by trial.ID) {
		if l := byID[by]; l != nil {
			w.End, w.To, w.Ended = l.EffectIndex, at[l.EffectIndex], true
		}
	}
	var out []Window
	for i := range locks {
		l := &locks[i]
		if l.Status != trial.StatusEffective || l.Type == trial.LockInterim || byID[l.Logged.Statement] != l {
			continue // of a baseline's locks the last one holds
		}
		w := Window{
			Statement: l.Logged.Statement, Label: l.Label, Type: l.Type, Scope: l.Scope, Begin: l.EffectIndex, From: at[l.EffectIndex],
			Members: len(l.Members),
		}
		end(&w, l.ReplacedBy)
		out = append(out, w)
	}
	for _, u := range s.Unlocks() {
		l := byID[u.Lock]
		if !u.Opened || l == nil {
			continue
		}
		w := Window{
			Statement: u.Logged.Statement, Unlock: true, Label: l.Label, Type: l.Type, Scope: u.Scope, Begin: u.EffectIndex,
			From: at[u.EffectIndex], Reason: u.Reason,
		}
		end(&w, u.ClosedBy)
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b Window) int { return int(min(max(int64(a.Begin)-int64(b.Begin), -1), 1)) })
	return out
}

// How a finding stands.
const (
	Open     = "open"
	Answered = "answered"
	Closed   = "closed"
)

// State tells how a finding stands.
func State(f *rules.Finding) string {
	switch {
	case f.Closed != nil:
		return Closed
	case f.Response != nil:
		return Answered
	}
	return Open
}

// Choose leaves the events that are kept, and the findings that opened with them.
// Locks stay.
func (r *Report) Choose(keep func(*Event) bool) {
	type finding struct {
		rule      string
		statement trial.ID
	}
	opened := map[finding]bool{}
	var events []Event
	for i := range r.Events {
		if e := &r.Events[i]; keep(e) {
			events = append(events, *e)
			for _, f := range e.Opened {
				opened[finding{f.Rule, f.Statement}] = true
			}
		}
	}
	r.Events = events
	r.Findings = slices.DeleteFunc(r.Findings, func(f rules.Finding) bool { return !opened[finding{f.Rule, f.Statement}] })
}

// Counts returns how many findings of a severity there are, and how many of them
// are open.
func (r *Report) Counts(severity trial.Severity) (all, open int) {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Severity == severity {
			all++
			if State(f) == Open {
				open++
			}
		}
	}
	return all, open
}
