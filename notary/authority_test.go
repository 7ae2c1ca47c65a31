package notary_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func TestASiteKeyActsOnceItsInvestigatorEndorsedIt(t *testing.T) {
	w := newWorld(t)
	s := newStudy(t, nil)
	w.submit(s.charter)
	inv, env := s.enrol("inv-701", trial.HolderPerson, trial.OrganisationSite, trial.RoleInvestigator, "701")
	w.submit(env)
	coo, cooEnv := s.enrol("coo-701", trial.HolderPerson, trial.OrganisationSite, trial.RoleSiteCoordinator, "701")
	w.submit(cooEnv)
	data := s.dataset(coo, "701", "dm")
	_, err := w.Submit(t.Context(), data, nil)
	wantRefusal(t, err, trial.ReasonKeyNotActive)
	w.submit(s.endorse(inv, "701", idOf(cooEnv)))
	w.submit(data)
	w.reopen()
	w.submit(s.dataset(coo, "701", "after a restart"))
	_, err = w.Submit(t.Context(), s.dataset(coo, "704", "dm"), nil)
	wantRefusal(t, err, trial.ReasonKeyOtherSite)
}

// TestAStatementBehindARevocation: admission knows the key as it is now, the
// fold knows the order.
func TestAStatementBehindARevocation(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	early := w.submit(s.dataset(h, "701", "early"))
	w.log.Queue()
	revocation, late := make(chan *notary.Result), make(chan *notary.Result)
	submit := func(env *trial.Envelope, to chan *notary.Result) {
		res, err := w.Submit(t.Context(), env, nil)
		if err != nil {
			t.Error(err)
		}
		to <- res
	}
	go submit(s.revoke(h, nil), revocation)
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	go submit(s.dataset(h, "701", "late"), late)
	waitFor(t, func() bool { return w.log.Queued() == 2 })
	must(t, w.log.Flush(false))
	w.verified(<-revocation)
	v := w.verdict(<-late)
	if v.Verified || v.Check(receipt.CheckKeyNotRevoked).Outcome != receipt.Failed {
		t.Errorf("got verdict %q %+v, want one that names the revocation", v.Summary, v.Checks)
	}
	again, err := w.Receipt(t.Context(), early.Record.ID)
	must(t, err)
	w.verified(again)
	_, err = w.Submit(t.Context(), s.dataset(h, "701", "later"), nil)
	wantRefusal(t, err, trial.ReasonKeyRevoked)
}

// TestAKeyThatSignsOften signs until the server verifies its signatures by a
// table, which changes nothing: all receipts verify by crypto/ecdsa, forgeries are
// refused, and so is the key once it is revoked, also after a restart.
func TestAKeyThatSignsOften(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	var all sync.WaitGroup
	for range 200 {
		env := s.dataset(h, "701", "dm")
		all.Go(func() {
			if _, err := w.Submit(t.Context(), env, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	good := s.dataset(h, "701", "dm")
	first := w.submit(good)
	forged := again(t, newKey(t), s.dataset(h, "701", "dm"))
	_, err := w.Submit(t.Context(), forged, nil)
	wantRefusal(t, err, trial.ReasonBadSignature)
	sameReceipt(t, first, w.submit(again(t, h.key, good)))

	w.submit(s.revoke(h, nil))
	for range 2 {
		_, err = w.Submit(t.Context(), s.dataset(h, "701", "dm"), nil)
		wantRefusal(t, err, trial.ReasonKeyRevoked)
		w.reopen()
	}
	if _, err := w.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAuthorityStatementsGoOneAtATime(t *testing.T) {
	w := newWorld(t)
	s := newStudy(t, nil)
	w.submit(s.charter)
	inv, env := s.enrol("inv-701", trial.HolderPerson, trial.OrganisationSite, trial.RoleInvestigator, "701")
	w.submit(env)
	_, coo := s.enrol("coo-701", trial.HolderPerson, trial.OrganisationSite, trial.RoleSiteCoordinator, "701")
	w.submit(coo)
	other, _ := w.manager(nil)

	w.log.Queue()
	revoked := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), s.revoke(inv, nil), nil)
		revoked <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	endorsed := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), s.endorse(inv, "701", idOf(coo)), nil)
		endorsed <- err
	}()
	// Another trial's authority does not wait.
	_, third := other.enrol("p-3", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	enrolled := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), third, nil)
		enrolled <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 2 })
	must(t, w.log.Flush(false))
	must(t, <-revoked)
	must(t, <-enrolled)
	wantRefusal(t, <-endorsed, trial.ReasonKeyRevoked)
}

