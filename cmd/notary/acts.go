package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

func (a *app) endorseCommand() *cobra.Command {
	var role, meaning string
	cmd := &cobra.Command{
		Use:   "endorse --key F ID|RECEIPT",
		Short: "Sign under another person's statement",
		Long: `endorse adds your signature to a logged statement, named by its id or by its receipt file:
an investigator activates the key of a colleague at the site, a second person approves a
protocol. Only persons endorse. It says which roles the statement waits for after that, as
the notary tells.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.endorse(cmd.Context(), args[0], trial.Role(role), trial.Meaning(meaning))
		},
	}
	f := cmd.Flags()
	a.actFlags(f)
	f.StringVar(&role, "role", "", "the `ROLE` that you sign in, if you have several")
	f.StringVar(&meaning, "meaning", string(trial.MeaningApproval), "what your signature means")
	return cmd
}

func (a *app) endorse(ctx context.Context, ref string, role trial.Role, meaning trial.Meaning) error {
	id, err := parseRef("statement", ref)
	if err != nil {
		return err
	}
	return a.act(ctx, trial.KindEndorsement, role, func(c *connection, book *client.Book, _ *signer, d *client.Draft) error {
		// The endorsement is about the site that the statement is about.
		env, err := c.endorsed(ctx, id)
		if err != nil {
			return err
		}
		d.Subjects = aboutStatement("statement", id)
		d.Predicate.Meaning = meaning
		d.Predicate.Site = env.Predicate.Site
		d.Predicate.Body = &trial.EndorsementBody{Statement: id, Decision: trial.DecisionEndorsed}
		a.notef("endorsing the %s of %s%s", env.Predicate.Kind, env.Predicate.Signer.Name, enrolledIn(env))
		a.afterAct = func(ctx context.Context, c *connection, r *submitResult) { a.stillWaits(ctx, c, book, env, r) }
		return nil
	})
}

// enrolledIn says whose key an enrolment is about: who vouches for somebody sees for
// whom, not only which sponsor asks.
func enrolledIn(st *trial.Statement) string {
	b, ok := st.Predicate.Body.(*trial.EnrolmentBody)
	if !ok {
		return ""
	}
	return fmt.Sprintf(", of key %s of %s (%s), %s", b.Key.ID, b.Name, strings.Join(roleNames(b.Roles), ", "), b.Organisation)
}

// endorsed fetches and checks the statement that is to be endorsed: nobody signs
// under what was not shown to be in the audit trail.
func (c *connection) endorsed(ctx context.Context, id trial.ID) (*trial.Statement, error) {
	r, err := c.Receipt(ctx, c.trust, id)
	if err != nil {
		return nil, err
	}
	st := r.Verdict.Statement
	if st == nil {
		return nil, fmt.Errorf("%w: the statement cannot be read", client.ErrReceipt)
	}
	return st, nil
}

func (a *app) revokeCommand() *cobra.Command {
	var cause string
	var since int64
	cmd := &cobra.Command{
		Use:   "revoke --key SPONSOR.key --cause C KEYID|NAME.pub",
		Short: "End a key's authority to sign",
		Long: `revoke ends what a key may sign, from the revocation on. What it signed before stays valid,
unless --since names the entry from which the key is suspect: receipts from there on no
longer verify.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := &trial.RevocationBody{Cause: trial.RevocationCause(cause)}
			if cmd.Flags().Changed("since") {
				if since < 0 {
					return fmt.Errorf("invalid --since: got %d, want an entry from 0", since)
				}
				n := uint64(since)
				body.SuspectSince = &n
			}
			return a.revoke(cmd.Context(), args[0], body)
		},
	}
	f := cmd.Flags()
	a.actFlags(f)
	f.StringVar(&cause, "cause", "", "compromised, lost, superseded, left or error")
	f.Int64Var(&since, "since", 0, "the `ENTRY` from which the key is suspect")
	_ = cmd.MarkFlagRequired("cause")
	return cmd
}

