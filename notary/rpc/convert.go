package rpc

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func badRequest(path, format string, args ...any) error {
	return &trial.Refusal{Reason: reasonBadRequest, Path: path, Detail: fmt.Sprintf(format, args...)}
}

// at puts the place of a document before a refusal's path in it.
func at(place string, err error) error {
	var refusal *trial.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	moved := *refusal
	if moved.Path == "" {
		moved.Path = place
	} else {
		moved.Path = place + "." + moved.Path
	}
	return &moved
}

// envelopeOf returns the envelope of a request. Only what the message allows and
// trial.Envelope has no room for is checked here; all else is the parser's part.
func envelopeOf(m *notaryv1.Envelope) (*trial.Envelope, error) {
	malformed := func(path, format string, args ...any) error {
		return &trial.Refusal{Reason: trial.ReasonMalformedEnvelope, Path: path, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case m == nil:
		return nil, malformed("envelope", "got none, want a DSSE envelope")
	case len(m.GetSignatures()) != 1:
		return nil, malformed("signatures", "got %d signatures, want 1", len(m.GetSignatures()))
	case m.GetPayloadType() != trial.PayloadType:
		return nil, malformed("payloadType", "want %q", trial.PayloadType)
	case len(m.GetPayload()) == 0:
		return nil, malformed("payload", "got none, want a statement")
	case len(m.GetPayload()) > trial.MaxPayload:
		return nil, &trial.Refusal{
			Reason: trial.ReasonTooLarge, Path: "payload",
			Detail: fmt.Sprintf("got %d bytes, want at most %d", len(m.GetPayload()), trial.MaxPayload),
		}
	}
	sig := m.GetSignatures()[0]
	return trial.NewEnvelope(m.GetPayload(), sig.GetKeyid(), sig.GetSig()), nil
}

func envelopeMessage(e *trial.Envelope) *notaryv1.Envelope {
	return &notaryv1.Envelope{
		Payload: e.Payload, PayloadType: e.PayloadType,
		Signatures: []*notaryv1.Signature{{Sig: e.Sig, Keyid: e.KeyID}},
	}
}

// text is bytes as a string, without a copy: receipts and evidence were a third of
// all the memory that a submission took. They are the service's, which never
// changes them.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // as said above
}

// proofMessage is what the caller of ProofOnly does not have yet.
func proofMessage(r *notary.Result) *notaryv1.ReceiptProof {
	inc := r.Inclusion
	if inc == nil {
		return nil
	}
	m := &notaryv1.ReceiptProof{
		Hashes: make([][]byte, len(inc.Path)), Checkpoint: text(inc.Checkpoint.Note), PublicKey: r.Record.SignerDER,
	}
	for i := range inc.Path {
		m.Hashes[i] = inc.Path[i][:]
	}
	return m
}

// receiptMessage leaves the evidence out where its SHA-256 is held, which is
// empty where the caller holds none.
func receiptMessage(r *notary.Result, held string) *notaryv1.Receipt {
	m := &notaryv1.Receipt{
		StatementId: r.Record.ID.String(), LogIndex: r.Record.Index,
		Bundle: text(r.Bundle), EvidenceSha256: r.EvidenceSHA256,
		Proof: proofMessage(r),
	}
	if held == "" || held != r.EvidenceSHA256 {
		m.Evidence = text(r.Evidence)
	}
	return m
}

// checkHeld reads the hash of an evidence file that a caller says it holds.
func checkHeld(held string) error {
	if held == "" {
		return nil
	}
	if _, err := trial.ParseID(held); err != nil {
		return badRequest("heldEvidence", "want the evidenceSha256 of a receipt: 64 lowercase hexadecimal digits")
	}
	return nil
}

// indexMessage describes a logged statement by what the store's index says of it.
func indexMessage(r *notary.Record) *notaryv1.Statement {
	m := &notaryv1.Statement{
		StatementId: r.ID.String(), LogIndex: r.Index, Site: r.Site, Kind: string(r.Kind), Version: r.Version,
	}
	if !r.LogTime.IsZero() {
		m.LogTime = timestamppb.New(r.LogTime)
	}
	if !r.Charter.IsZero() {
		m.Charter = r.Charter.String()
	}
	if !r.Supersedes.IsZero() {
		m.Supersedes = r.Supersedes.String()
	}
	if !r.KeyID.IsZero() {
		m.KeyId = r.KeyID.String()
	}
	return m
}

// statementMessage describes a logged statement, without its envelope.
func statementMessage(r *notary.Record) (*notaryv1.Statement, error) {
	m := indexMessage(r)
	subjects, err := trial.ReadSubjects(r.Envelope.Payload)
	if err != nil {
		// Its text alone: a refusal would be taken for one of what the caller sent.
		return nil, &statementError{id: r.ID, err: fmt.Errorf("%w: subjects of statement %s: %s", notary.ErrStoreDamaged, r.ID, err.Error())}
	}
	for _, s := range subjects {
		m.Subjects = append(m.Subjects, &notaryv1.Subject{Name: s.Name, Digests: s.Digests.Text()})
	}
	return m, nil
}

// parseID reads a statement's id from a request.
func parseID(path, s string) (trial.ID, error) {
	id, err := trial.ParseID(s)
	if err != nil {
		return id, badRequest(path, "%v", err)
	}
	return id, nil
}

// parseTime reads a moment; absent is the zero time.
func parseTime(path string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, badRequest(path, "want a time between the years 1 and 9999")
	}
	return t.AsTime(), nil
}
