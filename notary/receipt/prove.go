package receipt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// proven is a receipt of the evidence whose statement, signature and place in
// the log were verified. Whether its signer was allowed to sign is the fold's.
type proven struct {
	receipt   *Receipt
	statement *trial.Statement
	leaf      Hash
	text      [32]byte // SHA-256 of the receipt's text
	mark      *trial.TimeMarkBody
}

// provenOrError is what is remembered of a receipt's text.
type provenOrError struct {
	proven *proven
	err    error
}

// prove verifies a receipt of the evidence, or remembers that it did.
func (v *Verifier) prove(r *Receipt) (*proven, error) {
	text := sha256.Sum256(r.raw)
	if known, ok := v.receipts.get(text); ok {
		return known.proven, known.err
	}
	p, err := v.proveNow(r)
	if err == nil {
		p.text = text
	}
	v.receipts.put(text, provenOrError{p, err})
	return p, err
}

func (v *Verifier) proveNow(r *Receipt) (*proven, error) {
	st, err := r.Statement()
	if err != nil {
		return nil, err
	}
	c := v.log.check(r)
	if err := c.err(); err != nil {
		return nil, err
	}
	if err := verifySignature(r, st, c.key); err != nil {
		return nil, err
	}
	return &proven{receipt: r, statement: st, leaf: LeafHash(r.Entry)}, nil
}

// verifySignature checks that the key is the one that the statement names and
// that it signed the statement.
func verifySignature(r *Receipt, st *trial.Statement, key *trial.PublicKey) error {
	if st.Predicate.Signer.KeyID != key.ID {
		return fmt.Errorf("the statement names the key %s, the entry has %s", st.Predicate.Signer.KeyID, key.ID)
	}
	if err := r.Envelope.Verify(key); err != nil {
		return errors.New("the signature is not that of the signer's key over this statement")
	}
	return nil
}

// proveMark verifies the receipt of a time mark: the notary's own key signed it,
// for this log, about a tree that was there before it.
func (v *Verifier) proveMark(r *Receipt) (*proven, error) {
	p, err := v.prove(r)
	if err != nil {
		return nil, err
	}
	body, err := v.markBody(p)
	if err != nil {
		return nil, err
	}
	m := *p
	m.mark = body
	return &m, nil
}

func (v *Verifier) markBody(p *proven) (*trial.TimeMarkBody, error) {
	if p.statement.Predicate.Kind != trial.KindTimeMark {
		return nil, fmt.Errorf("got a statement of kind %s, want a time mark", p.statement.Predicate.Kind)
	}
	if p.statement.Predicate.Signer.KeyID != v.trust.Notary.ID {
		return nil, errors.New("the time mark is not signed by the notary's key of the trust folder")
	}
	body, ok := p.statement.Predicate.Body.(*trial.TimeMarkBody)
	if !ok {
		return nil, errors.New("the time mark has no body that is understood")
	}
	if body.Origin != v.trust.Origin() {
		return nil, fmt.Errorf("the time mark is of the log %q, want %q", body.Origin, v.trust.Origin())
	}
	if body.Size > p.receipt.Index {
		return nil, fmt.Errorf("the time mark at index %d is about a tree of %d entries", p.receipt.Index, body.Size)
	}
	return body, nil
}

// marks are time marks in log order.
type marks []*proven

// before returns the last mark below an index, nil where there is none.
func (m marks) before(index uint64) *proven {
	n := sort.Search(len(m), func(i int) bool { return m[i].receipt.Index >= index })
	if n == 0 {
		return nil
	}
	return m[n-1]
}

// time returns the log time of an index, nil where no mark is below it.
func (m marks) time(index uint64) *time.Time {
	p := m.before(index)
	if p == nil {
		return nil
	}
	t := p.mark.Time
	return &t
}

// checkOrder demands that time never goes back along the log.
func (m marks) checkOrder() error {
	for i := 1; i < len(m); i++ {
		if m[i].mark.Time.Before(m[i-1].mark.Time) {
			return fmt.Errorf("the time mark at index %d is earlier than the one at %d", m[i].receipt.Index, m[i-1].receipt.Index)
		}
	}
	return nil
}
