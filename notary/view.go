package notary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// ViewOf names what is seen of a trial.
type ViewOf struct {
	Charter trial.ID
	// Whole is everything. Otherwise it is the statements of Sites, the trial-wide
	// ones and those of authority.
	Whole bool
	Sites []string
}

// view is a trial as one kind of reader sees it, folded up to some position of the
// log. The holder of turn alone uses the fields below it.
type view struct {
	of    ViewOf
	key   string
	place place // in views, which guards it
	older bool  // it is of an older position, and goes no further

	turn chan struct{}
	fold *chronology.History // nil: nothing was folded yet
	// unjudged says why no rule is judged; nil where they are.
	unjudged error
	upTo     uint64 // what is below it in the log was folded
	counted  count
	markAt   markAt
}

// count is how many statements a trial has below a log size.
type count struct {
	size, statements uint64
}

// markAt is the time of the last time mark below a log size.
type markAt struct {
	size uint64
	time time.Time
}

// TrialView is a trial at a position of the log. It is valid while the function runs
// that it is handed to.
type TrialView struct {
	Of ViewOf
	// Size is the position: what is below it in the log was folded.
	Size uint64
	// Time is that of the last time mark below Size; zero before the first.
	Time time.Time
	// Withheld is the number of the trial's statements below Size that Of leaves out.
	Withheld uint64
	// Fold may have gone beyond Size, unless the state was asked for: its events,
	// findings and numbers are asked for by Size.
	Fold *chronology.History
	// Charter is the trial's charter.
	Charter *trial.CharterBody
	// Unjudged says why no rule was judged; nil where they were.
	Unjudged error
}

// ViewQuery asks for a view.
type ViewQuery struct {
	ViewOf
	// Size is the position; 0 is the newest.
	Size uint64
	// State asks for a fold whose state is that of Size, and not a later one. Where
	// one has gone further, it is made anew.
	State bool
}

// ReadTrial folds a trial as far as the newest checkpoint, or takes what was folded
// before, and hands it to read, which must return soon and keep nothing of the
// fold's state. It fails with ErrNotFound where there is no such trial, with a
// *trial.Refusal BAD_VALUE for a position that log or trial do not have, and with
// what read returns.
func (s *Service) ReadTrial(ctx context.Context, q ViewQuery, read func(*TrialView) error) error {
	newest, charter, err := s.position(ctx, q.Charter)
	if err != nil {
		return err
	}
	size := newest
	switch {
	case q.Size > newest:
		return badPosition("got %d, want at most %d, the size of the log", q.Size, newest)
	case q.Size != 0 && q.Size <= charter:
		return badPosition("got %d, want above %d, the index of the trial's charter", q.Size, charter)
	case newest <= charter:
		return ErrNotFound // no checkpoint covers it yet
	case q.Size != 0:
		size = q.Size
	}
	err = s.withView(ctx, q.ViewOf, 0, size, func(v *view) error {
		if q.Size == 0 {
			size = v.upTo // somebody else may have gone further meanwhile
		}
		// A fold of which nothing lies beyond the position is that of the position.
		if q.State && v.fold.Engine().Position() >= size {
			return errBeyond
		}
		return s.show(ctx, v, size, read)
	})
	if !errors.Is(err, errBeyond) {
		return err
	}
	return s.withView(ctx, q.ViewOf, size, size, func(v *view) error { return s.show(ctx, v, size, read) })
}

// errBeyond means that a fold has gone beyond the position whose state is asked for.
var errBeyond = errors.New("folded beyond the position")

// withView hands a view out that is folded up to a log size: that of an older position
// at, or, where at is 0, the one that is kept at the newest, which may be beyond.
func (s *Service) withView(ctx context.Context, of ViewOf, at, to uint64, use func(*view) error) error {
	v := s.views.pin(of, of.key(at), at > 0)
	defer s.views.unpin(v)
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() {
		s.views.release(v)
		<-v.turn
	}()
	err := s.advance(ctx, v, to)
	switch {
	case errors.Is(err, ErrDamaged):
		// Its text alone: what a stored statement is refused for is not the
		// reader's doing.
		return fmt.Errorf("%w: folding trial %s: %s", ErrDamaged, of.Charter, err.Error())
	case err != nil:
		return err
	}
	return use(v)
}

// show hands a view to its reader.
func (s *Service) show(ctx context.Context, v *view, size uint64, read func(*TrialView) error) (err error) {
	t := &TrialView{Of: v.of, Size: size, Fold: v.fold, Unjudged: v.unjudged}
	if t.Charter, err = v.charter(); err != nil {
		return err
	}
	if t.Withheld, err = s.withheld(ctx, v, size); err != nil {
		return err
	}
	if t.Time, err = s.markTime(ctx, v, size); err != nil {
		return err
	}
	return read(t)
}

