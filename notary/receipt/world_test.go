package receipt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"github.com/trialnotary/trialnotary/trial"
)

// world is a small trial on a log in memory. Every byte of it is the same in
// every run: keys come from names, signatures are deterministic (RFC 6979) and
// the clock is counted.
type world struct {
	t       testing.TB
	tree    *testonly.Tree
	log     LogKey
	policy  string
	notary  *actor
	sponsor *actor
	rescue  *actor
	charter trial.ID
	clock   time.Time
	logged  []logged
	// authority holds the indexes of authority statements, marks those of time
	// marks.
	authority []uint64
	marks     []uint64
	witnesses []string // names of witnesses that cosign
}

type logged struct {
	env *trial.Envelope
	key *trial.PublicKey
	st  *trial.Statement
}

// actor is a holder of a key.
type actor struct {
	priv *ecdsa.PrivateKey
	key  *trial.PublicKey
	as   trial.Signer
}

// Public and Sign make an actor a crypto.Signer that signs without randomness,
// so that the committed test cases stay as they are.
func (a *actor) Public() crypto.PublicKey { return &a.priv.PublicKey }

func (a *actor) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return a.priv.Sign(nil, digest, opts)
}

func newActor(tb testing.TB, name string, role trial.Role, organisation string) *actor {
	tb.Helper()
	d := sha256.Sum256([]byte("p256 " + name))
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		tb.Fatal(err)
	}
	key, err := trial.NewPublicKey(&priv.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	return &actor{priv: priv, key: key, as: trial.Signer{KeyID: key.ID, Name: name, Role: role, Organisation: organisation}}
}

const (
	sponsorOrg = "Example Pharma Ltd"
	siteOrg    = "Example University Hospital"
	siteID     = "701"
	otherSite  = "704"
)

// newWorld opens a trial: a time mark, then the charter.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{
		t: tb, tree: testonly.New(rfc6962.DefaultHasher), log: logKey(tb, testOrigin, "log"),
		notary:  newActor(tb, "Trial Notary", trial.RoleNotary, testOrigin),
		sponsor: newActor(tb, "Sponsor", trial.RoleSponsor, sponsorOrg),
		rescue:  newActor(tb, "Recovery", trial.RoleRecovery, sponsorOrg),
		clock:   time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
	}
	w.policy = "log " + w.log.VKey() + "\nquorum none\n"
	w.mark()
	body := &trial.CharterBody{
		SponsorKey: w.sponsor.key, RecoveryKey: w.rescue.key, SponsorOrganisation: sponsorOrg,
		Sites: []trial.Site{{ID: siteID, Name: siteOrg}, {ID: otherSite, Name: "Another Hospital"}},
	}
	body.SponsorProof = w.possession(w.sponsor, trial.ID{}, body)
	body.RecoveryProof = w.possession(w.rescue, trial.ID{}, body)
	st := w.statement(w.sponsor, trial.KindCharter, "", body)
	st.Predicate.Trial = trial.Registry{"nct": "NCT01234567"}
	w.charter = w.statementOf(w.addAuthority(w.sponsor, st)).ID
	return w
}

