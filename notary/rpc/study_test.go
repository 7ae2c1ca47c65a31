package rpc

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// study is a trial with real keys and signatures.
type study struct {
	t                 testing.TB
	sponsor, recovery crypto.Signer
	id                trial.ID
	charter           *trial.Envelope
	registry          trial.Registry
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newStudy(tb testing.TB, organisation string, registry trial.Registry, change ...func(*trial.CharterBody)) *study {
	tb.Helper()
	s := &study{t: tb, sponsor: generate(tb), recovery: generate(tb), registry: registry}
	body := &trial.CharterBody{
		SponsorKey: public(tb, s.sponsor), RecoveryKey: public(tb, s.recovery), SponsorOrganisation: organisation,
		Sites: []trial.Site{{ID: "DE-01", Name: "Site 1"}, {ID: "DE-02", Name: "Site 2"}}, RulePack: rules.Default().Digest,
	}
	for _, f := range change {
		f(body)
	}
	var err error
	body.SponsorProof, err = trial.SignPossession(s.sponsor, trial.ID{}, body)
	must(tb, err)
	body.RecoveryProof, err = trial.SignPossession(s.recovery, trial.ID{}, body)
	must(tb, err)
	s.charter = s.sign(s.sponsor, trial.KindCharter, trial.RoleSponsor, "", "", body,
		func(p *trial.Predicate) { p.Signer.Organisation = organisation })
	s.id = sha256.Sum256(s.charter.Payload)
	return s
}

func generate(tb testing.TB) crypto.Signer {
	tb.Helper()
	k, err := trial.GenerateKey()
	must(tb, err)
	return k
}

func public(tb testing.TB, k crypto.Signer) *trial.PublicKey {
	tb.Helper()
	p, err := trial.NewPublicKey(k.Public())
	must(tb, err)
	return p
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// sign makes a statement about a file; "" leaves the subject to the marshaller,
// which knows what an authority statement is about.
func (s *study) sign(key crypto.Signer, kind trial.Kind, role trial.Role, site, file string, body any, change ...func(*trial.Predicate)) *trial.Envelope {
	s.t.Helper()
	at := trial.NewInstant(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "UTC")
	st := &trial.Statement{
		Predicate: trial.Predicate{
			Charter: s.id, Trial: s.registry, Site: site, Kind: kind, Body: body, Signed: at,
			Signer:  trial.Signer{KeyID: public(s.t, key).ID, Name: "Acme", Role: role, Organisation: "Acme"},
			Meaning: trial.MeaningAuthorship,
		},
	}
	if file != "" {
		st.Subjects = []trial.Subject{{Name: file, Digests: trial.SHA256(sha256.Sum256([]byte(file)))}}
	}
	if !kind.Authority() && kind != trial.KindEndorsement {
		st.Predicate.Declared = at
	}
	for _, f := range change {
		f(&st.Predicate)
	}
	payload, err := trial.MarshalStatement(st)
	must(s.t, err)
	env, err := trial.Sign(key, payload)
	must(s.t, err)
	return env
}

// holder is an enrolled key.
type holder struct {
	key  crypto.Signer
	body *trial.EnrolmentBody
}

func (s *study) enrol(id string, role trial.Role, org trial.OrganisationType, sites ...string) (*holder, *trial.Envelope) {
	s.t.Helper()
	h := &holder{key: generate(s.t), body: &trial.EnrolmentBody{
		HolderID: id, Holder: trial.HolderPerson, Name: "Name of " + id, Organisation: "Organisation of " + id, OrganisationType: org,
		Roles: []trial.Role{role}, Sites: sites, AllSites: len(sites) == 0, Kinds: []trial.Kind{trial.KindDataset, trial.KindEndorsement},
	}}
	h.body.Key = public(s.t, h.key)
	var err error
	h.body.Proof, err = trial.SignPossession(h.key, s.id, h.body)
	must(s.t, err)
	return h, s.sign(s.sponsor, trial.KindKeyEnrolment, trial.RoleSponsor, "", "", h.body)
}

func (s *study) revoke(h *holder) *trial.Envelope {
	return s.sign(s.sponsor, trial.KindKeyRevocation, trial.RoleSponsor, "", "", &trial.RevocationBody{Key: h.body.Key.ID, Cause: trial.CauseLost})
}

// delegate lets a contract research organisation enrol by the key of a holder.
func (s *study) delegate(h *holder) *trial.Envelope {
	b := &trial.DelegationBody{
		From: "Acme", To: "Some CRO", Obligations: []string{trial.ObligationKeyEnrolment},
		Begins: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if h != nil {
		b.Keys = []trial.KeyID{h.body.Key.ID}
	}
	return s.sign(s.sponsor, trial.KindDelegation, trial.RoleSponsor, "", "", b)
}

// enrolBy is an enrolment that a holder signs instead of the sponsor.
func (s *study) enrolBy(h *holder) *trial.Envelope {
	next, _ := s.enrol("by-"+h.body.HolderID, trial.RoleMonitor, trial.OrganisationCRO)
	return s.sign(h.key, trial.KindKeyEnrolment, h.body.Roles[0], "", "", next.body, func(p *trial.Predicate) {
		p.Signer.Name, p.Signer.Organisation = h.body.Name, h.body.Organisation
	})
}

func (s *study) dataset(h *holder, site, file string, change ...func(*trial.Predicate)) *trial.Envelope {
	// The file's content is its name.
	prints := func(p *trial.Predicate) { p.Signer.Name, p.Signer.Organisation = h.body.Name, h.body.Organisation }
	return s.sign(h.key, trial.KindDataset, h.body.Roles[0], site, file,
		&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: "DM"}, append([]func(*trial.Predicate){prints}, change...)...)
}

// storeUsers, storeRefusals and logTiles are what cmd/notaryd has between this package and
// the drivers.
type storeUsers struct{ *store.Store }

func (u storeUsers) UserByToken(ctx context.Context, hash [32]byte) (*User, error) {
	return toUser(u.Store.UserByToken(ctx, hash))
}

func (u storeUsers) UserByCert(ctx context.Context, name string) (*User, error) {
	return toUser(u.Store.UserByCert(ctx, name))
}

func toUser(u *store.User, err error) (*User, error) {
	if err != nil {
		return nil, err
	}
	out := &User{Name: u.Name}
	for _, g := range u.Grants {
		out.Grants = append(out.Grants, Grant{Role: Role(g.Role), Organisation: g.Organisation, Trial: g.Trial, Sites: g.Sites})
	}
	return out, nil
}

type storeRefusals struct{ *store.Store }

func (r storeRefusals) RecordRefusals(ctx context.Context, refused []Refused) error {
	out := make([]store.Refusal, len(refused))
	for i, one := range refused {
		out[i] = store.Refusal(one)
	}
	return r.RecordRefusal(ctx, out...)
}

// logTiles tells this package which paths the log does not have.
type logTiles struct{ *tesseralog.Log }

func (l logTiles) ReadFile(path string) ([]byte, bool, error) {
	content, immutable, err := l.Log.ReadFile(path)
	if errors.Is(err, tesseralog.ErrPath) {
		err = fs.ErrNotExist
	}
	return content, immutable, err
}

// newRealWorld is a server over the real service, store and log.
func newRealWorld(tb testing.TB, change ...func(*Config)) (*world, *store.Store) {
	tb.Helper()
	w := &world{t: tb, ca: newAuthority(tb), tokens: make(map[string]string)}
	dir := tb.TempDir()
	skey, vkey, err := note.GenerateKey(rand.Reader, "notary.test")
	must(tb, err)
	signer, err := note.NewSigner(skey)
	must(tb, err)
	verifier, err := note.NewVerifier(vkey)
	must(tb, err)
	logKey, err := receipt.ParseLogKey(vkey)
	must(tb, err)
	must(tb, store.Create(filepath.Join(dir, "notary.db")))
	db, err := store.Open(filepath.Join(dir, "notary.db"))
	must(tb, err)
	tb.Cleanup(func() { must(tb, db.Close()) })
	ctx := context.Background()
	must(tb, tesseralog.Create(ctx, filepath.Join(dir, "log"), signer))
	log, err := tesseralog.Open(ctx, tesseralog.Config{Dir: filepath.Join(dir, "log"), Signer: signer, Verifier: verifier, Marks: db})
	must(tb, err)
	tb.Cleanup(func() { must(tb, log.Close(ctx)) })
	service, err := notary.Open(ctx, notary.Config{
		Log: log, Store: db, Key: generate(tb), LogKey: logKey, Policy: []byte("log " + vkey + "\nquorum none\n"),
	})
	must(tb, err)
	core, logs := observer.New(zap.DebugLevel)
	w.logs = logs
	cfg := Config{
		Service: service, Users: storeUsers{db}, Refusals: storeRefusals{db}, Tiles: logTiles{log}, Logger: zap.New(core),
		TLS: &tls.Config{
			Certificates: []tls.Certificate{w.ca.leaf(tb, "server", x509.ExtKeyUsageServerAuth, time.Time{})}, ClientCAs: w.ca.pool,
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	w.serve(cfg)
	return w, db
}

// realUser stores a user.
func (w *world) realUser(db *store.Store, name string, grants ...store.Grant) {
	w.t.Helper()
	token, hash := NewToken()
	w.tokens[name] = token
	must(w.t, db.AddUser(context.Background(), store.User{Name: name, TokenHash: hash, Grants: grants}))
}
