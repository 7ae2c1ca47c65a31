package client

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// In either form the same bytes reach the disk: alone and in a batch.
func TestBothFormsWriteTheSameFiles(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	proofs := 0
	n.after = func(_ int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if (r.GetProof() == nil) != n.whole || (r.GetBundle() == "") == n.whole {
			t.Errorf("got %v, want whole %v", r, n.whole)
		}
		if r.GetProof() != nil {
			proofs++
		}
		return r, nil
	}
	var items []Item
	for _, content := range []string{"a", "b", "c", "d"} {
		items = append(items, Item{Envelope: n.dataset(key, content)})
	}
	written := map[bool]map[trial.ID][]byte{}
	// The first round logs them, so that both others stand under one checkpoint.
	for _, whole := range []bool{false, true, false} {
		n.whole = whole
		dir := t.TempDir()
		var mu sync.Mutex
		files := map[trial.ID][]byte{}
		must(t, c.SubmitMany(context.Background(), n.trust, items, func(it Item, r *Receipt, err error) error {
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			name := filepath.Join(dir, r.StatementID.String())
			if err := r.WriteFiles(name); err != nil {
				return err
			}
			files[StatementID(it.Envelope)], err = os.ReadFile(name + ReceiptSuffix)
			return err
		}))
		written[whole] = files
	}
	for _, it := range items {
		id := StatementID(it.Envelope)
		if len(written[true][id]) == 0 || !bytes.Equal(written[true][id], written[false][id]) {
			t.Errorf("got another receipt out of a proof than the whole one:\n%s\n%s", written[false][id], written[true][id])
		}
		n.whole = false
		one, err := c.Submit(context.Background(), n.trust, it.Envelope)
		must(t, err)
		if !bytes.Equal(one.Bundle, written[true][id]) {
			t.Errorf("alone: got another receipt than in a batch")
		}
	}
	if proofs != 3*len(items) {
		t.Errorf("got %d proofs, want %d", proofs, 3*len(items))
	}
}

// With another valid signature the first receipt comes whole, and is taken.
func TestAnotherSignatureGetsTheFirstReceipt(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	env := n.dataset(key, "a")
	first, err := c.Submit(context.Background(), n.trust, env)
	must(t, err)
	other, err := trial.Sign(key.priv, env.Payload)
	must(t, err)
	second, err := c.Submit(context.Background(), n.trust, other)
	must(t, err)
	if !bytes.Equal(second.Bundle, first.Bundle) || bytes.Equal(other.Sig, env.Sig) {
		t.Errorf("got another receipt than the first:\n%s\n%s", second.Bundle, first.Bundle)
	}
}

// A proof that is wrong in any way makes no receipt, and the error says what is
// wrong.
func TestBadProofIsNoSuccess(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	var stolen *notaryv1.Receipt
	n.after = func(_ int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) { stolen = r; return r, nil }
	_, err := c.Submit(context.Background(), n.trust, n.dataset(key, "other"))
	must(t, err)
	stranger := newTestKey(t)
	for what, b := range map[string]struct {
		change func(r *notaryv1.Receipt)
		want   string
	}{
		"altered hash":     {func(r *notaryv1.Receipt) { r.Proof.Hashes[0][0] ^= 1 }, "does not lead"},
		"hash left out":    {func(r *notaryv1.Receipt) { r.Proof.Hashes = r.GetProof().GetHashes()[1:] }, "does not lead"},
		"short hash":       {func(r *notaryv1.Receipt) { r.Proof.Hashes[0] = r.GetProof().GetHashes()[0][1:] }, "hash 0"},
		"other index":      {func(r *notaryv1.Receipt) { r.LogIndex-- }, "index"},
		"altered size":     {func(r *notaryv1.Receipt) { r.Proof.Checkpoint = nextSize(r.GetProof().GetCheckpoint()) }, "signature"},
		"no checkpoint":    {func(r *notaryv1.Receipt) { r.Proof.Checkpoint = "" }, "checkpoint"},
		"older checkpoint": {func(r *notaryv1.Receipt) { r.Proof.Checkpoint = stolen.GetProof().GetCheckpoint() }, "does not lead"},
		"another's proof":  {func(r *notaryv1.Receipt) { r.Proof, r.LogIndex = stolen.GetProof(), stolen.GetLogIndex() }, "does not lead"},
		"another's answer": {func(r *notaryv1.Receipt) {
			r.Proof, r.LogIndex, r.StatementId = stolen.GetProof(), stolen.GetLogIndex(), stolen.GetStatementId()
		}, "does not lead"},
		"another's id":      {func(r *notaryv1.Receipt) { r.StatementId = stolen.GetStatementId() }, "statement"},
		"another's key":     {func(r *notaryv1.Receipt) { r.Proof.PublicKey = stranger.pub.DER }, "key"},
		"no key":            {func(r *notaryv1.Receipt) { r.Proof.PublicKey = nil }, "key"},
		"empty proof":       {func(r *notaryv1.Receipt) { r.Proof = &notaryv1.ReceiptProof{} }, "key"},
		"both forms":        {func(r *notaryv1.Receipt) { r.Bundle = "{}" }, "want one of them"},
		"neither":           {func(r *notaryv1.Receipt) { r.Proof = nil }, "invalid receipt"},
		"evidence left out": {func(r *notaryv1.Receipt) { r.Evidence = "" }, "evidence"},
	} {
		n.after = func(_ int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) { b.change(r); return r, nil }
		r, err := c.Submit(context.Background(), n.trust, n.dataset(key, what))
		if !errors.Is(err, ErrReceipt) || r != nil || !strings.Contains(err.Error(), b.want) {
			t.Errorf("%s: got %v, want ErrReceipt about %q", what, err, b.want)
		}
	}
	// Nothing was sent that a proof alone could be put together with.
	n.after = nil
	id := StatementID(n.dataset(key, "never"))
	k := c.newChecker(n.trust)
	if _, err := k.check(context.Background(), question{id: id}, stolen); !errors.Is(err, ErrReceipt) {
		t.Errorf("a proof alone for a stored receipt: got %v, want ErrReceipt", err)
	}
}

// nextSize claims more entries than there are.
func nextSize(checkpoint string) string {
	origin, rest, _ := strings.Cut(checkpoint, "\n")
	size, rest, _ := strings.Cut(rest, "\n")
	return origin + "\n" + size + "0\n" + rest
}
