package client

import (
	"context"
	"errors"
	"testing"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func TestTimeMark(t *testing.T) {
	n := newTestNotary(t)
	ctx := context.Background()
	c := n.dial(Options{})
	manager := n.open(c)
	submitted, err := c.Submit(ctx, n.trust, n.dataset(manager, "1"))
	must(t, err)
	r, err := c.TimeMark(ctx, n.trust, submitted.Index)
	must(t, err)
	body, ok := r.Verdict.Statement.Predicate.Body.(*trial.TimeMarkBody)
	if !ok || !body.Time.Equal(submitted.Verdict.LogTime) {
		t.Errorf("got the mark %+v, want that of %s", body, submitted.Verdict.LogTime)
	}
	newest, err := c.TimeMark(ctx, n.trust, 0)
	must(t, err)
	if newest.Index < r.Index {
		t.Errorf("got the newest mark at index %d, want %d or more", newest.Index, r.Index)
	}

	// What is no mark, or not where it was asked for, is not taken.
	res, err := n.service.Receipt(ctx, submitted.StatementID)
	must(t, err)
	dataset := toReceipt(res)
	lied := toReceipt(res)
	lied.StatementId = r.StatementID.String()
	for name, answer := range map[string]*notaryv1.Receipt{
		"another statement": dataset, "another id": lied, "no receipt": {},
	} {
		n.mark = answer
		if _, err := c.TimeMark(ctx, n.trust, 0); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: got %v, want ErrReceipt", name, err)
		}
	}
}