func badPosition(format string, args ...any) error {
	return &trial.Refusal{Reason: trial.ReasonBadValue, Path: "logSize", Detail: fmt.Sprintf(format, args...)}
}

// LogSize returns the size of the log that views are folded to now: what a
// published checkpoint covers and the store knows.
func (s *Service) LogSize() uint64 { return min(s.log.Checkpoint().Size, s.placedUpTo.known()) }

// position returns the newest position and the index of a trial's charter.
func (s *Service) position(ctx context.Context, charter trial.ID) (newest, index uint64, err error) {
	_, now, c, _, err := s.settledTrial(ctx, charter)
	if err != nil {
		return 0, 0, err
	}
	return min(c.Size, s.placedUpTo.known()), now.facts[0].record.Index, nil
}

// key names a view: at is 0 for the one that is kept at the newest position.
func (of *ViewOf) key(at uint64) string {
	b := append([]byte{0}, of.Charter[:]...)
	b = binary.BigEndian.AppendUint64(b, at)
	if of.Whole {
		b[0] = 1
		return string(b)
	}
	sites := slices.Clone(of.Sites)
	slices.Sort(sites)
	for _, site := range slices.Compact(sites) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(site)))
		b = append(b, site...)
	}
	return string(b)
}

func (v *view) charter() (*trial.CharterBody, error) {
	body, ok := v.fold.Engine().State().Authority().Charter().Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil, fmt.Errorf("%w: trial %s has no charter", ErrDamaged, v.of.Charter)
	}
	return body, nil
}

// viewRows is how many statements a fold reads at once.
const viewRows = 256

// advance folds what a view lacks below a log size. What it did stays done where it
// fails or ctx ends.
func (s *Service) advance(ctx context.Context, v *view, to uint64) error {
	if v.fold != nil && v.upTo >= to {
		return nil
	}
	if v.fold == nil || to-v.upTo > 16*viewRows {
		// Folding much takes a processor for seconds: never all of them, and of older
		// positions, of which one caller may ask for any number, one at a time.
		turns := []chan struct{}{s.folding}
		if v.older {
			turns = []chan struct{}{s.older, s.folding}
		}
		for _, turn := range turns {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	began := time.Now()
	defer func() { s.foldTime.Add(int64(time.Since(began))) }()
	for v.fold == nil || v.upTo < to {
		records, err := s.store.List(ctx, Query{
			Charter: &v.of.Charter, Visible: v.of.visible(), After: int64(v.upTo) - 1, Below: to, Limit: viewRows,
		})
		if err != nil {
			return readError(ctx, err)
		}
		for _, rec := range records {
			if err := s.foldRecord(ctx, v, rec); err != nil {
				return err
			}
			v.upTo = rec.Index + 1
		}
		s.folded.Add(uint64(len(records)))
		if len(records) == viewRows {
			continue
		}
		if v.fold == nil {
			return fmt.Errorf("%w: trial %s has no logged charter", ErrDamaged, v.of.Charter)
		}
		if err := s.feedMarks(ctx, v, to, time.Time{}); err != nil {
			return err
		}
		v.upTo = to
	}
	return nil
}

func (of *ViewOf) visible() *Visible {
	return &Visible{Grants: []VisibleGrant{{Charter: of.Charter, AllSites: of.Whole, Sites: of.Sites}}}
}

// foldRecord folds one statement, after the time marks that have to come before it.
func (s *Service) foldRecord(ctx context.Context, v *view, rec *Record) error {
	st, err := openFolded(rec)
	if err != nil {
		return err
	}
	l := trial.Logged{Statement: st, Index: rec.Index, Time: rec.LogTime}
	if v.fold == nil {
		return s.beginFold(v, l)
	}
	if !l.Time.IsZero() {
		if err := s.feedMarks(ctx, v, rec.Index+1, l.Time); err != nil {
			return err
		}
	}
	if _, err := v.fold.Apply(l); err != nil {
		return fmt.Errorf("%w: folding statement %s: %w", ErrDamaged, rec.ID, err)
	}
	return nil
}

// beginFold begins with the charter. One whose rules cannot be judged here is
// folded without: what is the case does not depend on them.
func (s *Service) beginFold(v *view, charter trial.Logged) error {
	body, ok := charter.Statement.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return fmt.Errorf("%w: the first statement of trial %s is no charter", ErrDamaged, v.of.Charter)
	}
	program, err := s.cfg.Packs.Program(body)
	if v.unjudged = err; err != nil {
		if program, err = rules.Compile(nil, nil, body.AllParameters()); err != nil {
			return fmt.Errorf("compiling no rules: %w", err)
		}
	}
	if v.fold, err = chronology.NewHistory(charter, program); err != nil {
		return fmt.Errorf("%w: charter of trial %s: %w", ErrDamaged, v.of.Charter, err)
	}
	if !v.of.Whole {
		v.fold.Engine().Withhold()
	}
	s.refolds.Add(1)
	return nil
}

// openFolded parses a stored statement and demands that it is the one that its id
// names, and what lists select it by. Whose authority counts is verified by
// signature as well; all other entries are compared with the log by the full check,
// and by whoever follows the log.
func openFolded(rec *Record) (*trial.Statement, error) {
	if rec.Authority {
		return openRecord(rec)
	}
	st, err := trial.ParseStatement(rec.Envelope.Payload)
	if err == nil && (st.ID != rec.ID || st.Predicate.Site != rec.Site || st.Predicate.Charter != rec.Charter) {
		err = errors.New("it is filed as another one than its payload says")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, rec.ID, err)
	}
	return st, nil
}

