package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
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
	return &notaryv1.SubmitResponse{Receipt: done.receipt()}, nil
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
	res      *notary.Result
	held     string // the evidence that the caller holds
	warnings []string
	created  bool // a trial, which the caller was granted
}

func (d *submitted) receipt() *notaryv1.Receipt {
	m := receiptMessage(d.res, d.held)
	m.Warnings = d.warnings
	return m
}

// proof is what a receipt says that the caller does not know and that others of
// the same checkpoint do not say, or nil where that is not all.
func (d *submitted) proof() *notaryv1.SubmitStreamProof {
	inc := d.res.Inclusion
	if inc == nil || len(d.warnings) > 0 || d.held == "" || d.held != d.res.EvidenceSHA256 {
		return nil
	}
	m := &notaryv1.SubmitStreamProof{
		LogIndex: d.res.Record.Index, Hashes: make([]byte, 0, len(inc.Path)*len(receipt.Hash{})), PublicKey: d.res.Record.SignerDER,
	}
	for i := range inc.Path {
		m.Hashes = append(m.Hashes, inc.Path[i][:]...)
	}
	return m
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

// attempt is one submission on its way. Who asks for it begins and ends it, and the
// service asks allow in between.
type attempt struct {
	*api
	call *call
	req  submission

	// What is known of the statement once it is parsed.
	id, charter trial.ID
	key         trial.KeyID
	creates     bool // a trial
	warnings    []string
	turn        func() // gives up the place among the statements of authority, or nil
}

// submit is what Submit does, and SubmitStream in two halves.
func (a *api) submit(ctx context.Context, req submission) (*submitted, error) {
	t := &attempt{api: a, call: callOf(ctx), req: req}
	s, err := t.begin()
	if err != nil {
		return nil, err
	}
	defer t.release()
	res, err := a.cfg.Service.SubmitForm(ctx, s.Envelope, s.Allow, s.Form)
	return t.end(ctx, res, err)
}

// begin reads the request.
func (t *attempt) begin() (s notary.Submission, err error) {
	if s.Envelope, err = envelopeOf(t.req.GetEnvelope()); err != nil {
		return s, err
	}
	if err := checkHeld(t.req.GetHeldEvidence()); err != nil {
		return s, err
	}
	var ok bool
	if s.Form, ok = forms[t.req.GetReceiptForm()]; !ok {
		return s, badRequest("receiptForm", "want RECEIPT_FORM_PROOF, or none for the whole receipt")
	}
	s.Allow = t.allow
	return s, t.limiter.sends(t.call, len(s.Envelope.Payload))
}

// allow decides whether the caller may hand in the statement.
func (t *attempt) allow(st *trial.Statement) error {
	p := &st.Predicate
	t.id, t.charter, t.key, t.creates = st.ID, p.Charter, p.Signer.KeyID, p.Kind == trial.KindCharter
	if err := maySubmit(t.call.user, st); err != nil {
		return err
	}
	if p.Kind.Authority() {
		var err error
		if t.turn, err = t.limiter.waits(t.call); err != nil {
			return err
		}
	}
	t.warnings = st.ParticipantWarnings()
	return nil
}

// release gives up what allow took, once the service has answered.
func (t *attempt) release() {
	if t.turn != nil {
		t.turn()
		t.turn = nil
	}
}

// end makes an answer of what the service answered.
func (t *attempt) end(ctx context.Context, res *notary.Result, err error) (*submitted, error) {
	if err != nil {
		return nil, &statementError{id: t.id, err: t.otherTrials(ctx, err)}
	}
	user := t.call.user
	done := &submitted{
		res: res, held: t.req.GetHeldEvidence(), warnings: t.warnings, created: t.creates && !user.sponsors(res.Record.ID),
	}
	if len(t.warnings) > 0 {
		// Where, and never what: the text itself may be the id.
		t.log.Warn("a statement may name a participant", zap.String("request_id", t.call.id),
			zap.Stringer("statement", t.id), zap.Strings("places", t.warnings))
	}
	if done.created {
		// The charter is logged and its creator not yet granted: a crash here is
		// mended by sending the same bytes again, which is what a caller without
		// an answer does.
		if err := t.cfg.Users.GrantTrial(ctx, user.Name, res.Record.ID); err != nil {
			return nil, &statementError{id: t.id, err: fmt.Errorf("%w: granting the new trial: %w", notary.ErrUnavailable, err)}
		}
	}
	return done, nil
}

// asks tells whether end is going to ask the database.
func (t *attempt) asks(err error) bool {
	return err == nil && t.creates || trial.ReasonOf(err) == trial.ReasonUnknownKey
}

// otherTrials says of a key that this trial does not know that it is another's,
// if the caller may see that trial. To everybody else it is unknown.
func (t *attempt) otherTrials(ctx context.Context, err error) error {
	refusal := new(trial.Refusal)
	if !errors.As(err, &refusal) || refusal.Reason != trial.ReasonUnknownKey {
		return err
	}
	found, findErr := t.cfg.Service.FindSubject(ctx, notary.Query{
		Digest: t.key.String(), Kind: trial.KindKeyEnrolment, Visible: t.call.user.visible(), After: -1, Limit: 16,
	})
	other := slices.IndexFunc(found, func(r *notary.Record) bool { return r.Charter != t.charter })
	if findErr != nil || other < 0 {
		return err
	}
	return &trial.Refusal{Reason: trial.ReasonOtherTrial, Path: refusal.Path,
		Detail: fmt.Sprintf("the key is enrolled in trial %s, not in this one", found[other].Charter)}
}

// sponsorKinds are the kinds that only a sponsor's caller hands in: they are
// signed by the trial's sponsor or recovery key, or for the sponsor by a delegate.
var sponsorKinds = []trial.Kind{
	trial.KindCharter, trial.KindKeyEnrolment, trial.KindKeyRevocation, trial.KindKeyRecovery, trial.KindDelegation,
	trial.KindRegistration,
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
