package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// signFlags are the flags of every command that signs.
func (a *app) signFlags(f *pflag.FlagSet) {
	f.StringVar(&a.flags.Key, "key", "", "signing key `FILE`")
	f.StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` for receipts (default: beside each input)")
}

// actFlags are the flags of a command that signs a statement about no file.
func (a *app) actFlags(f *pflag.FlagSet) {
	a.signFlags(f)
	f.StringVarP(&a.actOut, "out", "o", "", "write `NAME`.receipt.json (default: KIND-ID)")
}

// act signs and submits one statement that is about no file: an enrolment, a
// revocation, an endorsement. fill completes the draft.
func (a *app) act(ctx context.Context, kind trial.Kind, role trial.Role, fill func(c *connection, book *client.Book, key *signer, d *client.Draft) error) error {
	key, err := a.readKey(a.cfg.Key, "--key")
	if err != nil {
		return err
	}
	c, err := a.dialTrial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	book, err := a.refreshTrust(ctx, c)
	if err != nil {
		return err
	}
	d, err := book.NewDraft(c.trust, c.state, key.pub, role)
	if err != nil {
		return err
	}
	d.Predicate.Kind = kind
	if err := fill(c, book, key, d); err != nil {
		return err
	}
	a.warnParticipants(d)
	if err := a.noneUnanswered(c, d); err != nil {
		return err
	}
	env, err := d.Sign(key.priv, a.now(), client.Zone())
	if err != nil {
		return err
	}
	if err := a.submitAct(ctx, c, env, a.actName(kind, env)); err != nil {
		return err
	}
	_, err = a.refreshTrust(ctx, c)
	return err
}

// actName is where the receipt of an act goes, without suffix.
func (a *app) actName(kind trial.Kind, env *trial.Envelope) string {
	if a.actOut != "" {
		return filepath.Join(a.cfg.Receipts, a.actOut)
	}
	return filepath.Join(a.cfg.Receipts, string(kind)+"-"+client.StatementID(env).String()[:12])
}

// submitAct submits one statement and prints what became of it.
func (a *app) submitAct(ctx context.Context, c *connection, env *trial.Envelope, name string) error {
	batch, err := c.state.Begin([]client.Item{{Envelope: env, Note: name}})
	if err != nil {
		return err
	}
	s := &submission{
		app: a, c: c, batch: batch, results: []submitResult{{Receipt: name + client.ReceiptSuffix}},
		index: map[trial.ID]int{client.StatementID(env): 0},
	}
	err = s.send(ctx)
	if r := &s.results[0]; a.afterAct != nil && r.LogIndex != nil {
		a.afterAct(ctx, c, r)
	}
	if printErr := a.printSubmitted(s.results); printErr != nil {
		return printErr
	}
	return submitStatus(s.results, err)
}

// noneUnanswered refuses an act while an earlier one of its kind has no answer.
// Such acts carry fresh proofs, so that a second one is never the first again:
// what was signed must be answered before more is signed.
func (a *app) noneUnanswered(c *connection, d *client.Draft) error {
	pending, err := c.state.Pending()
	if err != nil {
		return err
	}
	found := false
	for _, b := range pending {
		for _, it := range b.Unanswered() {
			st, err := trial.ParseStatement(it.Envelope.Payload)
			found = found || err == nil && st.Predicate.Kind == d.Predicate.Kind &&
				st.Predicate.Charter == d.Predicate.Charter && st.Predicate.Signer.KeyID == d.Predicate.Signer.KeyID
		}
	}
	if err := releaseAll(pending); err != nil {
		return err
	}
	if found {
		return fmt.Errorf("an earlier %s has no answer yet; run notary submit --resume, or notary submit --discard to forget it", d.Predicate.Kind)
	}
	return nil
}

// aboutKey is the subject of a statement that concerns a key.
func aboutKey(name string, id trial.KeyID) []trial.Subject {
	return []trial.Subject{{Name: name, Digests: trial.SHA256(id)}}
}

// aboutStatement is the subject of a statement that concerns another.
func aboutStatement(name string, id trial.ID) []trial.Subject {
	return []trial.Subject{{Name: name, Digests: trial.SHA256(id)}}
}

// readKeyID reads a key id, or takes it from a NAME.pub.
func readKeyID(arg string) (trial.KeyID, error) {
	if id, err := trial.ParseKeyID(arg); err == nil {
		return id, nil
	}
	pub, err := readPublicKey(arg)
	if err != nil {
		return trial.KeyID{}, errors.Join(fmt.Errorf("invalid key: got %q, want a key id or a NAME.pub", arg), err)
	}
	return pub.ID, nil
}
