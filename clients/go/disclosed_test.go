package client

import (
	"context"
	"errors"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func TestDisclosed(t *testing.T) {
	n := newTestNotary(t)
	ctx := context.Background()
	c := n.dial(Options{})
	manager := n.open(c)
	submitted, err := c.Submit(ctx, n.trust, n.dataset(manager, "1"))
	must(t, err)
	f := c.Fetcher(n.trust)
	d, err := f.Disclosed(ctx, submitted.StatementID)
	must(t, err)
	if d.Index != submitted.Index || len(d.TimeMarks) == 0 || d.TimeMarks[len(d.TimeMarks)-1].Index >= d.Index {
		t.Errorf("got entry %d with %d time marks, want %d", d.Index, len(d.TimeMarks), submitted.Index)
	}
	if _, err := f.Disclosed(ctx, trial.ID{1}); !isRefused(err) {
		t.Errorf("an unknown statement: got %v, want a refusal", err)
	}
	other, err := c.Submit(ctx, n.trust, n.dataset(manager, "2"))
	must(t, err)
	res, err := n.service.Receipt(ctx, other.StatementID)
	must(t, err)
	n.other = toReceipt(res)
	if _, err := f.Disclosed(ctx, submitted.StatementID); !errors.Is(err, ErrReceipt) {
		t.Errorf("the receipt of another statement: got %v, want %v", err, ErrReceipt)
	}
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*Refused](err)
	return ok
}

// What is signed and logged without authority is in the log, and nothing else is.
func TestInLog(t *testing.T) {
	passing := func(failed ...receipt.CheckName) *receipt.Verdict {
		v := &receipt.Verdict{Statement: &trial.Statement{}}
		for _, name := range failed {
			v.Checks = append(v.Checks, receipt.Check{Name: name, Outcome: receipt.Failed, Detail: "no"})
		}
		return v
	}
	for _, name := range []receipt.CheckName{receipt.CheckKeyEnrolled, receipt.CheckKeyNotRevoked, receipt.CheckValidityPeriod, receipt.CheckKind, receipt.CheckCharter} {
		if err := InLog(passing(name)); err != nil {
			t.Errorf("%s fails: got %v, want nil", name, err)
		}
	}
	for _, name := range []receipt.CheckName{
		receipt.CheckStatementForm, receipt.CheckSignature, receipt.CheckEntry, receipt.CheckIndexes, receipt.CheckSizeAndRoot,
		receipt.CheckInclusion, receipt.CheckCheckpointSigned, receipt.CheckWitnessPolicy, receipt.CheckLogTime,
	} {
		if err := InLog(passing(receipt.CheckKeyEnrolled, name)); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s fails: got %v, want %v", name, err, ErrReceipt)
		}
	}
	if err := InLog(&receipt.Verdict{Summary: "nothing"}); !errors.Is(err, ErrReceipt) {
		t.Errorf("no statement: got %v, want %v", err, ErrReceipt)
	}
}