func (w *world) possession(a *actor, charter trial.ID, body any) []byte {
	w.t.Helper()
	sig, err := trial.SignPossession(a, charter, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return sig
}

// statement returns a statement that is not signed yet. Its salt comes from the
// position in the log.
func (w *world) statement(a *actor, kind trial.Kind, site string, body any) *trial.Statement {
	return &trial.Statement{Predicate: trial.Predicate{
		Charter: w.charter, Site: site, Kind: kind, Signer: a.as, Body: body,
		Signed: trial.NewInstant(w.clock, "Europe/Berlin"), Meaning: trial.MeaningResponsibility,
		Salt: sha256.Sum256(fmt.Appendf(nil, "salt %d", len(w.logged))),
	}}
}

// about gives a statement its files.
func about(st *trial.Statement, files ...testFile) *trial.Statement {
	for _, f := range files {
		st.Subjects = append(st.Subjects, trial.Subject{
			Name: f.name, Digests: trial.SHA256([32]byte(f.digest())),
		})
	}
	st.Predicate.Declared = st.Predicate.Signed
	return st
}

type testFile struct {
	name    string
	content string
}

func (f testFile) digest() []byte {
	d := sha256.Sum256([]byte(f.content))
	return d[:]
}

func (f testFile) file() File {
	return File{Name: f.name, SHA256: [32]byte(f.digest()), Size: uint64(len(f.content))}
}

// sign signs a statement.
func (w *world) sign(a *actor, st *trial.Statement) logged {
	w.t.Helper()
	payload, err := trial.MarshalStatement(st)
	if err != nil {
		w.t.Fatalf("%s: %v", st.Predicate.Kind, err)
	}
	return w.signPayload(a, payload)
}

func (w *world) signPayload(a *actor, payload []byte) logged {
	w.t.Helper()
	env, err := trial.Sign(a, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	st, err := trial.ParseStatement(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return logged{env: env, key: a.key, st: st}
}

// append adds an entry to the log and returns its index.
func (w *world) append(l logged) uint64 {
	w.tree.AppendData(Entry(l.env, l.key))
	w.logged = append(w.logged, l)
	return uint64(len(w.logged) - 1)
}

func (w *world) add(a *actor, st *trial.Statement) uint64 {
	w.t.Helper()
	return w.append(w.sign(a, st))
}

func (w *world) addAuthority(a *actor, st *trial.Statement) uint64 {
	w.t.Helper()
	i := w.add(a, st)
	w.authority = append(w.authority, i)
	return i
}

func (w *world) statementOf(index uint64) *trial.Statement { return w.logged[index].st }

// mark adds a time mark and moves the clock on.
func (w *world) mark() uint64 {
	w.t.Helper()
	body := trial.TimeMarkBody{
		Origin: w.log.Origin(), Time: w.clock, Size: uint64(len(w.logged)), Root: w.root(uint64(len(w.logged))),
	}
	st, err := trial.NewTimeMark(w.notary.key.ID, body)
	if err != nil {
		w.t.Fatal(err)
	}
	st.Predicate.Salt = sha256.Sum256(fmt.Appendf(nil, "salt %d", len(w.logged)))
	i := w.add(w.notary, st)
	w.marks = append(w.marks, i)
	w.clock = w.clock.Add(time.Minute)
	return i
}

func (w *world) root(size uint64) Hash { return Hash(w.tree.HashAt(size)) }

// enrol adds an enrolment of a.
func (w *world) enrol(a *actor, change func(*trial.EnrolmentBody)) uint64 {
	w.t.Helper()
	body := &trial.EnrolmentBody{
		HolderID: strings.ToLower(strings.ReplaceAll(a.as.Name, " ", "-")), Holder: trial.HolderPerson, Name: a.as.Name,
		Organisation: a.as.Organisation, OrganisationType: trial.OrganisationSite, Roles: []trial.Role{a.as.Role},
		Sites: []string{siteID}, Kinds: []trial.Kind{trial.KindDataset, trial.KindICF, trial.KindEndorsement}, Key: a.key,
	}
	if change != nil {
		change(body)
	}
	body.Proof = w.possession(a, w.charter, body)
	return w.addAuthority(w.sponsor, w.statement(w.sponsor, trial.KindKeyEnrolment, "", body))
}

func (w *world) revoke(a *actor, suspectSince *uint64) uint64 {
	w.t.Helper()
	body := &trial.RevocationBody{Key: a.key.ID, Cause: trial.CauseCompromised, SuspectSince: suspectSince}
	return w.addAuthority(w.sponsor, w.statement(w.sponsor, trial.KindKeyRevocation, "", body))
}

// checkpoint returns the signed checkpoint of a size.
func (w *world) checkpoint(size uint64) Checkpoint {
	w.t.Helper()
	text := checkpointText(w.log.Origin(), size, w.root(size))
	signed := text + "\n" + logLine(w.log, "log", text)
	for _, name := range w.witnesses {
		signed += cosignLine(witnessKey(name), name, text, uint64(w.clock.Unix())+size)
	}
	c, err := ParseCheckpoint([]byte(signed))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// receiptAt builds the receipt of an entry under the tree of a size.
func (w *world) receiptAt(index, size uint64) []byte {
	w.t.Helper()
	l := w.logged[index]
	b, err := Build(l.env, l.key, w.inclusion(index, size), Entry(l.env, l.key), w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) inclusion(index, size uint64) Inclusion {
	w.t.Helper()
	path, err := w.tree.InclusionProof(index, size)
	if err != nil {
		w.t.Fatal(err)
	}
	inc := Inclusion{Index: index, Checkpoint: w.checkpoint(size)}
	for _, h := range path {
		inc.Path = append(inc.Path, Hash(h))
	}
	return inc
}

func (w *world) receipt(index uint64) []byte { return w.receiptAt(index, uint64(len(w.logged))) }

// governing returns the indexes of the marks that govern the given entries.
func (w *world) governing(indexes ...uint64) []uint64 {
	var out []uint64
	for n, m := range w.marks {
		next := uint64(len(w.logged))
		if n+1 < len(w.marks) {
			next = w.marks[n+1]
		}
		for _, i := range indexes {
			if i > m && i <= next {
				out = append(out, m)
				break
			}
		}
	}
	return out
}

func (w *world) receipts(indexes []uint64) [][]byte {
	w.t.Helper()
	var out [][]byte
	for _, i := range indexes {
		out = append(out, w.receipt(i))
	}
	return out
}

// asOf returns the notary's list for the log's present size.
func (w *world) asOf() *trial.Envelope {
	w.t.Helper()
	size := uint64(len(w.logged))
	list := &trial.AsOf{Charter: w.charter, Origin: w.log.Origin(), Size: size, Root: w.root(size)}
	for _, i := range w.authority {
		list.Authority = append(list.Authority, w.logged[i].st.ID)
	}
	return w.signList(w.notary, list)
}

func (w *world) signList(a *actor, list *trial.AsOf) *trial.Envelope {
	w.t.Helper()
	env, err := trial.SignAsOf(a, list)
	if err != nil {
		w.t.Fatal(err)
	}
	return env
}

// evidence returns the evidence file of an entry, complete.
func (w *world) evidence(index uint64) []byte {
	w.t.Helper()
	marks := w.governing(append([]uint64{index}, w.authority...)...)
	b, err := BuildEvidence(w.receipts(w.authority), w.receipts(marks), w.asOf())
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// trust returns a trust folder of anchors alone.
func (w *world) trust() *Trust {
	w.t.Helper()
	t, err := NewTrust(w.log, []byte(w.policy), w.notary.key, w.sponsor.key, w.charter)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// fullTrust returns a trust folder with the authority receipts.
func (w *world) fullTrust() *Trust {
	w.t.Helper()
	t := w.trust()
	for _, i := range w.authority {
		ev, err := BuildEvidence(nil, w.receipts(w.governing(i)), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := t.AddAuthority(w.receipt(i), ev); err != nil {
			w.t.Fatal(err)
		}
		t.AddKey(w.logged[i].key)
	}
	t.SetAsOf(w.asOf())
	return t
}
