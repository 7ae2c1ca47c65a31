package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// fold is the trial's state and findings as the monitor computes them, over the
// copy up to next.
type fold struct {
	engine *rules.Engine
	next   int // how many of Monitor.all were folded
	// pack is the digest of the pack that the charter names; empty for none.
	pack string
	// size is up to where the log's time marks were looked at.
	size uint64
}

// errMark means that the notary does not hand out a time mark that the log has.
var errMark = errors.New("a time mark is not to be had")

// refold brings the fold up to the scanned entries. It begins anew where something
// came late.
func (l *look) refold(ctx context.Context) error {
	m := l.m
	if f := m.fold; f != nil && f.next < len(m.all) && m.all[f.next].Index <= f.engine.Position() {
		m.fold = nil
	}
	if m.fold == nil {
		if err := l.begin(ctx); err != nil {
			return err
		}
	}
	f := m.fold
	for f.next < len(m.all) {
		h := m.all[f.next]
		if h.Index >= m.doc.Scanned {
			break
		}
		st, err := m.statement(h)
		if err != nil {
			return err
		}
		if err := l.pass(ctx, h.Time, h.Index); err != nil {
			return err
		}
		if _, err := f.engine.Apply(trial.Logged{Statement: st, Index: h.Index, Time: h.Time}); err != nil {
			return fmt.Errorf("folding the trial: %w", err)
		}
		f.next++
	}
	if err := l.passAll(ctx, m.doc.Scanned); err != nil {
		return err
	}
	f.size = m.doc.Scanned
	return nil
}

// begin starts a fold with the charter.
func (l *look) begin(ctx context.Context) error {
	m := l.m
	if len(m.all) == 0 || m.all[0].ID != m.trust.Charter {
		return errNoCharter
	}
	charter, err := m.statement(m.all[0])
	if err != nil {
		return err
	}
	body, ok := charter.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return fmt.Errorf("folding the trial: %s is no charter", charter.ID)
	}
	program, err := m.cfg.Packs.Program(body)
	if err != nil {
		return err
	}
	e, err := rules.NewEngine(trial.Logged{Statement: charter, Index: m.all[0].Index, Time: m.all[0].Time}, program)
	if err != nil {
		return fmt.Errorf("folding the trial: %w", err)
	}
	if err := l.withhold(ctx, e); err != nil {
		return err
	}
	m.fold = &fold{engine: e, next: 1, pack: body.RulePack}
	return nil
}

// withhold tells the fold of a site's monitor that it sees a part of the trial, where
// the notary shows this user no more. The sponsor's sees all of it, whatever the
// notary says.
func (l *look) withhold(ctx context.Context, e *rules.Engine) error {
	if l.m.cfg.Site == "" {
		return nil
	}
	t, err := l.m.cfg.Client.Trial(ctx, l.m.trust.Charter.String(), 0)
	if err != nil {
		return err
	}
	if !t.GetView().GetWhole() {
		e.Withhold()
	}
	return nil
}

// errNoCharter means that the notary does not show the charter, for which there is
// an alarm.
var errNoCharter = errors.New("the copy has no charter yet")

// pass feeds the time marks that pass a deadline before a statement of log time at.
func (l *look) pass(ctx context.Context, at time.Time, index uint64) error {
	for !at.IsZero() {
		due, ok := l.m.fold.engine.State().NextDeadline()
		if !ok || at.Before(due) {
			return nil
		}
		fed, err := l.feed(ctx, due, index)
		if err != nil {
			return err
		}
		if !fed {
			return fmt.Errorf("%w: none at or after %s before index %d", errMark, due.Format(time.RFC3339), index)
		}
	}
	return nil
}

// passAll feeds the time marks that pass a deadline below size.
func (l *look) passAll(ctx context.Context, size uint64) error {
	for {
		due, ok := l.m.fold.engine.State().NextDeadline()
		if !ok {
			return nil
		}
		fed, err := l.feed(ctx, due, size)
		if err != nil || !fed {
			return err
		}
	}
}

// feed feeds the first time mark at or after due, behind what was folded and below
// index. It tells whether there is one.
func (l *look) feed(ctx context.Context, due time.Time, below uint64) (bool, error) {
	e := l.m.fold.engine
	lo, err := l.marks.below(e.Position() + 1)
	if err != nil {
		return false, err
	}
	hi, err := l.marks.below(below)
	if err != nil {
		return false, err
	}
	end := hi
	for lo < hi {
		mid := (lo + hi) / 2
		mark, _, err := l.mark(ctx, mid)
		if err != nil {
			return false, err
		}
		if mark.Time.Before(due) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == end {
		return false, nil
	}
	body, st, err := l.mark(ctx, lo)
	if err != nil {
		return false, err
	}
	index, err := l.marks.at(lo)
	if err != nil {
		return false, err
	}
	if _, err := e.Apply(trial.Logged{Statement: st, Index: index, Time: body.Time}); err != nil {
		return false, fmt.Errorf("folding the time mark at index %d: %w", index, err)
	}
	return true, nil
}

// mark returns the n-th time mark of the log, from the copy or from the notary.
func (l *look) mark(ctx context.Context, n uint64) (*trial.TimeMarkBody, *trial.Statement, error) {
	index, err := l.marks.at(n)
	if err != nil {
		return nil, nil, err
	}
	path := l.m.path(copyDir, marksDir, copyName(index))
	text, err := os.ReadFile(path + client.ReceiptSuffix)
	if err != nil {
		r, err := l.m.cfg.Client.TimeMark(ctx, l.m.trust, index+1)
		switch {
		case err != nil && isAnswer(err):
			return nil, nil, fmt.Errorf("%w: at index %d: %w", errMark, index, err)
		case err != nil:
			return nil, nil, err
		case r.Index != index:
			return nil, nil, fmt.Errorf("%w: asked for that at index %d, got that at %d", errMark, index, r.Index)
		}
		if err := r.WriteFiles(path); err != nil {
			return nil, nil, err
		}
		text = r.Bundle
	}
	parsed, err := receipt.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the copy's %s: %w", path, err)
	}
	st, err := trial.ParseStatement(parsed.Envelope.Payload)
	if err != nil {
		return nil, nil, fmt.Errorf("the copy's %s: %w", path, err)
	}
	body, ok := st.Predicate.Body.(*trial.TimeMarkBody)
	if !ok || parsed.Index != index {
		return nil, nil, fmt.Errorf("the copy's %s is damaged: got a %s of index %d", path, st.Predicate.Kind, parsed.Index)
	}
	return body, st, nil
}