func TestManyAuthorityStatementsAtOnce(t *testing.T) {
	w := newWorld(t)
	s := newStudy(t, nil)
	w.submit(s.charter)
	var wg sync.WaitGroup
	for i := range 30 {
		h, env := s.enrol(fmt.Sprintf("p-%d", i), trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
		wg.Go(func() {
			if _, err := w.Submit(t.Context(), env, nil); err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Submit(t.Context(), s.revoke(h, nil), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	report, err := w.Check(t.Context())
	must(t, err)
	if report.NoEffect != 0 || report.Trials != 1 {
		t.Errorf("got report %+v, want every authority statement to have its effect", report)
	}
	trust, err := w.Trust(t.Context(), s.id)
	must(t, err)
	n := 0
	for name := range trust.Files() {
		if ok := len(name) > len("authority/") && name[:10] == "authority/"; ok {
			n++
		}
	}
	if want := 61*2 + 1; n != want { // receipts with their evidence, and the list
		t.Errorf("got %d files in authority, want %d", n, want)
	}
}

func TestManyTrialsInASmallCache(t *testing.T) {
	w := newWorld(t, func(c *notary.Config) { c.CachedTrials = 1 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, h := w.manager(nil)
			for i := range 5 {
				w.submit(s.dataset(h, "701", fmt.Sprint(i)))
			}
			_, env := s.enrol("p-2", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
			w.submit(env)
		})
	}
	wg.Wait()
	_, err := w.Check(t.Context())
	must(t, err)
}

func TestARegistryNumberOfTwoChartersNamesNeither(t *testing.T) {
	w := newWorld(t)
	registry := trial.Registry{"nct": "NCT01234567"}
	a := newStudy(t, registry)
	w.submit(a.charter)
	id, err := w.Resolve(t.Context(), "NCT01234567")
	must(t, err)
	if id != a.id {
		t.Errorf("got trial %s, want %s", id, a.id)
	}
	b := newStudy(t, registry)
	w.submit(b.charter)
	_, err = w.Resolve(t.Context(), "NCT01234567")
	wantRefusal(t, err, trial.ReasonAmbiguousTrial)
	for _, s := range []*study{a, b} {
		id, err := w.Resolve(t.Context(), s.id.String())
		must(t, err)
		if id != s.id {
			t.Errorf("got trial %s, want %s", id, s.id)
		}
	}
	for _, name := range []string{"NCT07654321", trial.ID{1}.String(), ""} {
		_, err := w.Resolve(t.Context(), name)
		wantError(t, err, notary.ErrNotFound)
	}
}

func TestTrustAndVerify(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	res := w.submit(s.dataset(h, "701", "dm"))
	v, err := w.Verify(t.Context(), s.id, res.Bundle, res.Evidence, nil)
	must(t, err)
	if !v.Verified || v.AuthorityUpTo <= res.Record.Index {
		t.Errorf("got verdict %+v, want verified, and revocations known beyond index %d", v, res.Record.Index)
	}
	v, err = w.Verify(t.Context(), s.id, res.Bundle, nil, []receipt.File{{Name: "dm.json", SHA256: [32]byte{1}}})
	must(t, err)
	if v.Verified || v.Check(receipt.CheckFileDigest).Outcome != receipt.Failed {
		t.Errorf("got verdict %+v, want the other file found", v)
	}
	w.submit(s.revoke(h, &res.Record.Index))
	v, err = w.Verify(t.Context(), s.id, res.Bundle, res.Evidence, nil)
	must(t, err)
	if v.Verified || v.Check(receipt.CheckKeyNotRevoked).Outcome != receipt.Failed {
		t.Errorf("got verdict %+v, want the suspect key found", v)
	}
	_, err = w.Verify(t.Context(), s.id, []byte("{}"), nil, nil)
	wantError(t, err, notary.ErrNotReceipt)
	_, err = w.Verify(t.Context(), s.id, res.Bundle, []byte("{}"), nil)
	wantError(t, err, notary.ErrNotEvidence)
	_, err = w.Verify(t.Context(), trial.ID{1}, res.Bundle, nil, nil)
	wantError(t, err, notary.ErrNotFound)
	_, err = w.Trust(t.Context(), trial.ID{1})
	wantError(t, err, notary.ErrNotFound)
}

func TestReads(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	res := w.submit(s.dataset(h, "701", "dm"))
	rec, err := w.Statement(t.Context(), res.Record.ID)
	must(t, err)
	if rec.Index != res.Record.Index {
		t.Errorf("got index %d, want %d", rec.Index, res.Record.Index)
	}
	_, err = w.Statement(t.Context(), trial.ID{1})
	wantError(t, err, notary.ErrNotFound)
	_, err = w.Receipt(t.Context(), trial.ID{1})
	wantError(t, err, notary.ErrNotFound)
	digest := digestOf([]byte("dm"), "")
	q := notary.Query{Digest: digest.Digests.Text()[trial.DigestSHA256], After: -1, Below: w.Checkpoint().Size, Limit: 10}
	found, err := w.FindSubject(t.Context(), q)
	must(t, err)
	if len(found) != 1 || found[0].ID != res.Record.ID {
		t.Errorf("got %d statements, want the dataset's", len(found))
	}
	q.Visible = &notary.Visible{Grants: []notary.VisibleGrant{{Charter: s.id, Sites: []string{"704"}}}}
	found, err = w.FindSubject(t.Context(), q)
	must(t, err)
	if len(found) != 0 {
		t.Errorf("got %d statements, want none of another site", len(found))
	}
	if _, err = w.FindSubject(t.Context(), notary.Query{}); err == nil {
		t.Error("a query without digest was taken")
	}
	mark, err := w.Receipt(t.Context(), w.logged()[0].record.ID)
	must(t, err)
	if mark.Record.Kind != trial.KindTimeMark || mark.Record.Index != 0 {
		t.Errorf("got %s at %d, want the first time mark", mark.Record.Kind, mark.Record.Index)
	}
}

// TestAReceiptBeforeTheEffect: between the moment when an authority statement has
// its index in the store and the one when it takes effect, a reader waits.
func TestAReceiptBeforeTheEffect(t *testing.T) {
	w := newWorld(t, func(c *notary.Config) { c.MarkInterval = time.Hour })
	s := newStudy(t, nil)
	w.submit(s.charter)
	_, env := s.enrol("dm", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleDataManager)
	read := make(chan error, 1)
	w.db.onPlaced(func() {
		go func() {
			_, err := w.Receipt(t.Context(), idOf(env))
			read <- err
		}()
		select {
		case err := <-read:
			read <- err
		case <-time.After(50 * time.Millisecond):
		}
	})
	w.submit(env)
	if err := <-read; err != nil {
		t.Errorf("got %v, want the receipt", err)
	}
}

// TestAKeyOfTwoTrialsAtOnce enrols one key in two trials at the same time: one of
// them must not get it.
func TestAKeyOfTwoTrialsAtOnce(t *testing.T) {
	w := newWorld(t)
	one, two := newStudy(t, nil), newStudy(t, nil)
	w.submit(one.charter)
	w.submit(two.charter)
	for i := range 10 {
		h, first := one.enrol(fmt.Sprint("holder-", i), trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
		second := two.resign(h)
		var wait sync.WaitGroup
		errs := make([]error, 2)
		for i, env := range []*trial.Envelope{first, second} {
			wait.Go(func() { _, errs[i] = w.Submit(t.Context(), env, nil) })
		}
		wait.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("got %v and %v, want one of them refused", errs[0], errs[1])
		}
		// Whoever was told to send it again learns for good.
		for i, env := range []*trial.Envelope{first, second} {
			if errs[i] != nil {
				_, err := w.Submit(t.Context(), env, nil)
				wantRefusal(t, err, trial.ReasonKeyInUse)
			}
		}
	}
}
