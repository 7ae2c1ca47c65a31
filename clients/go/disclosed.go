package client

import (
	"context"
	"fmt"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// InLog tells whether a verdict finds the statement signed and in the log, whoever
// signed it; the error says what does not hold. Whoever folds a trial judges the
// signer's authority as part of that: a statement without it is logged, and has no
// effect.
func InLog(v *receipt.Verdict) error {
	if v.Statement == nil {
		return fmt.Errorf("%w: %s", ErrReceipt, v.Summary)
	}
	for _, name := range []receipt.CheckName{
		receipt.CheckStatementForm, receipt.CheckSignature, receipt.CheckEntry, receipt.CheckIndexes, receipt.CheckSizeAndRoot,
		receipt.CheckCheckpointSigned, receipt.CheckInclusion, receipt.CheckWitnessPolicy, receipt.CheckLogTime,
	} {
		if c := v.Check(name); c.Outcome == receipt.Failed {
			return fmt.Errorf("%w: %s: %s", ErrReceipt, c.Name, c.Detail)
		}
	}
	return nil
}

// Disclosed is a statement that the notary shows, with its proofs.
type Disclosed struct {
	*Receipt

	// TimeMarks are the receipts of the time marks in its evidence. They hold where
	// the verdict's log time does.
	TimeMarks []*receipt.Receipt
}

// Fetcher fetches many receipts of one trial. It may be used by many goroutines at
// once.
type Fetcher struct{ k *checker }

// Fetcher returns a Fetcher for a trust folder.
func (c *Client) Fetcher(trust *receipt.Trust) *Fetcher { return &Fetcher{c.newChecker(trust)} }

// Disclosed fetches the receipt of a statement and checks it like Submit, but for
// the signer's authority: see [InLog].
func (f *Fetcher) Disclosed(ctx context.Context, id trial.ID) (*Disclosed, error) {
	floor, err := f.k.floor()
	if err != nil {
		return nil, err
	}
	var resp *notaryv1.GetReceiptResponse
	err = f.k.c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = f.k.c.api.GetReceipt(ctx, &notaryv1.GetReceiptRequest{StatementId: id.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	r, err := f.k.check(ctx, question{id: id, floor: floor, accept: InLog}, resp.GetReceipt())
	if err != nil {
		return nil, err
	}
	d := &Disclosed{Receipt: r}
	if len(r.Evidence) > 0 {
		ev, err := f.k.verifier.Evidence(r.Evidence)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		d.TimeMarks = ev.TimeMarks
	}
	return d, nil
}
