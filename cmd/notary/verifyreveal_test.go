package main

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// What a reveal lists is judged by the commitment that the file makes with its salt,
// not by what the statement says of it.
func TestRevealIsComputedAgain(t *testing.T) {
	list := []byte("slot,arm\n1,A\n")
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		t.Fatal(err)
	}
	salt := [32]byte{7}
	want, err := trial.Commit(salt, bytes.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	st := &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindRandomisationReveal, Body: &trial.RevealBody{Salt: salt}}}
	f := receipt.File{Name: "list.csv", SHA256: sha256.Sum256(list)}
	v := &verification{}
	if err := v.contents(t.Context(), &f, path, st, &hashed{}); err != nil || f.Commitment == nil || *f.Commitment != want {
		t.Errorf("got %v (%v), want %x", f.Commitment, err, want)
	}
	f = receipt.File{Name: "list.csv", SHA256: [32]byte{1}}
	if err := v.contents(t.Context(), &f, path, st, &hashed{}); err == nil {
		t.Error("a file that changed while it was read")
	}
	f = receipt.File{Name: "list.csv", SHA256: sha256.Sum256(list)}
	st.Predicate.Kind, st.Predicate.Body = trial.KindTMFDocument, nil
	if err := v.contents(t.Context(), &f, path, st, &hashed{}); err != nil || f.Commitment != nil {
		t.Errorf("no reveal: got %v (%v)", f.Commitment, err)
	}
}
