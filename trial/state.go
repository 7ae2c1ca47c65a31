package trial

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// State is what is the case in one trial: a pure fold over the trial's statements
// in log order. It is the same for everybody who folds the same statements, in
// whatever batches.
//
// A statement is judged by what was known at its index. What becomes known later
// undoes nothing that took effect: where a revocation makes a key suspect since
// an earlier index, or a recovery makes an enrolment void, that shows in the
// verdict on a receipt, and pending acts lose what those keys signed.
//
// One goroutine may use a State at a time. The caller has verified signatures, and
// feeds all of the trial's statements that its view may see, each once in log
// order, and the time marks that [State.NextDeadline] asks for.
type State struct {
	charter    *CharterBody
	authority  *Authority
	required   map[Kind][]Role
	parameters map[string]int64
	judge      func(*Event) // of the running Apply

	last uint64    // the index of what was folded last
	now  time.Time // its log time

	records map[ID]record // everything that was folded, refused statements too
	partial bool          // statements of the trial are left out

	// pending holds the acts that wait for endorsement, in log order. Others are
	// dropped from it when they are the half.
	pending []*Act
	settled int // how many of them wait no longer
	targets map[target]*Act

	// deadlines are in the order of their log time, since all of them are the same
	// number of days after their act.
	deadlines    []deadline
	registration *deadline

	documents documents
	data      data
	locks     locks
	conduct   conduct
}

// record is what remains of a statement: nil, or one of *Act, *version,
// *dataset, *lock and *baseline.
type record struct {
	index uint64
	what  any
}

// deadline is when something has to have followed act. due is zero while the log
// has no time yet.
type deadline struct {
	due  time.Time
	act  *Act
	what Deadline // "" for the act's endorsement
}

// ErrMarkSkipped says that a statement was fed whose log time is beyond the next
// deadline, without the first time mark at or after it. Nothing was folded.
var ErrMarkSkipped = errors.New("a time mark was skipped")

// NewState begins the fold with a charter. The caller has verified its signature.
func NewState(charter Logged) (*State, error) {
	authority, err := NewAuthority(charter.Statement, charter.Index)
	if err != nil {
		return nil, err
	}
	s := &State{
		charter: authority.body, authority: authority, parameters: authority.body.AllParameters(),
		required: authority.body.RequiredEndorsements(), last: charter.Index, now: charter.Time,
		records: map[ID]record{charter.Statement.ID: {index: charter.Index}},
		targets: map[target]*Act{},
	}
	s.documents.begin()
	s.data.begin()
	s.locks.begin()
	s.conduct.begin(s.charter, charter.Statement.Predicate.Trial)
	return s, nil
}

// Withhold says that the fold leaves out statements which whoever reads it may not
// see: a member of a lock that it does not know may be one of them, and is not
// taken for one that is not notarized. It is to be called before the first Apply.
func (s *State) Withhold() { s.partial = true }

// Apply folds the trial's next statement, or a time mark, in log order. judge is
// called for each event just before it changes the state, which it may read and
// must not change; nil is nobody. An event's act shows what the event makes of it.
//
// A time mark changes nothing unless a deadline passes with it, so that those may
// be left out that lie before [State.NextDeadline]. An error means that what was
// fed cannot come next in a log, and that nothing was folded. A statement without
// authority is no error: it is folded and has no effect.
func (s *State) Apply(l Logged, judge func(*Event)) error {
	mark, isMark := l.Statement.Predicate.Body.(*TimeMarkBody)
	at := l.Time
	if isMark {
		at = mark.Time
	}
	due, ok := s.NextDeadline()
	switch {
	case l.Index <= s.last:
		return fmt.Errorf("invalid log order: got index %d after index %d", l.Index, s.last)
	case at.Before(s.now):
		return fmt.Errorf("invalid log order: got log time %s at index %d after %s", formatTime(at), l.Index, formatTime(s.now))
	case !isMark && ok && !at.IsZero() && !at.Before(due):
		return fmt.Errorf("folding index %d of log time %s: %w: feed the first one at or after %s", l.Index, formatTime(at), ErrMarkSkipped, formatTime(due))
	}
	s.last, s.now, s.judge = l.Index, at, judge
	if isMark {
		s.mark()
	} else {
		s.statement(l)
	}
	s.judge = nil
	s.prune()
	return nil
}

// tell hands an event to whoever judges it.
func (s *State) tell(e Event) {
	if s.judge == nil {
		return
	}
	e.Index, e.Time = s.last, s.now
	s.judge(&e)
}

