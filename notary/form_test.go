package notary_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// assemble is what the caller of ProofOnly does: its own envelope and the proof.
func (w *world) assemble(env *trial.Envelope, res *notary.Result) []byte {
	w.t.Helper()
	if res.Bundle != nil || res.Inclusion == nil {
		w.t.Fatalf("got a bundle of %d bytes and proof %v, want the proof alone", len(res.Bundle), res.Inclusion)
	}
	key, err := trial.ParsePublicKeyDER(res.Record.SignerDER)
	must(w.t, err)
	v, err := receipt.NewLogVerifier(w.cfg.LogKey)
	must(w.t, err)
	p := receipt.Proof{Index: res.Record.Index, Checkpoint: string(res.Inclusion.Checkpoint.Note)}
	for _, h := range res.Inclusion.Path {
		p.Hashes = append(p.Hashes, h[:])
	}
	r, err := v.Assemble(env, key, p)
	must(w.t, err)
	return r.Bytes()
}

// A proof and the envelope that was sent make the same bytes as the whole
// receipt under the same checkpoint.
func TestProofOnlyMakesTheSameReceipt(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	for _, sent := range []string{"first", "again", "after a restart"} {
		if sent == "after a restart" {
			w.reopen()
		}
		res, err := w.SubmitForm(t.Context(), env, nil, notary.ProofOnly)
		must(t, err)
		text := w.assemble(env, res)
		whole, err := w.SubmitForm(t.Context(), env, nil, notary.WholeReceipt)
		must(t, err)
		if !bytes.Equal(text, whole.Bundle) || whole.Inclusion != nil || whole.EvidenceSHA256 != res.EvidenceSHA256 {
			t.Errorf("%s: got another receipt from the proof than the whole one", sent)
		}
		w.verified(&notary.Result{Record: res.Record, Bundle: text, Evidence: res.Evidence})
	}
}

// Who sent another envelope than the one that was logged gets the whole receipt:
// with its own it would make a wrong one.
func TestProofOnlyNeedsTheLoggedEnvelope(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	first := w.submit(env)
	hinted := *env
	if hinted.KeyID = ""; env.KeyID == "" {
		t.Fatal("the envelope has no keyid")
	}
	for what, sent := range map[string]*trial.Envelope{"another signature": again(t, h.key, env), "no keyid": &hinted} {
		res, err := w.SubmitForm(t.Context(), sent, nil, notary.ProofOnly)
		must(t, err)
		if res.Inclusion != nil {
			t.Errorf("%s: got a proof, want the whole receipt", what)
		}
		sameReceipt(t, first, res)
		w.verified(res)
	}
}

// Of callers who meet while a statement is on its way, each gets what fits the
// envelope that it sent.
func TestProofOnlyOfManyCallers(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	other := again(t, h.key, env)
	w.log.Queue() // so that all wait at once
	var wg sync.WaitGroup
	results := make([]*notary.Result, 8)
	sent := []*trial.Envelope{env, other}
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = w.SubmitForm(t.Context(), sent[i%2], nil, notary.ProofOnly); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	must(t, w.log.Flush(false))
	wg.Wait()
	if t.Failed() {
		return
	}
	logged := 0 // the envelope that was logged
	if !bytes.Equal(results[0].Record.Envelope.Sig, env.Sig) {
		logged = 1
	}
	for i, res := range results {
		if i%2 == logged {
			w.assemble(sent[logged], res)
			continue
		}
		if res.Inclusion != nil {
			t.Errorf("caller %d: got a proof, want the whole receipt", i)
		}
		w.verified(res)
	}
}

func TestAWrongProofIsNotHandedOut(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.log.BreakProofs(true)
	_, err := w.SubmitForm(t.Context(), env, nil, notary.ProofOnly)
	wantError(t, err, notary.ErrDamaged)
	wantCondition(t, w, notary.ConditionReceipts, false)
	if n := w.Gauges().BadReceipts; n != 1 {
		t.Errorf("got %d bad receipts, want 1", n)
	}
	w.log.BreakProofs(false)
	res, err := w.SubmitForm(t.Context(), env, nil, notary.ProofOnly)
	must(t, err)
	w.assemble(env, res)
}
