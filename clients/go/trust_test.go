package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func TestTrustFolder(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	dir := filepath.Join(t.TempDir(), "trust")
	must(t, WriteTrust(dir, n.trust))
	must(t, os.WriteFile(filepath.Join(dir, "README.txt"), []byte("not part of it"), 0o600))
	got, err := ReadTrust(dir)
	must(t, err)
	must(t, SameAnchors(n.trust, got))
	must(t, WriteTrust(dir, got))
	book, err := ReadAuthority(got)
	must(t, err)
	e, ok := book.Enrolment(key.pub.ID)
	if !ok || e.Body.Name != "Mia Manager" || book.UpTo == 0 || book.Charter == nil {
		t.Errorf("got %+v, %v, %+v", e, ok, book)
	}
	s, err := book.Signer(key.pub.ID, "")
	if err != nil || s.Role != trial.RoleDataManager || s.Organisation != "Example Pharma" {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err := book.Signer(n.sponsor.pub.ID, ""); err != nil || s.Role != trial.RoleSponsor || s.Name != "Ada" {
		t.Errorf("sponsor: got %+v, %v", s, err)
	}
	if s, err := book.Signer(n.recovery.pub.ID, ""); err != nil || s.Role != trial.RoleRecovery {
		t.Errorf("recovery: got %+v, %v", s, err)
	}
	if _, err := ReadTrust(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got %v, want ErrNotExist", err)
	}
}

// A notary cannot make a revocation be forgotten by leaving it out.
func TestTrustFolderNeverForgets(t *testing.T) {
	n := newTestNotary(t)
	n.open(n.dial(Options{}))
	dir := t.TempDir()
	must(t, WriteTrust(dir, n.trust))
	files := n.trust.Files()
	last := ""
	for p := range files {
		if strings.HasPrefix(p, "authority/") && strings.HasSuffix(p, ReceiptSuffix) && p > last {
			last = p
		}
	}
	list := files["authority/as-of.json"]
	for what, change := range map[string]func(){
		"want what":     func() { delete(files, last) },
		"an older list": func() { delete(files, "authority/as-of.json") },
	} {
		kept := files[last]
		change()
		less, err := receipt.ParseTrust(files)
		must(t, err)
		if err := WriteTrust(dir, less); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q", err, what)
		}
		files[last], files["authority/as-of.json"] = kept, list
	}
	other, err := receipt.NewTrust(n.trust.LogKeys[0], files["policy"], n.trust.Notary, newTestKey(t).pub, n.trust.Charter)
	must(t, err)
	if err := WriteTrust(dir, other); !errors.Is(err, ErrOtherAnchors) {
		t.Errorf("got %v, want ErrOtherAnchors", err)
	}
}

func TestReads(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	n.open(c)
	for _, err := range c.List(context.Background(), Query{Trial: n.trust.Charter.String()}) {
		if _, ok := errors.AsType[*Refused](err); !ok {
			t.Errorf("got %v, want the error of a notary that does not list", err)
		}
	}
}

func TestDraftSame(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	d, err := NewDraft(n.trust, nil, key.pub, "")
	must(t, err)
	d.Subjects = []trial.Subject{{Name: "a", Digests: trial.SHA256([32]byte{0xab})}}
	d.Predicate.Kind, d.Predicate.Meaning = trial.KindDataset, trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine}
	env := n.dataset(key, "a")
	if d.Same(env) {
		t.Error("other content counts as the same")
	}
	env, err = d.Sign(key.priv, testTime, "Europe/Berlin")
	must(t, err)
	if !d.Same(env) {
		t.Error("the draft itself does not count as the same")
	}
	for what, change := range map[string]func(*Draft){
		"version":  func(d *Draft) { d.Predicate.Version = "2" },
		"site":     func(d *Draft) { d.Predicate.Site = "701" },
		"declared": func(d *Draft) { d.Predicate.Declared = trial.NewInstant(testTime.Add(1e9), "UTC") },
		"body": func(d *Draft) {
			d.Predicate.Body = &trial.DataBody{Origin: trial.OriginLab, Purpose: trial.PurposeRoutine}
		},
		"subject": func(d *Draft) { d.Subjects = append(d.Subjects, d.Subjects[0]) },
	} {
		other := *d
		change(&other)
		if other.Same(env) {
			t.Errorf("%s: counts as the same", what)
		}
	}
	if d.Same(&trial.Envelope{Payload: []byte("x")}) {
		t.Error("no statement counts as the same")
	}
}