// statement folds what is no time mark.
func (s *State) statement(l Logged) {
	st := l.Statement
	act := &Act{Statement: st, Index: l.Index, Time: l.Time, Status: StatusNoEffect}
	if first, dup := s.records[st.ID]; dup {
		s.tell(Event{Type: EventNoEffect, Act: act, Refusal: refuse(ReasonAlreadyLogged, "",
			"logged at index %d already: a second entry has no effect", first.index)})
		return
	}
	standing, bad := s.authority.judge(st, l.Index, timeOrNil(l.Time))
	s.records[st.ID] = record{index: l.Index}
	if bad != nil {
		s.tell(Event{Type: EventNoEffect, Act: act, Refusal: bad})
		s.authorise(act)
		return
	}
	act.Standing, act.Required = standing, s.required[st.Predicate.Kind]
	act.Status, act.EffectIndex = StatusEffective, l.Index
	if len(act.Required) > 0 {
		act.Status, act.EffectIndex = StatusPending, 0
	}
	s.tell(Event{Type: EventLogged, Act: act})
	s.authorise(act)
	s.note(act)
	if act.Status == StatusPending {
		s.await(act)
		return
	}
	s.takeEffect(act)
}

// authorise folds what may change who has authority.
func (s *State) authorise(act *Act) {
	st := act.Statement
	if !AffectsAuthority(st, s.authority) {
		return
	}
	if s.authority.Apply(st, act.Index, act.Time) != nil {
		return // it has no effect, as was told
	}
	switch b := st.Predicate.Body.(type) {
	case *RevocationBody:
		s.distrust(func(a *Act) bool {
			return b.Cause == CauseCompromised && a.Standing.KeyID == b.Key
		})
	case *RecoveryBody:
		s.distrust(func(*Act) bool { return false })
	}
}

// mark lets the deadlines pass that are due by now.
func (s *State) mark() {
	for i := range s.deadlines {
		if !s.deadlines[i].due.IsZero() {
			break
		}
		s.deadlines[i].due = s.beyond(ParameterEndorsementDays)
	}
	if r := s.registration; r != nil && r.due.IsZero() {
		r.due = s.beyond(ParameterRegistrationDays)
	}
	if r := s.registration; r != nil && !s.now.Before(r.due) {
		s.registration = nil
		s.tell(Event{Type: EventDeadline, Act: r.act, Deadline: r.what})
	}
	for len(s.deadlines) > 0 && !s.now.Before(s.deadlines[0].due) {
		d := s.deadlines[0]
		s.deadlines = s.deadlines[1:]
		switch {
		case !d.open():
		case d.what == "":
			d.act.Overdue = true
			s.tell(Event{Type: EventOverdue, Act: d.act})
		default:
			s.tell(Event{Type: EventDeadline, Act: d.act, Deadline: d.what})
		}
	}
}

// open tells whether what has to follow has not followed yet.
func (d *deadline) open() bool {
	if d.what == "" {
		return d.act.Status == StatusPending
	}
	return len(d.act.Endorsed) == 0
}

// prune drops the deadlines at the front that were met, so that no time mark is
// asked for on their account.
func (s *State) prune() {
	for len(s.deadlines) > 0 && !s.deadlines[0].open() {
		s.deadlines = s.deadlines[1:]
	}
}

// NextDeadline returns the log time of the next deadline. The first time mark at
// or after it must be fed; those before it need not be.
func (s *State) NextDeadline() (time.Time, bool) {
	var next time.Time
	found := false
	if len(s.deadlines) > 0 {
		next, found = s.deadlines[0].due, true
	}
	if s.registration != nil && (!found || s.registration.due.Before(next)) {
		next, found = s.registration.due, true
	}
	return next, found
}

// expect begins a deadline for the act that is folded now.
func (s *State) expect(act *Act, what Deadline, parameter string) deadline {
	d := deadline{act: act, what: what}
	if !s.now.IsZero() {
		d.due = s.beyond(parameter)
	}
	return d
}

// Limits that keep arithmetic exact whatever a charter says.
const (
	day     = 24 * time.Hour
	maxDays = 100 * 366
)

// period returns a parameter of days.
func (s *State) period(parameter string) time.Duration {
	return time.Duration(min(max(s.parameters[parameter], 0), maxDays)) * day
}

// beyond returns the first log time at which more than a parameter of days has
// gone by since now. Log times are in milliseconds.
func (s *State) beyond(parameter string) time.Time {
	return s.now.Add(s.period(parameter) + time.Millisecond)
}

// Position returns the index of what was folded last.
func (s *State) Position() uint64 { return s.last }

// Now returns the log time of what was folded last, zero before the first time mark.
func (s *State) Now() time.Time { return s.now }

// Charter returns what the trial's charter says. It is shared and must not be
// changed.
func (s *State) Charter() *CharterBody { return s.charter }

// Authority returns who may sign what. It belongs to the state and must not be
// changed.
func (s *State) Authority() *Authority { return s.authority }

// Parameter returns a parameter of the charter, or what it is by default.
func (s *State) Parameter(name string) int64 { return s.parameters[name] }

// waiting returns the acts that wait for endorsement, in log order.
func (s *State) waiting() []*Act {
	if s.settled > len(s.pending)/2 {
		s.pending = slices.DeleteFunc(s.pending, func(a *Act) bool { return a.Status != StatusPending })
		s.settled = 0
	}
	return s.pending
}
