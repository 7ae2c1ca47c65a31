package notary_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

// rebuilt runs Rebuild from a world's own database into a new one, but for the
// statements that change drops or alters.
func (w *world) rebuilt(t *testing.T, change func(*notary.Salvaged) *notary.Salvaged, pending ...*notary.Salvaged) (*store.Store, notary.RebuildReport, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new.db")
	must(t, store.Create(path))
	fresh, err := store.Open(path)
	must(t, err)
	t.Cleanup(func() { must(t, fresh.Close()) })
	c := w.cfg
	c.Log, c.Store = w.log, fresh
	report, err := notary.Rebuild(t.Context(), c, func(ctx context.Context, leaf receipt.Hash) (*notary.Salvaged, error) {
		rec, err := w.db.ByLeaf(ctx, leaf)
		if err != nil {
			return nil, err
		}
		found := change(&notary.Salvaged{Envelope: rec.Envelope, SignerDER: rec.SignerDER})
		if found == nil {
			return nil, notary.ErrNotFound
		}
		return found, nil
	}, pending)
	return fresh, report, err
}

func unchanged(s *notary.Salvaged) *notary.Salvaged { return s }

// TestRebuild makes a new store that agrees with the log and lists the same as the
// old one: with a trial's whole authority, time marks, a duplicate and a statement
// without an entry.
func TestRebuild(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(trial.Registry{"nct": "NCT01234567"})
	w.submit(s.registration("NCT07654321"))
	w.submit(s.dataset(h, "701", "one"))
	w.clock.Add(markInterval)
	logged := w.submit(s.dataset(h, "701", "two")).Record
	w.crash()
	key := public(t, h.key)
	if _, err := w.log.Add(t.Context(), receipt.Entry(&logged.Envelope, key))(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := &notary.Salvaged{Envelope: *s.dataset(h, "701", "waiting"), SignerDER: key.DER}
	twice := &notary.Salvaged{Envelope: logged.Envelope, SignerDER: key.DER}
	fresh, report, err := w.rebuilt(t, unchanged, waiting, twice)
	must(t, err)
	if report.Entries != w.log.Size() || report.Statements != int(report.Entries)-1 || report.Pending != 1 || report.Lost != 0 {
		t.Errorf("got %+v of %d entries", report, w.log.Size())
	}
	all := notary.Query{After: -1, Limit: 1000}
	want, err := w.db.List(t.Context(), all)
	must(t, err)
	got, err := fresh.List(t.Context(), all)
	must(t, err)
	if !slices.EqualFunc(got, want, func(a, b *notary.Record) bool {
		return a.ID == b.ID && a.Index == b.Index && a.LogTime.Equal(b.LogTime) && a.Authority == b.Authority && a.LeafHash == b.LeafHash
	}) {
		t.Errorf("got %d statements, want the %d of the old store", len(got), len(want))
	}
	c := w.cfg
	c.Log, c.Store = w.log, fresh
	if _, err := notary.Examine(t.Context(), c); err != nil {
		t.Error(err)
	}
	must(t, w.open())
}

func TestRebuildRefuses(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	target := w.submit(s.dataset(h, "701", "target")).Record
	isTarget := func(found *notary.Salvaged) bool { return idOf(&found.Envelope) == target.ID }
	cases := map[string]struct {
		change func(*notary.Salvaged) *notary.Salvaged
		want   error
		text   string
	}{
		"a statement that no source has": {func(found *notary.Salvaged) *notary.Salvaged {
			if isTarget(found) {
				return nil
			}
			return found
		}, notary.ErrDatabaseBehind, "1 of the log's entries have no statement in any source, the first at index 3"},
		"another valid signature": {func(found *notary.Salvaged) *notary.Salvaged {
			if isTarget(found) {
				found.Envelope = *again(t, h.key, &found.Envelope)
			}
			return found
		}, notary.ErrDamaged, "gives another entry"},
		"a changed payload": {func(found *notary.Salvaged) *notary.Salvaged {
			if isTarget(found) {
				found.Envelope.Payload[len(found.Envelope.Payload)/2] ^= 1
			}
			return found
		}, notary.ErrDamaged, "entry 3"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, report, err := w.rebuilt(t, c.change)
			wantError(t, err, c.want)
			if err != nil && !contains(err.Error(), c.text) {
				t.Errorf("got %q, want %q in it", err, c.text)
			}
			if report.Lost > 0 && !slices.Equal(report.LostAt, []uint64{3}) {
				t.Errorf("got lost indexes %v", report.LostAt)
			}
		})
	}
	t.Run("a pending statement that is not signed", func(t *testing.T) {
		bad := &notary.Salvaged{Envelope: trial.Envelope{Payload: target.Envelope.Payload, PayloadType: target.Envelope.PayloadType, Sig: []byte("no")}, SignerDER: target.SignerDER}
		_, _, err := w.rebuilt(t, unchanged, bad)
		wantError(t, err, notary.ErrDamaged)
	})
}
