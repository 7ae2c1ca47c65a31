package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/blinding"
)

// errBlinding means that the charter refuses files that could unblind.
var errBlinding = errors.New("the charter refuses files that could unblind the trial")

// blindingRefusal is what the guard found where the charter refuses it.
type blindingRefusal struct {
	path  string
	found []string
}

func (e *blindingRefusal) Error() string {
	return fmt.Sprintf("%v: %s has %s; take them out, or give --unblinded-reason TEXT, which the statement records; nothing of it was submitted",
		errBlinding, e.path, count(len(e.found), "place that could tell who gets which treatment", "places that could tell who gets which treatment"))
}

func (e *blindingRefusal) Unwrap() error { return errBlinding }

// acknowledged begins what is recorded of an --unblinded-reason.
const acknowledged = "blinding guard: "

// guardAnswer is how long the guard waits for the notary's word that a trial is
// unblinded.
const guardAnswer = 20 * time.Second

// guardedKinds are the kinds whose files the guard looks into. Documents such as
// the protocol speak of treatments, and what is sealed or revealed is the list.
var guardedKinds = map[trial.Kind]blinding.What{
	trial.KindDataset: blinding.Data, trial.KindDerivedDataset: blinding.Data, trial.KindAuditTrail: blinding.Data,
	trial.KindTMFDocument: blinding.Data, trial.KindIPEvent: blinding.Supply, trial.KindSafetyReport: blinding.Narrative,
}

// guard looks into files before a statement about them is signed, as long as the
// trial is blinded. The notary cannot: no content reaches it.
type guard struct {
	*app
	c       *connection
	what    blinding.What
	setting trial.BlindingGuard
	// reason is why a file that could unblind is submitted all the same.
	reason string
	// lifted is known once it was asked; nil before.
	lifted *bool
	told   bool // what a warning means
	// read is how the statement says that its tables are read.
	read dataset.Options
}

// newGuard returns the guard for statements like base, or nil where nothing is to
// be guarded: by its kind, by the charter, or because the signer is unblinded by
// design.
func (a *app) newGuard(c *connection, base *client.Draft, reason string) (*guard, error) {
	p := &base.Predicate
	what, guarded := guardedKinds[p.Kind]
	if !guarded || p.Signer.Role == trial.RoleUnblindedStatistician {
		return nil, nil //nolint:nilnil // no guard is none
	}
	book, err := client.ReadAuthority(c.trust)
	if err != nil {
		return nil, err
	}
	g := &guard{app: a, c: c, what: what, setting: trial.BlindingWarn, reason: reason}
	if body, ok := p.Body.(*trial.DataBody); ok {
		g.read.Encoding = body.Encoding
	}
	if book.Charter == nil {
		return g, nil
	}
	charter, ok := book.Charter.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return g, nil
	}
	if charter.BlindingGuard != "" {
		g.setting = charter.BlindingGuard
	}
	holder, _ := book.Enrolment(p.Signer.KeyID)
	exempt := slices.Contains(charter.UnblindingExempt, p.Signer.Organisation) ||
		holder.Body != nil && slices.Contains(charter.UnblindingExempt, holder.Body.HolderID)
	if exempt || g.setting == trial.BlindingOff {
		return nil, nil //nolint:nilnil // no guard is none
	}
	return g, nil
}

// check looks into an input. It warns, or fails with errBlinding, and records the
// reason in the draft where one is given for what was found.
func (g *guard) check(ctx context.Context, d *client.Draft, in *input, r *submitResult) error {
	if g == nil {
		return nil
	}
	found, err := g.look(ctx, in)
	if err != nil || len(found) == 0 || g.isLifted(ctx) {
		return err
	}
	r.Blinding = found
	for _, f := range found {
		g.notef("warning: %s", f)
	}
	switch {
	case g.reason != "":
		d.Predicate.Reason = strings.TrimPrefix(d.Predicate.Reason+"; "+acknowledged+g.reason, "; ")
	case g.setting == trial.BlindingRefuse:
		return &blindingRefusal{in.path, found}
	case !g.told:
		g.told = true
		g.notef("the trial is blinded as far as the notary knows: keep such files from whoever must stay blind")
	}
	return nil
}

// look returns the places of an input that could unblind.
func (g *guard) look(ctx context.Context, in *input) (found []string, err error) {
	for _, f := range in.files {
		report, err := lookInto(ctx, f, g.what, g.read)
		if err != nil {
			return nil, fmt.Errorf("%w %s: looking for what could unblind: %w", client.ErrFile, f.Path, err)
		}
		for _, clue := range report.Clues {
			found = append(found, f.Path+": "+clue.String())
		}
		if report.Unread != "" {
			g.notef("note: %s: not wholly looked at for what could unblind: %s", f.Path, report.Unread)
		}
	}
	return found, nil
}

func lookInto(ctx context.Context, f client.FileHash, what blinding.What, o dataset.Options) (blinding.Report, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return blinding.Report{}, err
	}
	defer file.Close()
	return blinding.Look(ctx, f.Name, io.NewSectionReader(file, 0, f.Size), what, o)
}

// isLifted tells whether the trial is unblinded, by receipts that verify. What is
// not known counts as blinded.
func (g *guard) isLifted(ctx context.Context) bool {
	if g.lifted == nil {
		ctx, cancel := context.WithTimeout(ctx, guardAnswer)
		defer cancel()
		lifted, err := g.c.unblinded(ctx)
		if err != nil {
			g.notef("note: whether the trial is unblinded is not known, so it counts as blinded: %v", err)
		}
		g.lifted = &lifted
	}
	return *g.lifted
}

// unblinded looks for the statement that unblinds the whole trial, for everybody,
// or for a baseline that says that it is.
func (c *connection) unblinded(ctx context.Context) (bool, error) {
	for _, kind := range []trial.Kind{trial.KindUnblinding, trial.KindBaseline} {
		for s, err := range c.List(ctx, client.Query{Trial: c.trust.Charter.String(), Kind: kind}) {
			if err != nil {
				return false, err
			}
			id, err := trial.ParseID(s.GetStatementId())
			if err != nil {
				return false, err
			}
			r, err := c.Receipt(ctx, c.trust, id)
			if err != nil {
				return false, err
			}
			if lifts(r.Verdict.Statement) {
				return true, nil
			}
		}
	}
	return false, nil
}

// lifts tells whether a statement ends the trial's blind. An unblinding for a
// committee or an independent statistician does not.
func lifts(st *trial.Statement) bool {
	if st == nil {
		return false
	}
	switch b := st.Predicate.Body.(type) {
	case *trial.UnblindingBody:
		return b.Scope == trial.UnblindTrial && b.Recipient == ""
	case *trial.BaselineBody:
		return b.Unblinded
	default:
		return false
	}
}
