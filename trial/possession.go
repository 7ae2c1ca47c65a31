package trial

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PossessionType is the DSSE payload type of a proof of possession. It is of its
// own, so that no proof passes for a statement's signature or the other way
// round.
const PossessionType = "application/vnd.trialnotary.possession.v1+json"

// SignPossession proves that the caller holds a new key and agrees to the body:
// a *CharterBody (for its SponsorProof and RecoveryProof), an *EnrolmentBody or
// a *RecoveryBody (for their Proof). Proofs in the body do not count. charter is
// the trial's id, zero in a charter.
//
// What is signed is the PAE of PossessionType and the canonical JSON (RFC 8785)
// of {"body": the body without its proofs, "charter": the id or "", "key": the
// new key's id}.
func SignPossession(priv crypto.Signer, charter ID, body any) ([]byte, error) {
	switch b := body.(type) {
	case *CharterBody:
		c := *b
		c.SponsorProof, c.RecoveryProof = nil, nil
		body = &c
	case *EnrolmentBody:
		c := *b
		c.Proof = nil
		body = &c
	case *RecoveryBody:
		c := *b
		c.Proof = nil
		body = &c
	default:
		return nil, fmt.Errorf("invalid body: got a %T, which carries no proof of possession", body)
	}
	pub, err := NewPublicKey(priv.Public())
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body, encoding)
	if err != nil {
		return nil, fmt.Errorf("encoding a body: %w", err)
	}
	msg, err := possession(charter, text, pub.ID)
	if err != nil {
		return nil, err
	}
	digest := paeDigest(PossessionType, msg)
	sig, err := priv.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return sig, nil
}

// possession returns the canonical message of a proof of possession.
func possession(charter ID, body []byte, key KeyID) ([]byte, error) {
	trial := ""
	if !charter.IsZero() {
		trial = charter.String()
	}
	msg := make(jsontext.Value, 0, len(body)+180)
	msg = append(msg, `{"body":`...)
	msg = append(msg, body...)
	msg = append(msg, `,"charter":"`...)
	msg = append(msg, trial...)
	msg = append(msg, `","key":"`...)
	msg = append(msg, key.String()...)
	msg = append(msg, `"}`...)
	if err := msg.Canonicalize(); err != nil {
		return nil, fmt.Errorf("encoding a proof of possession: %w", err)
	}
	return msg, nil
}

// verifyPossession checks the proof of a new key in a statement's body. names are
// the body's proof fields; path is where this one stands.
func (st *Statement) verifyPossession(key *PublicKey, proof []byte, field string, names ...string) *Refusal {
	body, err := without(st.body, names...)
	if err != nil {
		return refuse(ReasonMalformedStatement, "predicate.body", "not an object")
	}
	msg, err := possession(st.Predicate.Charter, body, key.ID)
	if err != nil {
		return refuse(ReasonMalformedStatement, "predicate.body", "not an object")
	}
	digest := paeDigest(PossessionType, msg)
	if !ecdsa.VerifyASN1(key.Key, digest[:], proof) {
		return refuse(ReasonBadPossessionProof, "predicate.body."+field, "not a signature of the new key %s over this body", key.ID)
	}
	return nil
}

// checkPossession checks every proof that the statement's body needs.
func (st *Statement) checkPossession() *Refusal {
	switch b := st.Predicate.Body.(type) {
	case *CharterBody:
		names := []string{"sponsorProof", "recoveryProof"}
		if bad := st.verifyPossession(b.SponsorKey, b.SponsorProof, names[0], names...); bad != nil {
			return bad
		}
		return st.verifyPossession(b.RecoveryKey, b.RecoveryProof, names[1], names...)
	case *EnrolmentBody:
		return st.verifyPossession(b.Key, b.Proof, "proof", "proof")
	case *RecoveryBody:
		return st.verifyPossession(b.NewKey, b.Proof, "proof", "proof")
	}
	return nil
}
