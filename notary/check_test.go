package notary_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// TestCheckNamesWhatIsWrong alters what the database says of one statement.
func TestCheckNamesWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	target := w.submit(s.dataset(h, "701", "dm")).Record.ID
	enrolment := w.logged()[2].record.ID
	mark := w.logged()[0].record.ID
	cases := map[string]struct {
		id    trial.ID
		alter func(rec *notary.Record) error
		want  error
		text  string
	}{
		"another payload":   {target, func(r *notary.Record) error { r.Envelope.Payload[20] ^= 1; return nil }, notary.ErrDamaged, "stored statement"},
		"another signature": {target, func(r *notary.Record) error { r.Envelope.Sig[20] ^= 1; return nil }, notary.ErrDamaged, "stored statement"},
		"a valid other signature": {target, func(r *notary.Record) error {
			r.Envelope = *again(t, h.key, &r.Envelope)
			return nil
		}, notary.ErrDamaged, "leaf hash of statement"},
		"another key":     {target, func(r *notary.Record) error { r.SignerDER = public(t, s.sponsor).DER; return nil }, notary.ErrDamaged, "which it names"},
		"a higher index":  {target, func(r *notary.Record) error { r.Index++; return nil }, notary.ErrDamaged, "the database says"},
		"no index":        {target, func(r *notary.Record) error { r.Logged = false; return nil }, notary.ErrDamaged, "no index in the database"},
		"a later time":    {target, func(r *notary.Record) error { r.LogTime = r.LogTime.Add(time.Second); return nil }, notary.ErrDamaged, "log time"},
		"not held":        {target, func(*notary.Record) error { return notary.ErrNotFound }, notary.ErrDatabaseBehind, "1 of the log's entries have no statement in the database, the first at index 3"},
		"no authority":    {enrolment, func(r *notary.Record) error { r.Authority = false; return nil }, notary.ErrDamaged, "authority"},
		"somebody's mark": {mark, func(r *notary.Record) error { r.KeyID[0] ^= 1; return nil }, notary.ErrDamaged, "key of statement"},
		"another site":    {target, func(r *notary.Record) error { r.Site = "702"; return nil }, notary.ErrDamaged, "site of statement"},
		"trial-wide":      {target, func(r *notary.Record) error { r.Site = ""; return nil }, notary.ErrDamaged, "site of statement"},
		"another kind":    {target, func(r *notary.Record) error { r.Kind = trial.KindProtocol; return nil }, notary.ErrDamaged, "kind of statement"},
		"another version": {target, func(r *notary.Record) error { r.Version += "1"; return nil }, notary.ErrDamaged, "version of statement"},
		"another charter": {target, func(r *notary.Record) error { r.Charter[0] ^= 1; return nil }, notary.ErrDamaged, "charter of statement"},
		"superseding":     {target, func(r *notary.Record) error { r.Supersedes[0] ^= 1; return nil }, notary.ErrDamaged, "superseded statement of statement"},
		"a number":        {target, func(r *notary.Record) error { r.Registry = []string{"nct:NCT01234567"}; return nil }, notary.ErrDamaged, "registry numbers of statement"},
		"authority":       {target, func(r *notary.Record) error { r.Authority = true; return nil }, notary.ErrDamaged, "cannot change the trial's authority"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.db.alter(c.id, c.alter)
			defer w.db.alter(trial.ID{}, nil)
			_, err := w.Check(t.Context())
			wantError(t, err, c.want)
			if err != nil && !contains(err.Error(), c.text) {
				t.Errorf("got error %q, want %q in it", err, c.text)
			}
		})
	}
	t.Run("the log", func(t *testing.T) {
		w.log.FailCheck(errFault)
		defer w.log.FailCheck(nil)
		_, err := w.Check(t.Context())
		wantError(t, err, notary.ErrDamaged)
		wantError(t, err, errFault)
	})
	report, err := w.Check(t.Context())
	must(t, err)
	if want := (notary.CheckReport{Entries: 4, Statements: 4, Marks: 1, Trials: 1}); report != want {
		t.Errorf("got report %+v, want %+v", report, want)
	}
}

// stored stores a statement behind the service's back.
func (w *world) stored(rec *notary.Record) {
	w.t.Helper()
	_, err := w.db.Put(w.t.Context(), []*notary.Record{rec})
	must(w.t, err)
}

// TestCheckFindsWhatTheLogHasNot places a statement of which the log holds nothing
// at the index of a duplicate: from the log alone nothing is amiss.
func TestCheckFindsWhatTheLogHasNot(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	logged := w.submit(s.dataset(h, "701", "logged")).Record
	w.crash()
	signer := public(t, h.key)
	again, err := w.log.Add(t.Context(), receipt.Entry(&logged.Envelope, signer))(t.Context())
	must(t, err)
	foreign := s.dataset(h, "701", "never logged")
	st, err := trial.ParseStatement(foreign.Payload)
	must(t, err)
	w.stored(&notary.Record{
		ID: st.ID, Envelope: *foreign, SignerDER: signer.DER, LeafHash: receipt.LeafHash(receipt.Entry(foreign, signer)),
		Charter: st.Predicate.Charter, Site: st.Predicate.Site, Kind: st.Predicate.Kind, KeyID: signer.ID, Subjects: st.Subjects,
	})
	must(t, w.db.Place(t.Context(), []notary.Placed{{ID: st.ID, Index: again, LogTime: logged.LogTime}}))
	w.cfg.Log, w.cfg.Store = w.log, w.db
	_, err = notary.Examine(t.Context(), w.cfg)
	wantError(t, err, notary.ErrDamaged)
	if err != nil && !contains(err.Error(), "places statement "+st.ID.String()) {
		t.Errorf("got error %q", err)
	}
	must(t, w.open())
	_, err = w.Check(t.Context())
	wantError(t, err, notary.ErrDamaged)
	if c := condition(t, w, notary.ConditionFullCheck); c.OK || !contains(c.Detail, st.ID.String()) {
		t.Errorf("condition full-check: got OK %t: %s", c.OK, c.Detail)
	}
}

