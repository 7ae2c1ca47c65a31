package rules

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Finding is a rule that a statement breaks. It never vanishes.
type Finding struct {
	Rule, Title string
	Clauses     []string // shared
	Severity    trial.Severity
	// Own: the rule is the sponsor's, from the charter.
	Own bool
	// Statement is the act that breaks the rule, and Site what it is about.
	Statement trial.ID
	Site      string
	// Index is where the finding opened, and Time the log time there.
	Index uint64
	Time  time.Time
	// Why says in plain words what is wrong.
	Why string
	// Response is the last answer to the finding; nil without.
	Response *Response
	// Closed is where the act took effect after all, for a rule whose findings
	// close by that; nil while it has not.
	Closed *uint64
}

// Response is a finding-response in the log.
type Response struct {
	Statement trial.ID
	Index     uint64
}

// Engine folds a trial's statements and collects the findings. One goroutine may
// use it at a time.
type Engine struct {
	state   *trial.State
	program *Program
	trial   trial.ID
	charter *trial.CharterBody
	params  map[string]int64

	triggers map[trigger][]*compiled
	findings []*Finding // by index, rule and statement
	byKey    map[key]*Finding
	closing  map[trial.ID][]*Finding // those that their act's effect closes
	fresh    []*Finding              // of the running Apply
	observe  func(*trial.Event)

	statements uint64            // that were folded, the charter too
	folded     [sha256.Size]byte // a digest of them
}

type trigger struct {
	event trial.EventType
	kind  trial.Kind
}

// key is what there is one finding of.
type key struct {
	rule      string
	statement trial.ID
}

// NewEngine begins with a charter. The caller has verified its signature, and has
// compiled program for its pack, own rules and parameters: see [Packs.Program].
func NewEngine(charter trial.Logged, program *Program) (*Engine, error) {
	state, err := trial.NewState(charter)
	if err != nil {
		return nil, err
	}
	body, ok := charter.Statement.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil, &Error{Reason: "the statement is no charter"}
	}
	e := &Engine{
		state: state, program: program, trial: charter.Statement.ID, charter: body, params: body.AllParameters(),
		triggers: map[trigger][]*compiled{}, byKey: map[key]*Finding{}, closing: map[trial.ID][]*Finding{},
	}
	e.count(charter)
	for _, kind := range trial.Kinds() {
		for _, rule := range program.rules {
			if !rule.Trigger.looks(kind) {
				continue
			}
			for _, event := range rule.Trigger.Events {
				t := trigger{event, kind}
				e.triggers[t] = append(e.triggers[t], rule)
			}
		}
	}
	return e, nil
}

// Withhold says that the fold leaves out statements: see [trial.State.Withhold].
func (e *Engine) Withhold() { e.state.Withhold() }

// Apply folds the trial's next statement or time mark and returns the findings
// that it opened, in order. What it wants and when it fails is [trial.State.Apply]'s.
func (e *Engine) Apply(l trial.Logged) ([]Finding, error) {
	e.fresh = e.fresh[:0]
	if err := e.state.Apply(l, e.judge); err != nil {
		return nil, err
	}
	if l.Statement.Predicate.Kind != trial.KindTimeMark {
		e.count(l)
	}
	if len(e.fresh) == 0 {
		return nil, nil
	}
	slices.SortFunc(e.fresh, compare)
	e.findings = append(e.findings, e.fresh...)
	out := make([]Finding, len(e.fresh))
	for i, f := range e.fresh {
		out[i] = *f
	}
	return out, nil
}

// Observe has f called for each event of what is applied from now on, in their
// order, just before it changes the state. f must not change what it is handed.
func (e *Engine) Observe(f func(*trial.Event)) { e.observe = f }

// compare orders findings. Those of one Apply have one index, and each Apply's
// index is above the last one's.
func compare(a, b *Finding) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Rule, b.Rule), slices.Compare(a.Statement[:], b.Statement[:]))
}

