package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// resume sends what earlier commands signed and got no answer for, or forgets
// it.
func (a *app) resume(ctx context.Context, discard bool, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("invalid arguments: got %d PATHs, want none with --resume or --discard", len(args))
	}
	if discard {
		return a.discard()
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	pending, err := c.state.Pending()
	if err != nil {
		return err
	}
	s := &submission{app: a, c: c, index: map[trial.ID]int{}, results: []submitResult{}}
	var sendErr error
	for _, b := range pending {
		if sendErr == nil {
			sendErr = s.resumeBatch(ctx, b)
		}
		sendErr = errors.Join(sendErr, b.Release())
	}
	if err := a.printSubmitted(s.results); err != nil {
		return err
	}
	return submitStatus(s.results, sendErr)
}

// resumeBatch sends one batch again under the trust folder of its trial.
func (s *submission) resumeBatch(ctx context.Context, b *client.Batch) error {
	left := b.Unanswered()
	if len(left) == 0 {
		return nil
	}
	st, err := trial.ParseStatement(left[0].Envelope.Payload)
	if err != nil {
		return err
	}
	if st.Predicate.Kind == trial.KindCharter {
		return s.sendCharter(ctx, s.c, b, left[0])
	}
	t, err := s.trustOf(ctx, st)
	if err != nil {
		return err
	}
	s.c.trust = t
	for _, it := range left {
		s.index[client.StatementID(it.Envelope)] = len(s.results)
		s.results = append(s.results, submitResult{
			Receipt: it.Note + client.ReceiptSuffix, StatementID: client.StatementID(it.Envelope).String(),
		})
	}
	s.batch = b
	return s.c.SubmitBatch(ctx, t, b, s.answered)
}

// trustOf opens the trust folder of a statement's trial.
func (s *submission) trustOf(ctx context.Context, st *trial.Statement) (*receipt.Trust, error) {
	if s.cfg.Trust != "" {
		t, err := client.ReadTrust(s.cfg.Trust)
		if err == nil && t.Charter == st.Predicate.Charter {
			return t, nil
		}
	}
	saved := s.cfg
	defer func() { s.cfg = saved }()
	s.cfg.Trust, s.cfg.Trial = "", st.Predicate.Charter.String()
	if err := s.openTrust(ctx, s.c); err != nil {
		return nil, err
	}
	return s.c.trust, nil
}

func (a *app) discard() error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	state, err := client.OpenState(dir)
	if err != nil {
		return err
	}
	pending, err := state.Pending()
	if err != nil {
		return err
	}
	ids := []string{}
	for _, b := range pending {
		for _, it := range b.Unanswered() {
			ids = append(ids, client.StatementID(it.Envelope).String())
		}
		if err := b.Discard(); err != nil {
			return err
		}
	}
	return a.print(struct {
		Discarded []string `json:"discarded"`
	}{ids}, func(w io.Writer) {
		fmt.Fprintf(w, "%s forgotten; what was sent may be logged all the same\n", count(len(ids), "statement", "statements"))
	})
}
