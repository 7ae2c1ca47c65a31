package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// Statements go several in a message, a long one alone, and each is answered.
func TestManyInAMessage(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{MaxInFlight: 100})
	key := n.open(c)
	var items []Item
	for i := range 150 {
		items = append(items, Item{Envelope: n.dataset(key, fmt.Sprint(i))})
	}
	long := &trial.Envelope{PayloadType: trial.PayloadType, Payload: []byte(strings.Repeat(" ", aloneFrom)), Sig: []byte{1}}
	items = slices.Insert(items, 70, Item{Envelope: long, Note: "long"})
	var mu sync.Mutex
	receipts, refusals := 0, 0
	submit := func() {
		t.Helper()
		receipts, refusals = 0, 0
		must(t, c.SubmitMany(context.Background(), n.trust, items, func(it Item, r *Receipt, err error) error {
			mu.Lock()
			defer mu.Unlock()
			if (it.Note == "long") != (r == nil) {
				t.Errorf("%s: got %v, %v", it.Note, r, err)
			}
			if r != nil {
				receipts++
			} else {
				refusals++
			}
			return nil
		}))
	}
	submit()
	if receipts != 150 || refusals != 1 {
		t.Errorf("got %d receipts and %d refusals, want 150 and 1", receipts, refusals)
	}
	if sum(n.messages) != 150 || len(n.messages) > 75 || slices.Max(n.messages) > itemsAtOnce || !slices.Contains(n.messages, 0) {
		t.Errorf("got messages of %v items, want 150 items, most of them together, and the long one alone", n.messages)
	}
}

func sum(all []int) (n int) {
	for _, one := range all {
		n += one
	}
	return n
}

// A result that is wrong in any way is no success.
func TestBadResultIsNoSuccess(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{MaxInFlight: 1})
	key := n.open(c)
	for what, b := range map[string]struct {
		change func(*notaryv1.SubmitStreamResults, *notaryv1.SubmitStreamProof)
		want   string
	}{
		"altered hash":  {func(_ *notaryv1.SubmitStreamResults, p *notaryv1.SubmitStreamProof) { p.Hashes[0] ^= 1 }, "does not lead"},
		"hash cut off":  {func(_ *notaryv1.SubmitStreamResults, p *notaryv1.SubmitStreamProof) { p.Hashes = p.GetHashes()[1:] }, "hash"},
		"other index":   {func(_ *notaryv1.SubmitStreamResults, p *notaryv1.SubmitStreamProof) { p.LogIndex-- }, "index"},
		"no key":        {func(_ *notaryv1.SubmitStreamResults, p *notaryv1.SubmitStreamProof) { p.PublicKey = nil }, "key"},
		"no checkpoint": {func(all *notaryv1.SubmitStreamResults, _ *notaryv1.SubmitStreamProof) { all.Checkpoint = "" }, "checkpoint"},
		"unknown id":    {func(all *notaryv1.SubmitStreamResults, _ *notaryv1.SubmitStreamProof) { all.Results[0].Id = "x" }, "id"},
		"nothing":       {func(all *notaryv1.SubmitStreamResults, _ *notaryv1.SubmitStreamProof) { all.Results[0].Result = nil }, "receipt"},
	} {
		altered := false
		n.alter = func(all *notaryv1.SubmitStreamResults) {
			if p := all.GetResults()[0].GetProof(); p != nil {
				altered = true
				b.change(all, p)
			}
		}
		items := []Item{{Envelope: n.dataset(key, what+"1")}, {Envelope: n.dataset(key, what+"2")}, {Envelope: n.dataset(key, what+"3")}}
		err := c.SubmitMany(context.Background(), n.trust, items, func(_ Item, _ *Receipt, err error) error { return err })
		if !altered || err == nil || !strings.Contains(err.Error(), b.want) {
			t.Errorf("%s: got %v (altered: %v), want an error with %q", what, err, altered, b.want)
		}
	}
}

// A proof without evidence, for an item that named none, is no receipt.
func TestProofForNothingHeld(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{MaxInFlight: 1})
	key := n.open(c)
	n.alter = func(all *notaryv1.SubmitStreamResults) {
		r := all.GetResults()[0]
		if r.GetReceipt() != nil {
			r.Result = &notaryv1.SubmitStreamResult_Proof{Proof: &notaryv1.SubmitStreamProof{LogIndex: r.GetReceipt().GetLogIndex()}}
		}
	}
	items := []Item{{Envelope: n.dataset(key, "1")}, {Envelope: n.dataset(key, "2")}}
	err := c.SubmitMany(context.Background(), n.trust, items, func(_ Item, _ *Receipt, err error) error { return err })
	if !errors.Is(err, ErrReceipt) {
		t.Errorf("got %v, want ErrReceipt", err)
	}
}
