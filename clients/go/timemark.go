package client

import (
	"context"
	"fmt"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TimeMark fetches the last time mark of the notary's before a log index and
// checks its receipt like Submit; below 0 asks for the newest. Whoever computes a
// trial's state feeds it the first mark that passes a deadline.
//
// That it is the last one before the index is the notary's word, unless the caller
// knows from the log's entries where the notary's key signed. Where there is no
// mark the error is a *Refused of the reason NOT_FOUND.
func (c *Client) TimeMark(ctx context.Context, trust *receipt.Trust, below uint64) (*Receipt, error) {
	k := c.newChecker(trust)
	floor, err := k.floor()
	if err != nil {
		return nil, err
	}
	var resp *notaryv1.GetTimeMarkResponse
	err = c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetTimeMark(ctx, &notaryv1.GetTimeMarkRequest{Below: below})
		return err
	})
	if err != nil {
		return nil, err
	}
	pb := resp.GetReceipt()
	id, err := trial.ParseID(pb.GetStatementId())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	r, err := k.check(ctx, question{id: id, floor: floor}, pb)
	if err != nil {
		return nil, err
	}
	if kind := r.Verdict.Statement.Predicate.Kind; kind != trial.KindTimeMark {
		return nil, fmt.Errorf("%w: got a statement of kind %s, want a time mark", ErrReceipt, kind)
	}
	if below > 0 && r.Index >= below {
		return nil, fmt.Errorf("%w: got the time mark at index %d, want one below %d", ErrReceipt, r.Index, below)
	}
	return r, nil
}