// feedMarks feeds the time marks below an index that deadlines of the trial ask for.
// at is the log time there; zero is that of the last mark.
func (s *Service) feedMarks(ctx context.Context, v *view, below uint64, at time.Time) error {
	for {
		due, ok := v.fold.Engine().State().NextDeadline()
		if !ok {
			return nil
		}
		if at.IsZero() {
			last, err := s.markTime(ctx, v, below)
			if err != nil || last.IsZero() {
				return err
			}
			at = last
		}
		if at.Before(due) {
			return nil
		}
		rec, err := s.markSince(ctx, due, v.fold.Engine().Position(), below)
		if err != nil {
			return err
		}
		st, err := trial.ParseStatement(rec.Envelope.Payload)
		if err != nil {
			return fmt.Errorf("%w: time mark %s: %w", ErrDamaged, rec.ID, err)
		}
		if _, err := v.fold.Apply(trial.Logged{Statement: st, Index: rec.Index, Time: rec.LogTime}); err != nil {
			return fmt.Errorf("%w: folding time mark %s: %w", ErrDamaged, rec.ID, err)
		}
	}
}

// markSince returns the first time mark at or after due, of which there is one below
// an index. It governs the first entry of a log time that late, or stands last.
func (s *Service) markSince(ctx context.Context, due time.Time, after, below uint64) (*Record, error) {
	if due.IsZero() {
		due = time.Unix(0, 0) // the first of all
	}
	governed, err := s.store.List(ctx, Query{From: due, After: int64(after), Below: below, Limit: 1})
	if err != nil {
		return nil, readError(ctx, err)
	}
	if len(governed) > 0 {
		below = governed[0].Index
	}
	rec, err := s.store.MarkBefore(ctx, below)
	if errors.Is(err, ErrNotFound) || err == nil && rec.Index <= after {
		return nil, fmt.Errorf("%w: no time mark between index %d and %d, want one at or after %s", ErrDamaged, after, below, due)
	}
	return rec, readError(ctx, err)
}

// markTime returns the time of the last time mark below a log size.
func (s *Service) markTime(ctx context.Context, v *view, size uint64) (time.Time, error) {
	if v.markAt.size == size {
		return v.markAt.time, nil
	}
	rec, err := s.store.MarkBefore(ctx, size)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, readError(ctx, err)
	}
	mark, err := parseMark(rec)
	if err != nil {
		return time.Time{}, err
	}
	v.markAt = markAt{size, mark.time}
	return mark.time, nil
}

// withheld returns how many statements of the trial a view leaves out below a log
// size.
func (s *Service) withheld(ctx context.Context, v *view, size uint64) (uint64, error) {
	if v.of.Whole {
		return 0, nil
	}
	from := v.counted
	if from.size > size {
		from = count{}
	}
	n, err := s.store.CountTrial(ctx, v.of.Charter, int64(from.size)-1, size)
	if err != nil {
		return 0, readError(ctx, err)
	}
	all := count{size, from.statements + n}
	if size >= v.counted.size {
		v.counted = all
	}
	return all.statements - min(all.statements, uint64(v.fold.StatementsBelow(size))), nil
}

// foldGauges are what views do and hold.
type foldGauges struct {
	// folding holds a value for each fold that is taking a processor for long.
	folding  chan struct{}
	older    chan struct{} // the same for the one fold of an older position
	refolds  atomic.Uint64 // folds that began with the charter
	folded   atomic.Uint64 // statements
	foldTime atomic.Int64  // nanoseconds
}
