package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// waiting is a role whose endorsement an act waits for.
type waiting struct {
	Role trial.Role `json:"role"`
	// Ask are the persons who may endorse in it, as the trust folder knows.
	Ask []string `json:"ask,omitzero"`
}

// waitsFor returns the roles that must endorse a statement that was just logged
// before it takes effect, and whom to ask. Nothing but the author's own role has
// been signed in.
func waitsFor(book *client.Book, st *trial.Statement, now time.Time) []waiting {
	if book == nil || book.Charter == nil || st == nil {
		return nil
	}
	charter, ok := book.Charter.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil
	}
	act := &trial.Act{Statement: st, Required: charter.RequiredEndorsements()[st.Predicate.Kind]}
	if author, ok := book.Enrolment(st.Predicate.Signer.KeyID); ok {
		act.Standing = trial.Standing{HolderID: author.Body.HolderID, Holder: author.Body.Holder, Roles: author.Body.Roles}
	}
	var out []waiting
	for _, role := range act.Missing() {
		out = append(out, whomToAsk(book, role, act, now, nil))
	}
	return out
}

// whomToAsk are the persons who may endorse an act in a role, but those who signed.
func whomToAsk(book *client.Book, role trial.Role, act *trial.Act, now time.Time, signed map[string]bool) waiting {
	w := waiting{Role: role}
	for _, e := range book.Enrolments {
		who := e.Body.Name + ", " + e.Body.Organisation
		if mayEndorse(&e, role, act, now) && !signed[e.Body.HolderID] && !slices.Contains(w.Ask, who) {
			w.Ask = append(w.Ask, who)
		}
	}
	return w
}

// stillAsked is how long an endorsement that is logged waits to hear what is missing.
const stillAsked = 15 * time.Second

// stillWaits fills in which roles an act waits for once an endorsement of it was
// logged. Which others endorsed it is the notary's word; nothing is decided by it.
func (a *app) stillWaits(ctx context.Context, c *connection, book *client.Book, st *trial.Statement, r *submitResult) {
	ctx, cancel := context.WithTimeout(ctx, stillAsked)
	defer cancel()
	t, err := c.Trial(ctx, c.trust.Charter.String(), *r.LogIndex+1)
	if err != nil {
		a.notef("note: which endorsements are still missing is not known: %v", err)
		return
	}
	act := &trial.Act{Statement: st}
	if author, ok := book.Enrolment(st.Predicate.Signer.KeyID); ok {
		act.Standing.HolderID = author.Body.HolderID
	}
	for _, p := range t.GetPending() {
		if p.GetAct().GetStatementId() != st.ID.String() {
			continue
		}
		signed := map[string]bool{}
		for _, e := range p.GetEndorsed() {
			if by, err := trial.ParseKeyID(e.GetKeyId()); err == nil {
				if holder, ok := book.Enrolment(by); ok {
					signed[holder.Body.HolderID] = true
				}
			}
		}
		for _, role := range p.GetMissing() {
			r.Waits = append(r.Waits, whomToAsk(book, trial.Role(role), act, a.now(), signed))
		}
	}
}

// people is what a trust folder says about who may sign, read once for a run.
type people struct {
	of   *receipt.Trust
	book *client.Book
}

// read returns the book of a trust folder, nil where it cannot be read: then
// nothing is said about who may endorse.
func (p *people) read(t *receipt.Trust) *client.Book {
	if p.of != t {
		p.of, p.book = t, nil
		if book, err := client.ReadAuthority(t); err == nil {
			p.book = book
		}
	}
	return p.book
}

// mayEndorse tells whether the holder of an enrolment may endorse an act in a role.
func mayEndorse(e *client.Enrolment, role trial.Role, act *trial.Act, now time.Time) bool {
	b, site := e.Body, act.Statement.Predicate.Site
	switch {
	case e.Revoked, b.Holder != trial.HolderPerson, b.HolderID == act.Standing.HolderID:
		return false
	case b.From != nil && now.Before(*b.From), b.Until != nil && !now.Before(*b.Until):
		return false
	case !b.AllSites && !slices.Contains(b.Sites, site):
		return false
	}
	return slices.Contains(b.Roles, role) && slices.Contains(b.Kinds, trial.KindEndorsement)
}

func (w waiting) print(out io.Writer) {
	ask := "nobody who may endorse has this role yet"
	if len(w.Ask) > 0 {
		ask = "ask " + strings.Join(w.Ask, "; or ")
	}
	fmt.Fprintf(out, "  waits for the endorsement of role %s: %s\n", w.Role, ask)
}