// judge looks at an event just before it changes the state.
func (e *Engine) judge(ev *trial.Event) {
	if e.observe != nil {
		e.observe(ev)
	}
	st := ev.Act.Statement
	if ev.Type == trial.EventEffect {
		for _, f := range e.closing[st.ID] {
			if f.Closed == nil {
				f.Closed = new(ev.Index)
			}
		}
		if f := e.answered(ev.Act); f != nil {
			f.Response = &Response{st.ID, ev.Index}
		}
	}
	if ev.Type == trial.EventNoEffect {
		e.noEffect(ev)
		return
	}
	rules := e.triggers[trigger{ev.Type, st.Predicate.Kind}]
	if len(rules) == 0 {
		return
	}
	facts := e.state.Facts(ev)
	m := &moment{
		facts: object{factsType, facts}, act: object{actType, ev.Act},
		charter: object{charterType, e.charter}, params: object{paramsType, e.params},
		event: celText(ev.Type), deadline: celText(ev.Deadline),
	}
	m.allow(facts, e.charter)
	for _, rule := range rules {
		k := key{rule.ID, st.ID}
		if e.byKey[k] != nil {
			continue
		}
		if b := rule.judge(m); b != nil {
			e.open(rule, ev, b, k)
		}
	}
}

// noEffect opens a finding on a statement whose signer had no authority for it when
// it was logged. It is the engine's and not a pack's: no charter can leave out
// that a statement in the log does not count. A second entry of a statement is
// none, since the first counts.
func (e *Engine) noEffect(ev *trial.Event) {
	if ev.Refusal.Reason == trial.ReasonAlreadyLogged {
		return
	}
	b := &broken{authority.Severity, "This " + string(ev.Act.Statement.Predicate.Kind) + " was logged and has no effect: " + ev.Refusal.Detail + "."}
	e.open(authority, ev, b, key{authority.ID, ev.Act.Statement.ID})
}

func (e *Engine) open(rule *compiled, ev *trial.Event, b *broken, k key) {
	f := &Finding{
		Rule: rule.ID, Title: rule.Title, Clauses: rule.Clauses, Severity: b.severity, Own: rule.Own,
		Statement: k.statement, Site: ev.Act.Statement.Predicate.Site, Index: ev.Index, Time: ev.Time, Why: b.why,
	}
	e.byKey[k] = f
	e.fresh = append(e.fresh, f)
	if rule.ClosedBy == trial.EventEffect {
		e.closing[k.statement] = append(e.closing[k.statement], f)
	}
}

// Findings returns all findings by index, rule and statement, as they stand at
// [Engine.Position].
func (e *Engine) Findings() []Finding {
	out := make([]Finding, len(e.findings))
	for i, f := range e.findings {
		out[i] = *f
	}
	return out
}

// Finding returns the finding of a rule on a statement, as it stands at
// [Engine.Position]; ok is false where there is none.
func (e *Engine) Finding(rule string, statement trial.ID) (f Finding, ok bool) {
	if p := e.byKey[key{rule, statement}]; p != nil {
		return *p, true
	}
	return Finding{}, false
}

// answered returns the finding that an act answers, nil for none. Whoever may not
// speak for what the finding is about answers nothing.
func (e *Engine) answered(act *trial.Act) *Finding {
	b, ok := act.Statement.Predicate.Body.(*trial.FindingResponseBody)
	if !ok {
		return nil
	}
	f := e.byKey[key{b.Rule, b.Statement}]
	if f == nil || !e.state.MaySpeakFor(act, f.Site) {
		return nil
	}
	return f
}

// Answers returns the finding that an act answers when it takes effect; ok is false
// where there is none.
func (e *Engine) Answers(act *trial.Act) (f Finding, ok bool) {
	if p := e.answered(act); p != nil {
		return *p, true
	}
	return Finding{}, false
}

// Closing returns the findings that are open and that close when a pending
// statement takes effect.
func (e *Engine) Closing(statement trial.ID) []Finding {
	var out []Finding
	for _, f := range e.closing[statement] {
		if f.Closed == nil {
			out = append(out, *f)
		}
	}
	return out
}

// State returns the trial's state. It belongs to the engine: read it only.
func (e *Engine) State() *trial.State { return e.state }

// Position returns the index of what was folded last.
func (e *Engine) Position() uint64 { return e.state.Position() }
