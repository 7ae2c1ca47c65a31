package chronology

import (
	"cmp"
	"slices"
	"sort"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// History is a Chronology that answers for earlier positions of the log as well:
// what happened and what was found is kept with the index where it became so. Only
// the state is that of the newest position. One goroutine may use it at a time.
type History struct {
	*Chronology

	statements []uint64 // indexes of what was folded, in log order
	findings   []finding
	numbers    map[findingKey]int
	bytes      int64
}

// finding is one with all that became of it.
type finding struct {
	rules.Finding
	logged  uint64 // the index of its statement
	kind    trial.Kind
	answers []rules.Response
	closed  *uint64
}

type findingKey struct {
	rule      string
	statement trial.ID
}

// NewHistory begins with a charter, as [New] does.
func NewHistory(charter trial.Logged, program *rules.Program) (*History, error) {
	c, err := New(charter, program)
	if err != nil {
		return nil, err
	}
	h := &History{Chronology: c, numbers: map[findingKey]int{}}
	h.statement(charter)
	return h, nil
}

// Apply folds the trial's next statement or time mark: see [Chronology.Apply].
func (h *History) Apply(l trial.Logged) ([]Event, error) {
	fresh, err := h.Chronology.Apply(l)
	if err != nil {
		return nil, err
	}
	if l.Statement.Predicate.Kind != trial.KindTimeMark {
		h.statement(l)
	}
	var opened []finding
	for i := range fresh {
		opened = append(opened, h.opened(&fresh[i])...)
	}
	// As the engine orders them.
	slices.SortFunc(opened, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), slices.Compare(a.Statement[:], b.Statement[:]))
	})
	for i := range opened {
		h.numbers[findingKey{opened[i].Rule, opened[i].Statement}] = len(h.findings) + i
	}
	h.findings = append(h.findings, opened...)
	for i := range fresh {
		h.changed(&fresh[i])
	}
	return fresh, nil
}

// Sizes of what is kept, in bytes, as measured: of a statement beside twice its
// payload, of an event and of a finding.
const (
	statementSize = 600
	eventSize     = 500
	findingSize   = 1000
)

func (h *History) statement(l trial.Logged) {
	h.statements = append(h.statements, l.Index)
	h.bytes += statementSize + 2*int64(len(l.Statement.Payload))
}

// opened returns the findings that an event opened.
func (h *History) opened(e *Event) []finding {
	h.bytes += eventSize
	var out []finding
	for _, r := range e.Opened {
		if f, ok := h.Engine().Finding(r.Rule, r.Statement); ok {
			out = append(out, finding{Finding: f, logged: e.Logged, kind: e.Kind})
			h.bytes += findingSize + int64(len(f.Why))
		}
	}
	return out
}

// changed keeps what an event did to earlier findings.
func (h *History) changed(e *Event) {
	for _, r := range e.Answered {
		if n, ok := h.Number(r); ok {
			h.findings[n].answers = append(h.findings[n].answers, rules.Response{Statement: e.Statement, Index: e.Index})
		}
	}
	for _, r := range e.Closed {
		if n, ok := h.Number(r); ok {
			h.findings[n].closed = new(e.Index)
		}
	}
}

// Bytes returns about how much memory the history takes.
func (h *History) Bytes() int64 { return h.bytes }

// StatementsBelow returns the number of statements below a log size that were
// folded.
func (h *History) StatementsBelow(size uint64) int {
	return lowest(len(h.statements), size, func(i int) uint64 { return h.statements[i] })
}

// EventsBelow returns what happened below a log size, in order. What they hold does
// not change any more.
func (h *History) EventsBelow(size uint64) []Event {
	n := lowest(len(h.events), size, func(i int) uint64 { return h.events[i].Index })
	return h.events[:n:n]
}

// FindingsBelow returns the number of findings that opened below a log size.
func (h *History) FindingsBelow(size uint64) int {
	return lowest(len(h.findings), size, func(i int) uint64 { return h.findings[i].Index })
}

// Found is a finding with what its statement is.
type Found struct {
	rules.Finding
	Logged uint64 // the index of its statement
	Kind   trial.Kind
}

// Found returns a finding by its number, from 0 in the order in which they opened,
// as it was at a log size.
func (h *History) Found(n int, size uint64) Found {
	f := &h.findings[n]
	out := Found{f.Finding, f.logged, f.kind}
	out.Response, out.Closed = nil, nil
	for _, a := range slices.Backward(f.answers) {
		if a.Index < size {
			out.Response = &a
			break
		}
	}
	if f.closed != nil && *f.closed < size {
		out.Closed = f.closed
	}
	return out
}

// Title says in plain words what a statement is; "" for one that was not folded.
func (h *History) Title(id trial.ID) string { return h.names[id].title }

// Number returns the number of the finding of a rule on a statement.
func (h *History) Number(r Ref) (n int, ok bool) {
	n, ok = h.numbers[findingKey{r.Rule, r.Statement}]
	return n, ok
}

// lowest returns how many of n ascending indexes are below size. What is asked for
// is nearly always the end.
func lowest(n int, size uint64, at func(int) uint64) int {
	if n == 0 || at(n-1) < size {
		return n
	}
	return sort.Search(n, func(i int) bool { return at(i) >= size })
}