// TestCheckOfPendingStatements: they are logged as they are, so they are judged as
// well.
func TestCheckOfPendingStatements(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.crash()
	env := s.dataset(h, "701", "pending")
	st, err := trial.ParseStatement(env.Payload)
	must(t, err)
	key := public(t, h.key)
	w.stored(&notary.Record{
		ID: st.ID, Envelope: *env, SignerDER: key.DER, LeafHash: receipt.LeafHash(receipt.Entry(env, key)),
		Charter: st.Predicate.Charter, Site: "702", Kind: st.Predicate.Kind, KeyID: key.ID, Subjects: st.Subjects,
	})
	w.cfg.Log, w.cfg.Store = w.log, w.db
	_, err = notary.Examine(t.Context(), w.cfg)
	wantError(t, err, notary.ErrDamaged)
	if err != nil && !contains(err.Error(), "site of statement") {
		t.Errorf("got error %q", err)
	}
}

// TestCheckCountsWhatTheDatabaseLost: more than one page of rows, most of them gone.
func TestCheckCountsWhatTheDatabaseLost(t *testing.T) {
	w := newWorld(t)
	w.manager(nil)
	w.crash()
	for i := range 300 {
		if _, err := w.log.Add(t.Context(), fmt.Appendf(nil, "{%d}", i))(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.cfg.Log, w.cfg.Store = w.log, w.db
	_, err := notary.Examine(t.Context(), w.cfg)
	wantError(t, err, notary.ErrDatabaseBehind)
	if err != nil && !contains(err.Error(), "300 of the log's entries have no statement in the database, the first at index 3") {
		t.Errorf("got error %q", err)
	}
	if err := w.open(); err == nil || !contains(err.Error(), "300 of the log's entries") {
		t.Errorf("opening: got %v", err)
	}
}

func TestCheckFindsABackwardMark(t *testing.T) {
	w := newWorld(t)
	w.manager(nil)
	w.crash()
	// A mark that the service would never make: the log and the store are told
	// of it behind its back.
	st, err := trial.NewTimeMark(public(t, w.key).ID, trial.TimeMarkBody{Origin: origin, Time: start.Add(-time.Hour), Size: 1})
	must(t, err)
	env, err := trial.Sign(w.key, st.Payload)
	must(t, err)
	key := public(t, w.key)
	entry := receipt.Entry(env, key)
	_, err = w.db.Put(t.Context(), []*notary.Record{{
		ID: st.ID, Envelope: *env, SignerDER: key.DER, LeafHash: receipt.LeafHash(entry),
		Kind: trial.KindTimeMark, KeyID: key.ID, Subjects: st.Subjects,
	}})
	must(t, err)
	if _, err := w.log.Add(t.Context(), entry)(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(t, w.open())
	_, err = w.Check(t.Context())
	wantError(t, err, notary.ErrDamaged)
	if err != nil && !contains(err.Error(), "goes back") {
		t.Errorf("got error %q", err)
	}
}

func TestExamineWritesNothing(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "placed"))
	w.log.FailAdd(errFault, true) // in the log, and the store does not know
	lost := s.dataset(h, "701", "in the log")
	_, err := w.Submit(t.Context(), lost, nil)
	wantError(t, err, notary.ErrUnavailable)
	w.crash()
	w.cfg.Log, w.cfg.Store = w.log, w.db
	want := notary.CheckReport{Entries: 5, Statements: 4, Marks: 1, Trials: 1, Pending: 1}
	for range 2 {
		report, err := notary.Examine(t.Context(), w.cfg)
		must(t, err)
		if report != want {
			t.Errorf("got report %+v, want %+v", report, want)
		}
	}
	rec, err := w.db.Get(t.Context(), idOf(lost))
	must(t, err)
	if rec.Logged {
		t.Error("a check placed a statement")
	}
	must(t, w.open())
	want.Statements, want.Pending = 5, 0
	report, err := w.Check(t.Context())
	must(t, err)
	if report != want {
		t.Errorf("got report %+v, want %+v", report, want)
	}
}

func TestExamineRefuses(t *testing.T) {
	cases := map[string]struct {
		damage func(w *world)
		want   error
	}{
		"a log older than the database": {func(w *world) {
			log, err := w.log.Rollback(w.log.Size() - 1)
			must(w.t, err)
			w.log = log
		}, notary.ErrLogBehind},
		"an entry without a statement": {func(w *world) {
			if _, err := w.log.Add(w.t.Context(), []byte("{}"))(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}, notary.ErrDatabaseBehind},
		"a damaged log": {func(w *world) { w.log.FailCheck(errFault) }, errFault},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.manager(nil)
			w.crash()
			c.damage(w)
			w.cfg.Log, w.cfg.Store = w.log, w.db
			_, err := notary.Examine(t.Context(), w.cfg)
			wantError(t, err, c.want)
		})
	}
}

// TestCheckWithARegistration checks a notary whose trial claimed a number later,
// which is a statement of authority, though its kind alone does not say so.
func TestCheckWithARegistration(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(trial.Registry{"nct": "NCT01234567"})
	w.submit(s.registration("NCT07654321"))
	w.submit(s.dataset(h, "701", "after"))
	report, err := w.Check(t.Context())
	must(t, err)
	if report.Trials != 1 {
		t.Errorf("got %+v, want one trial", report)
	}
}
