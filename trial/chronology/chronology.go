package chronology

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Event is what happened to one statement at one index of the log. What a
// statement brings about at its own index is one event; what becomes of it later
// are others.
type Event struct {
	Index uint64
	Time  time.Time // log time, zero before the first time mark
	// Type is [trial.EventLogged] or [trial.EventNoEffect] for a statement at its
	// own index, and for what becomes of it later [trial.EventEffect],
	// [trial.EventVoided], [trial.EventOverdue], [trial.EventDeadline] or, where a
	// closeout makes a pending act void, [trial.EventCloseout].
	Type trial.EventType
	// Status is the act's after the event.
	Status    trial.Status
	Statement trial.ID
	Logged    uint64 // the statement's own index
	Kind      trial.Kind
	Site      string // what it is about; "" is trial-wide
	Version   string
	// Title says in plain words what the statement is, and Detail what else there
	// is to say of the event: a reason, what is missing, why it has no effect.
	Title, Detail string
	// Declared is when the signer says that it happened; nil where a kind has no
	// such time.
	Declared *trial.Instant
	// Signer is as printed in the statement.
	Signer trial.Signer

	// Opened, Closed and Answered name the findings that did so here.
	Opened, Closed, Answered []Ref
}

// Ref names a finding: there is one for a rule and a statement.
type Ref struct {
	Rule      string
	Statement trial.ID
	Severity  trial.Severity
}

// Chronology is a trial's chronology while it is folded. One goroutine may use it
// at a time.
type Chronology struct {
	engine *rules.Engine
	names  map[trial.ID]name
	shared map[string]string // strings that many events have in common

	events []Event
	fresh  []Event // of the running Apply

	numbers    []string // registry numbers, as they came
	statements int
}

// name is how other statements speak of one.
type name struct {
	index uint64
	title string
}

// New begins with a charter. The caller has verified its signature, and has
// compiled program for it: see [rules.Packs.Program].
func New(charter trial.Logged, program *rules.Program) (*Chronology, error) {
	engine, err := rules.NewEngine(charter, program)
	if err != nil {
		return nil, err
	}
	c := &Chronology{engine: engine, names: map[trial.ID]name{}, shared: map[string]string{}}
	engine.Observe(c.observe)
	e := c.event(&trial.Act{Statement: charter.Statement, Index: charter.Index, Time: charter.Time, Status: trial.StatusEffective})
	e.Type, e.Index, e.Time = trial.EventLogged, charter.Index, charter.Time
	c.events, c.statements = []Event{e}, 1
	p := &charter.Statement.Predicate
	for _, registry := range slices.Sorted(maps.Keys(p.Trial)) {
		c.numbers = append(c.numbers, p.Trial[registry])
	}
	return c, nil
}

// Apply folds the trial's next statement or time mark and returns the events that
// it brought about, in order. What it wants and when it fails is
// [trial.State.Apply]'s.
func (c *Chronology) Apply(l trial.Logged) ([]Event, error) {
	c.fresh = nil
	opened, err := c.engine.Apply(l)
	if err != nil {
		return nil, err
	}
	for i := range opened {
		f := &opened[i]
		e := c.last(f.Statement)
		e.Opened = append(e.Opened, Ref{f.Rule, f.Statement, f.Severity})
	}
	c.events = append(c.events, c.fresh...)
	if l.Statement.Predicate.Kind != trial.KindTimeMark {
		c.statements++
	}
	return c.fresh, nil
}

// Events returns all events so far, in order. The slice belongs to the chronology
// and grows with it: read it only.
func (c *Chronology) Events() []Event { return c.events }

// Engine returns what judges the trial. It belongs to the chronology: read it only.
func (c *Chronology) Engine() *rules.Engine { return c.engine }

// last returns the newest event of a statement in the running Apply. A finding
// opens with an event of the statement that it is about.
func (c *Chronology) last(id trial.ID) *Event {
	for i := len(c.fresh) - 1; i >= 0; i-- {
		if c.fresh[i].Statement == id {
			return &c.fresh[i]
		}
	}
	return &c.fresh[len(c.fresh)-1]
}

// observe is told of each event before the rules look at it.
func (c *Chronology) observe(ev *trial.Event) {
	own := ev.Index == ev.Act.Index && len(c.fresh) > 0 && c.last(ev.Act.Statement.ID).Statement == ev.Act.Statement.ID
	switch {
	case own && (ev.Type == trial.EventEffect || ev.Type == trial.EventLastVisit || ev.Type == trial.EventCloseout):
		// The statement's own event says so already.
	default:
		e := c.event(ev.Act)
		e.Index, e.Time, e.Type = ev.Index, ev.Time, ev.Type
		e.Detail = detail(ev, e.Detail)
		c.fresh = append(c.fresh, e)
	}
	if ev.Type == trial.EventEffect {
		c.effect(ev)
	}
}

// effect notes the findings that the act's effect closes or answers.
func (c *Chronology) effect(ev *trial.Event) {
	e := c.last(ev.Act.Statement.ID)
	if f, answers := c.engine.Answers(ev.Act); answers {
		e.Answered = append(e.Answered, Ref{f.Rule, f.Statement, f.Severity})
	}
	if b, ok := ev.Act.Statement.Predicate.Body.(*trial.RegistrationBody); ok {
		if !slices.Contains(c.numbers, b.Number) {
			c.numbers = append(c.numbers, strings.Clone(b.Number))
		}
	}
	for _, f := range c.engine.Closing(ev.Act.Statement.ID) {
		e.Closed = append(e.Closed, Ref{f.Rule, f.Statement, f.Severity})
	}
}

// event describes an act. A statement's strings share memory with all of it, so
// that they are copied, and those that come often are kept once.
func (c *Chronology) event(a *trial.Act) Event {
	p := &a.Statement.Predicate
	own, known := c.names[a.Statement.ID]
	if !known {
		own = name{a.Index, c.title(a.Statement)}
		c.names[a.Statement.ID] = own
	}
	e := Event{
		Statement: a.Statement.ID, Logged: a.Index, Status: a.Status, Kind: trial.Kind(c.share(string(p.Kind))), Site: c.share(p.Site),
		Version: c.share(p.Version), Title: own.title,
		Signer: trial.Signer{
			KeyID: p.Signer.KeyID, Name: c.share(p.Signer.Name), Role: trial.Role(c.share(string(p.Signer.Role))),
			Organisation: c.share(p.Signer.Organisation),
		},
	}
	if own.index == a.Index {
		e.Detail = strings.Clone(p.Reason)
	}
	if p.Declared != nil {
		e.Declared = &trial.Instant{UTC: p.Declared.UTC, Zone: c.share(p.Declared.Zone)}
	}
	return e
}

func (c *Chronology) share(s string) string {
	if s == "" {
		return ""
	}
	if kept, ok := c.shared[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	c.shared[s] = s
	return s
}
