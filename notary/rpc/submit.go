package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// api implements the NotaryService.
type api struct {
	notaryv1.UnimplementedNotaryServiceServer
	*Server
}

// Submit logs one statement.
func (a *api) Submit(ctx context.Context, req *notaryv1.SubmitRequest) (*notaryv1.SubmitResponse, error) {
	done, err := a.submit(ctx, req)
	if err != nil {
		return nil, err
	}
	return &notaryv1.SubmitResponse{Receipt: done.receipt}, nil
}

// statementError tells which statement an error is about, for the record of
// refusals.
type statementError struct {
	id  trial.ID
	err error
}

func (e *statementError) Error() string { return e.err.Error() }
func (e *statementError) Unwrap() error { return e.err }

// submitted is how a submission ended.
type submitted struct {
	receipt *notaryv1.Receipt
	created bool // a trial, which the caller was granted
}

// submission is a request to log a statement, alone or in a stream.
type submission interface {
	GetEnvelope() *notaryv1.Envelope
	GetHeldEvidence() string
	GetReceiptForm() notaryv1.ReceiptForm
}

// forms are the forms of a receipt that may be asked for.
var forms = map[notaryv1.ReceiptForm]notary.Form{
	notaryv1.ReceiptForm_RECEIPT_FORM_UNSPECIFIED: notary.WholeReceipt,
	notaryv1.ReceiptForm_RECEIPT_FORM_PROOF:       notary.ProofOnly,
}

// submit is what Submit and SubmitStream share.
func (a *api) submit(ctx context.Context, req submission) (*submitted, error) {
	env, err := envelopeOf(req.GetEnvelope())
	if err == nil {
		err = checkHeld(req.GetHeldEvidence())
	}
	form, ok := forms[req.GetReceiptForm()]
	if err == nil && !ok {
		err = badRequest("receiptForm", "want RECEIPT_FORM_PROOF, or none for the whole receipt")
	}
	if err != nil {
		return nil, err
	}
	user := callOf(ctx).user
	var id trial.ID
	var charter bool
	var signed trial.Predicate
	var warnings []string
	leave := func() {}
	defer func() { leave() }()
	res, err := a.cfg.Service.SubmitForm(ctx, env, func(st *trial.Statement) error {
		id, charter, signed = st.ID, st.Predicate.Kind == trial.KindCharter, st.Predicate
		if err := maySubmit(user, st); err != nil {
			return err
		}
		if st.Predicate.Kind.Authority() {
			var err error
			if leave, err = a.limiter.waits(callOf(ctx)); err != nil {
				return err
			}
		}
		warnings = st.ParticipantWarnings()
		return nil
	}, form)
	if err != nil {
		return nil, &statementError{id: id, err: a.otherTrials(ctx, err, signed)}
	}
	done := &submitted{receipt: receiptMessage(res, req.GetHeldEvidence()), created: charter && !user.sponsors(res.Record.ID)}
	if done.receipt.Warnings = warnings; len(warnings) > 0 {
		// Where, and never what: the text itself may be the id.
		a.log.Warn("a statement may name a participant", zap.String("request_id", callOf(ctx).id),
			zap.Stringer("statement", id), zap.Strings("places", warnings))
	}
	if done.created {
		// The charter is logged and its creator not yet granted: a crash here is
		// mended by sending the same bytes again, which is what a caller without
		// an answer does.
		if err := a.cfg.Users.GrantTrial(ctx, user.Name, res.Record.ID); err != nil {
			return nil, &statementError{id: id, err: fmt.Errorf("%w: granting the new trial: %w", notary.ErrUnavailable, err)}
		}
	}
	return done, nil
}

// otherTrials says of a key that this trial does not know that it is another's,
// if the caller may see that trial. To everybody else it is unknown.
func (a *api) otherTrials(ctx context.Context, err error, signed trial.Predicate) error {
	refusal := new(trial.Refusal)
	if !errors.As(err, &refusal) || refusal.Reason != trial.ReasonUnknownKey {
		return err
	}
	found, findErr := a.cfg.Service.FindSubject(ctx, notary.Query{
		Digest: signed.Signer.KeyID.String(), Kind: trial.KindKeyEnrolment, Visible: callOf(ctx).user.visible(), After: -1, Limit: 16,
	})
	other := slices.IndexFunc(found, func(r *notary.Record) bool { return r.Charter != signed.Charter })
	if findErr != nil || other < 0 {
		return err
	}
	return &trial.Refusal{Reason: trial.ReasonOtherTrial, Path: refusal.Path,
		Detail: fmt.Sprintf("the key is enrolled in trial %s, not in this one", found[other].Charter)}
}

// sponsorKinds are the kinds that only a sponsor's caller hands in: they are
// signed by the trial's sponsor or recovery key.
var sponsorKinds = []trial.Kind{
	trial.KindCharter, trial.KindKeyEnrolment, trial.KindKeyRevocation, trial.KindKeyRecovery, trial.KindRegistration,
}

// maySubmit decides whether the caller may hand in the statement. It is asked
// before the trial is looked up, so that a trial that is not the caller's and
// one that does not exist cannot differ.
func maySubmit(u *User, st *trial.Statement) error {
	p := &st.Predicate
	if p.Kind == trial.KindCharter {
		return mayCreate(u, st)
	}
	if !u.sees(p.Charter) {
		return notYours{}
	}
	if u.sponsors(p.Charter) {
		return nil
	}
	site := slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.Role == RoleSite && g.shows(p.Charter) })
	switch {
	case !site:
		return notPermitted("this caller reads the trial and submits nothing to it")
	case slices.Contains(sponsorKinds, p.Kind):
		return notPermitted(fmt.Sprintf("statements of kind %s are submitted by the sponsor", p.Kind))
	case p.Site == "" && p.Kind == trial.KindEndorsement, u.submitsFor(p.Charter, p.Site):
		return nil
	}
	return &trial.Refusal{
		Reason: reasonNotPermitted, Path: "predicate.site", Detail: "this caller does not submit for this site",
	}
}

// mayCreate decides whether the caller may open the trial of a charter.
func mayCreate(u *User, st *trial.Statement) error {
	body, ok := st.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return fmt.Errorf("invalid charter: got a body of type %T", st.Predicate.Body)
	}
	if u.sponsors(st.ID) {
		return nil // sent again
	}
	for _, g := range u.Grants {
		if g.Role == RoleSponsor && g.Organisation != "" && g.Organisation == body.SponsorOrganisation {
			return nil
		}
	}
	return notPermitted("creating a trial needs a sponsor grant for the charter's sponsor organisation")
}

// sponsors tells whether the user is a sponsor of the trial.
func (u *User) sponsors(charter trial.ID) bool {
	return u != nil && !charter.IsZero() && slices.ContainsFunc(u.Grants, func(g Grant) bool {
		return g.Role == RoleSponsor && g.Trial == charter
	})
}

// submitsFor tells whether the user submits for a site of the trial.
func (u *User) submitsFor(charter trial.ID, site string) bool {
	return site != "" && slices.ContainsFunc(u.Grants, func(g Grant) bool {
		return g.Role == RoleSite && g.Trial == charter && slices.Contains(g.Sites, site)
	})
}