func (a *app) revoke(ctx context.Context, arg string, body *trial.RevocationBody) error {
	id, err := readKeyID(arg)
	if err != nil {
		return err
	}
	body.Key = id
	return a.act(ctx, trial.KindKeyRevocation, "", func(_ *connection, book *client.Book, _ *signer, d *client.Draft) error {
		if e, ok := book.Enrolment(id); ok {
			a.notef("revoking key %s of %s, %s", id, e.Body.Name, e.Body.Organisation)
		}
		d.Subjects = aboutKey("key", id)
		d.Predicate.Meaning = trial.MeaningApproval
		d.Predicate.Body = body
		return nil
	})
}

func (a *app) recoverCommand() *cobra.Command {
	var newKey string
	var last int64
	var confirmed []string
	cmd := &cobra.Command{
		Use:   "recover --key RECOVERY.key --new-key F --last-trusted ENTRY",
		Short: "Replace a lost or stolen sponsor key",
		Long: `recover names a new sponsor key; the recovery key signs. What the old key did after
--last-trusted is void, unless --confirm lists it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 0 {
				return errors.New("missing --last-trusted: want the last entry at which the old key is trusted")
			}
			return a.recover(cmd.Context(), newKey, uint64(last), confirmed)
		},
	}
	f := cmd.Flags()
	a.actFlags(f)
	f.StringVar(&newKey, "new-key", "", "the new sponsor key `FILE`")
	f.Int64Var(&last, "last-trusted", -1, "the last `ENTRY` at which the old key is trusted")
	f.StringSliceVar(&confirmed, "confirm", nil, "`ID` or receipt of a later act of the old key that stands")
	_ = cmd.MarkFlagRequired("new-key")
	return cmd
}

func (a *app) recover(ctx context.Context, newKey string, last uint64, confirmed []string) error {
	key, err := a.readKey(newKey, "--new-key")
	if err != nil {
		return err
	}
	body := &trial.RecoveryBody{NewKey: key.pub, LastTrustedIndex: last}
	for _, ref := range confirmed {
		id, err := parseRef("--confirm", ref)
		if err != nil {
			return err
		}
		body.Confirmed = append(body.Confirmed, id)
	}
	return a.act(ctx, trial.KindKeyRecovery, "", func(c *connection, _ *client.Book, _ *signer, d *client.Draft) error {
		if body.Proof, err = trial.SignPossession(key.priv, c.trust.Charter, body); err != nil {
			return err
		}
		d.Subjects = aboutKey("key", key.pub.ID)
		d.Predicate.Meaning = trial.MeaningApproval
		d.Predicate.Body = body
		return nil
	})
}

func (a *app) registerCommand() *cobra.Command {
	var number, date string
	cmd := &cobra.Command{
		Use:   "register --key SPONSOR.key --registry NAME=NUMBER",
		Short: "Claim a registry number for the trial",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.register(cmd.Context(), number, date)
		},
	}
	f := cmd.Flags()
	a.actFlags(f)
	f.StringVar(&number, "registry", "", "the number, `NAME=NUMBER`, such as nct=NCT04573309")
	f.StringVar(&date, "date", "", "`DATE` of the registration")
	_ = cmd.MarkFlagRequired("registry")
	return cmd
}

func (a *app) register(ctx context.Context, number, date string) error {
	r := trial.Registry{}
	if err := addRegistry(r, []string{number}); err != nil {
		return err
	}
	return a.act(ctx, trial.KindRegistration, "", func(c *connection, book *client.Book, _ *signer, d *client.Draft) error {
		d.Predicate.Trial = trial.Registry{}
		maps.Copy(d.Predicate.Trial, book.Numbers)
		for name, n := range r {
			d.Predicate.Trial[name] = n
			d.Predicate.Body = &trial.RegistrationBody{Registry: name, Number: n, Date: date}
		}
		d.Subjects = aboutStatement("charter", c.trust.Charter)
		d.Predicate.Meaning = trial.MeaningResponsibility
		return nil
	})
}
