package client

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// CreateTrial submits a charter and fetches the new trial's trust folder, which
// is checked to hold this charter and its signer's key. The log's and the
// notary's keys in it are as the notary gives them: whoever uses the folder
// compares its fingerprint by another channel.
//
// The charter is not stored here: hold it in a Batch until its receipt is
// written, since a second charter for the same registry numbers is another
// trial.
func (c *Client) CreateTrial(ctx context.Context, charter *trial.Envelope) (*Receipt, *receipt.Trust, error) {
	st, err := trial.ParseStatement(charter.Payload)
	if err != nil {
		return nil, nil, err
	}
	if st.Predicate.Kind != trial.KindCharter {
		return nil, nil, fmt.Errorf("invalid charter: got a statement of kind %q, want %q", st.Predicate.Kind, trial.KindCharter)
	}
	var resp *notaryv1.SubmitResponse
	err = c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.Submit(ctx, &notaryv1.SubmitRequest{Envelope: toProto(charter)})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	trust, err := c.FetchTrust(ctx, st.ID.String())
	if err != nil {
		return nil, nil, err
	}
	if trust.Charter != st.ID {
		return nil, nil, fmt.Errorf("%w: got a trust folder of trial %s, want %s", ErrReceipt, trust.Charter, st.ID)
	}
	if trust.Sponsor.ID != st.Predicate.Signer.KeyID {
		return nil, nil, errors.Join(ErrReceipt, fmt.Errorf("invalid trust folder: got sponsor key %s, want %s", trust.Sponsor.ID, st.Predicate.Signer.KeyID))
	}
	// What log this is was not known when the charter was sent: whatever was
	// seen of it since counts as overtaking, and the newest one is asked for.
	r, err := c.newChecker(trust).check(ctx, question{id: st.ID, floor: math.MaxUint64}, resp.GetReceipt())
	if err != nil {
		return nil, nil, err
	}
	return r, trust, nil
}
