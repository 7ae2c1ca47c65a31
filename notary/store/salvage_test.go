package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// leafOf is the leaf that a record's own bytes give.
func leafOf(r *notary.Record) receipt.Hash {
	return receipt.LeafHash(receipt.Entry(&r.Envelope, &trial.PublicKey{DER: r.SignerDER}))
}

func TestSalvage(t *testing.T) {
	s := newStore(t)
	placed, pending := newRecord("placed"), newRecord("pending")
	putPlaced(t, s, 0, placed)
	if _, err := s.Put(t.Context(), []*notary.Record{pending}); err != nil {
		t.Fatal(err)
	}
	if err := s.AdvanceMark(t.Context(), notary.Mark{}, mark(1)); err != nil {
		t.Fatal(err)
	}
	users := []User{
		{Name: "creator", TokenHash: token("c"), Grants: []Grant{{Role: RoleSponsor, Organisation: "Example Pharma"}}},
		{Name: "site", CertName: "site", Grants: []Grant{{Role: RoleSite, Trial: trial.ID{1}, Sites: []string{"701", "702"}}}},
	}
	for _, u := range users {
		if err := s.AddUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RecordRefusal(t.Context(), Refusal{Method: "m", Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	from, err := OpenSalvage(t.Context(), s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for _, want := range []*notary.Record{placed, pending} {
		got, err := from.Find(t.Context(), leafOf(want))
		if err != nil || !bytes.Equal(got.Envelope.Payload, want.Envelope.Payload) || !bytes.Equal(got.SignerDER, want.SignerDER) {
			t.Errorf("got %v, %v, want the statement", got, err)
		}
	}
	if _, err := from.Find(t.Context(), receipt.Hash{1}); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("an unknown leaf: got %v", err)
	}
	if got := from.Pending(t.Context()); len(got) != 1 || !bytes.Equal(got[0].Envelope.Payload, pending.Envelope.Payload) {
		t.Errorf("got %d pending statements, want the one", len(got))
	}
	if got, ok, err := from.Mark(t.Context()); err != nil || !ok || got != mark(1) {
		t.Errorf("got mark %v, %v, %v, want %v", got, ok, err, mark(1))
	}
	to := newStore(t)
	if err := errors.Join(from.CopyUsers(t.Context(), to), from.CopyRefusals(t.Context(), to)); err != nil {
		t.Fatal(err)
	}
	if got, err := to.ListUsers(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(users) {
		t.Errorf("got users %v, %v, want %v", got, err, users)
	}
	if got, err := to.Refusals(t.Context(), 10); err != nil || len(got) != 1 {
		t.Errorf("got refusals %v, %v, want the one", got, err)
	}
	if err := from.CopyUsers(t.Context(), to); err == nil {
		t.Error("copied users over others")
	}
	if len(from.Problems) > 0 {
		t.Errorf("got problems %q", from.Problems)
	}
}

// TestSalvageOfDamage overwrites a page in the middle of the statements: those of
// every other page are read.
func TestSalvageOfDamage(t *testing.T) {
	s := newStore(t)
	var records []*notary.Record
	for i := range 200 {
		records = append(records, newRecord(fmt.Sprint(i), func(r *notary.Record) {
			r.Envelope.Payload = bytes.Repeat([]byte(fmt.Sprint("payload ", i, " ")), 60)
		}))
	}
	putPlaced(t, s, 0, records...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.LastIndex(file, []byte("payload 100 ")) / pageSize * pageSize
	copy(file[page:], bytes.Repeat([]byte{0xee}, 64))
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := OpenSalvage(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if n := from.Statements(); n < 170 || n >= 200 {
		t.Errorf("got %d of 200 statements, want all but a page's", n)
	}
	if len(from.Problems) == 0 {
		t.Error("got no problem")
	}
	for i, lost := range map[int]bool{0: false, 100: true, 199: false} {
		if _, err := from.Find(t.Context(), leafOf(records[i])); errors.Is(err, notary.ErrNotFound) != lost {
			t.Errorf("statement %d: got %v, want lost %t", i, err, lost)
		}
	}
}

func TestSalvageRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("no database"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{foreign: ErrForeign, filepath.Join(dir, "none.db"): os.ErrNotExist} {
		if _, err := OpenSalvage(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
}
