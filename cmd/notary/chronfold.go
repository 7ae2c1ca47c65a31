package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// folded is a trial as this machine computed it.
type folded struct {
	*chronology.Chronology

	report *chronology.Report
	view   rules.View
	// statements holds what was folded, by id.
	statements map[trial.ID]trial.Logged
	held       *holdings
	notary     *notarysAnswer // nil where it was not asked
}

// fold computes a trial's chronology from what is at hand. pack is a file with the
// rule pack that the charter names, empty where the program has it.
func (h *holdings) fold(ctx context.Context, pack string) (*folded, error) {
	all := h.logged()
	if len(all) == 0 || all[0].Statement.ID != h.trust.Charter {
		return nil, fmt.Errorf("the charter %s is not among the receipts; refresh the trust folder, which holds it: notary trust fetch", h.trust.Charter)
	}
	program, err := programFor(all[0].Statement, pack)
	if err != nil {
		return nil, err
	}
	c, err := chronology.New(all[0], program)
	if err != nil {
		return nil, err
	}
	if h.partial {
		c.Engine().Withhold()
	}
	f := &folded{Chronology: c, held: h, statements: map[trial.ID]trial.Logged{all[0].Statement.ID: all[0]}}
	for _, l := range all[1:] {
		if err := f.marksBefore(ctx, l); err != nil {
			return nil, err
		}
		if _, err := c.Apply(l); err != nil {
			return nil, fmt.Errorf("folding entry %d: %w", l.Index, err)
		}
		if _, dup := f.statements[l.Statement.ID]; !dup {
			f.statements[l.Statement.ID] = l
		}
	}
	if err := f.marksAfter(ctx); err != nil {
		return nil, err
	}
	f.report = c.Report()
	f.report.Origin, f.report.Size, f.report.Root = h.newest.Origin, h.newest.Size, h.newest.Root
	f.view, err = c.Engine().View("", h.newest.Size, 0)
	return f, err
}

// programFor compiles the rules that a charter names.
func programFor(charter *trial.Statement, path string) (*rules.Program, error) {
	var packs []*rules.Pack
	if path != "" {
		p, err := readPack(path)
		if err != nil {
			return nil, err
		}
		packs = append(packs, p)
	}
	b, ok := charter.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil, errors.New("the charter has no body that is understood")
	}
	program, err := rules.NewPacks(packs...).Program(b)
	if errors.Is(err, rules.ErrUnknownPack) {
		return nil, fmt.Errorf("%w; give the pack that the charter names with --pack FILE", err)
	}
	return program, err
}

// marksBefore lets the deadlines pass that a statement's log time is beyond.
func (f *folded) marksBefore(ctx context.Context, l trial.Logged) error {
	if l.Time.IsZero() {
		return nil
	}
	state := f.Engine().State()
	for {
		due, ok := state.NextDeadline()
		if !ok || l.Time.Before(due) {
			return nil
		}
		m, ok, err := f.held.passing(ctx, state.Position(), l.Index, due)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("folding entry %d: no time mark is known that passes %s", l.Index, due.UTC().Format(timeForm))
		}
		if _, err := f.Apply(m); err != nil {
			return fmt.Errorf("folding entry %d: %w", m.Index, err)
		}
	}
}

// marksAfter lets the deadlines pass that passed after the last statement.
func (f *folded) marksAfter(ctx context.Context) error {
	state := f.Engine().State()
	for {
		due, ok := state.NextDeadline()
		if !ok {
			return nil
		}
		m, ok, err := f.held.passing(ctx, state.Position(), f.held.newest.Size, due)
		if err != nil || !ok {
			return err
		}
		if _, err := f.Apply(m); err != nil {
			return fmt.Errorf("folding entry %d: %w", m.Index, err)
		}
	}
}

const timeForm = "2006-01-02 15:04:05"

// notes says what a reader has to know of how the statements were had.
func (h *holdings) notes() ([]string, error) {
	var out []string
	if h.offline {
		out = append(out, fmt.Sprintf("Computed from %s at hand, without the notary. A statement whose receipt is not there is missing here, and so is its effect.",
			count(len(h.statements), "statement", "statements")))
	}
	if n := len(h.untimed); n > 0 {
		out = append(out, count(n, "statement", "statements")+" came without evidence (NAME"+client.EvidenceSuffix+
			"): the log time that is shown may be earlier than the true one, and rules about time are judged by it.")
	}
	if h.links > 0 {
		out = append(out, count(h.links, "receipt is a symbolic link", "receipts are symbolic links")+" and not followed.")
	}
	if h.partial {
		out = append(out, "The notary shows this user a part of the trial alone. A lock's members that are not in it count as notarized.")
	}
	missing, err := h.missing()
	if err != nil {
		return nil, err
	}
	if missing > 0 {
		out = append(out, fmt.Sprintf("%s that the notary's signed list names not at hand: refresh the trust folder.",
			count(missing, "authority statement is", "authority statements are")))
	}
	if n := len(h.refused); n > 0 {
		out = append(out, fmt.Sprintf("%s not hold and left out: %s", count(n, "receipt does", "receipts do"), strings.Join(h.refused[:min(n, 5)], "; ")))
	}
	if h.others > 0 {
		out = append(out, count(h.others, "receipt is", "receipts are")+" of other trials.")
	}
	return out, nil
}
