package store

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// TestManySubjects places more subjects than one piece of a lookup holds, with names
// that JSON has to escape, some of them without a SHA-256 of a file.
func TestManySubjects(t *testing.T) {
	s := newStore(t)
	s.maxRecent = 10
	r := newRecord("folder", func(r *notary.Record) {
		r.Subjects = nil
		for i := range 2*piecePairs + 5 {
			digests := hexDigest("sha256", fmt.Sprintf("%064x", i*7919))
			if i%10 == 3 {
				digests = hexDigest("tn-manifest-v1", fmt.Sprintf("%064x", i))
			}
			r.Subjects = append(r.Subjects, trial.Subject{Name: fmt.Sprintf("a b/<ä>/%d", i), Digests: digests})
		}
	})
	putPlaced(t, s, 7, r)
	for i, subject := range r.Subjects {
		if i%25 > 3 {
			continue // reading the statement back takes its time
		}
		digest := subject.Digests.Text()["sha256"]
		if digest == "" {
			digest = subject.Digests.Text()["tn-manifest-v1"]
		}
		got, err := s.List(t.Context(), notary.Query{Digest: digest, After: -1, Limit: 2})
		want := []*notary.Record{asRead(r)}
		if subject.Digests.Text()["sha256"] == "" {
			want = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, want %v", subject.Name, got, err, want)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLargeRunsAreNotMerged stores statements each of which brings more pairs than a
// run of the last level has: merging them would take ever more memory.
func TestLargeRunsAreNotMerged(t *testing.T) {
	s := newStore(t)
	s.maxRecent = 2
	var records []*notary.Record
	for n := range 2 * fanout {
		records = append(records, newRecord(fmt.Sprint("folder ", n), func(r *notary.Record) {
			r.Subjects = nil
			for i := range s.maxRecent * fanout * fanout {
				r.Subjects = append(r.Subjects, trial.Subject{
					Name: fmt.Sprint(i), Digests: hexDigest("sha256", fmt.Sprintf("%04x%04x%056x", i, n, 0)),
				})
			}
		}))
		putPlaced(t, s, uint64(n), records[n])
	}
	large := 0
	for _, r := range s.lookups.get().runs {
		if r.kind == byDigest {
			large++
		}
	}
	if large != len(records)-1 { // the first is read again with the second
		t.Errorf("got %d runs of file digests, want %d", large, len(records)-1)
	}
	for n, want := range records {
		digest := want.Subjects[n].Digests.Text()["sha256"]
		if got, err := s.List(t.Context(), notary.Query{Digest: digest, After: -1, Limit: 2}); err != nil || len(got) != 1 || got[0].ID != want.ID {
			t.Errorf("%s: got %v, %v, want statement %s", digest, got, err, want.ID)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	// Opened again, when the leaf hashes of the last ones are in no run.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.Path())
	for n, want := range records {
		if got, err := s.ByLeaf(t.Context(), want.LeafHash); err != nil || got.ID != want.ID {
			t.Errorf("by leaf: got %v, %v, want statement %s", got, err, want.ID)
		}
		sum, _ := want.Subjects[n].Digests.Get("sha256")
		if got, err := s.List(t.Context(), notary.Query{Digest: trial.ID(sum).String(), After: -1, Limit: 2}); err != nil || len(got) != 1 {
			t.Errorf("by digest: got %v, %v, want statement %s", got, err, want.ID)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRunsWithoutDigests stores statements about packages, which have no digest of a
// file: a start must not read all of them again.
func TestRunsWithoutDigests(t *testing.T) {
	s := newStore(t)
	s.maxRecent = 3
	packages := func(r *notary.Record) {
		r.Subjects = []trial.Subject{{Name: "package", Digests: hexDigest("tn-manifest-v1", fmt.Sprintf("%064x", 1))}}
	}
	var records []*notary.Record
	for n := range 4 * fanout * s.maxRecent {
		records = append(records, newRecord(fmt.Sprint("package ", n), packages))
		if n%25 == 7 {
			records[n] = newRecord(fmt.Sprint("file ", n))
		}
		putPlaced(t, s, uint64(n), records[n])
	}
	var upto [lookupKinds]int64
	for _, r := range s.lookups.get().runs {
		upto[r.kind] = max(upto[r.kind], r.upto)
	}
	if least := int64(len(records) - s.maxRecent); upto[byLeaf] < least || upto[byDigest] < least {
		t.Errorf("got runs up to %d and %d, want %d at least", upto[byLeaf], upto[byDigest], least)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.Path())
	for _, want := range records {
		if got, err := s.ByLeaf(t.Context(), want.LeafHash); err != nil || got.ID != want.ID {
			t.Errorf("by leaf: got %v, %v, want statement %s", got, err, want.ID)
		}
		digest, ok := want.Subjects[0].Digests.Text()["sha256"]
		if !ok {
			continue
		}
		if got, err := s.List(t.Context(), notary.Query{Digest: digest, After: -1, Limit: 99}); err != nil || len(got) == 0 {
			t.Errorf("by digest: got %v, %v, want statement %s", got, err, want.ID)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
