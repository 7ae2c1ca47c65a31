package rules

import (
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial"
)

// day is that of a story's clock.
const day = 24 * time.Hour

// begin is when every story begins: noon, so that dates are the same everywhere.
var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// sponsorName is who runs the trials of the stories.
const sponsorName = "Example Sponsor"

// somebody has a key of these roles, at one site or at all.
type somebody struct {
	id    string
	roles []trial.Role
	site  string
}

// cast is everybody in the stories.
var cast = []somebody{
	{"cmo", []trial.Role{trial.RoleSponsorMedical}, ""},
	{"stat", []trial.Role{trial.RoleBiostatistician}, ""},
	{"ustat", []trial.Role{trial.RoleUnblindedStatistician}, ""},
	{"qa", []trial.Role{trial.RoleQA}, ""},
	{"dm", []trial.Role{trial.RoleDataManager}, ""},
	{"both", []trial.Role{trial.RoleDataManager, trial.RoleBiostatistician}, ""},
	{"edc", []trial.Role{trial.RoleEDCSystem}, ""},
	{"cra", []trial.Role{trial.RoleMonitor}, ""},
	{"pi701", []trial.Role{trial.RoleInvestigator}, "701"},
	{"pi704", []trial.Role{trial.RoleInvestigator}, "704"},
}

// keyOf returns the key of somebody, the same in every story.
func keyOf(who string) *ecdsa.PrivateKey {
	keysMu.Lock()
	defer keysMu.Unlock()
	if keys[who] == nil {
		k, err := trial.GenerateKey()
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		keys[who] = k
	}
	return keys[who]
}

var (
	keysMu sync.Mutex
	keys   = map[string]*ecdsa.PrivateKey{}
)

// story is a trial that a test tells. Every statement of it is signed, and folded
// as its envelope was read.
type story struct {
	rapid.TB
	program *Program
	engine  *Engine
	charter trial.Logged
	log     []trial.Logged // what was folded after the charter
	next    uint64         // index
	now     time.Time      // log time
	salt    uint64

	names map[string]string // of statements, by id: what findings are shown with
	byAt  map[uint64]string // the same by index
}

// tell begins a story: a charter and the cast's enrolments. change edits the
// charter.
func tell(tb rapid.TB, change ...func(*trial.CharterBody)) *story {
	tb.Helper()
	b := &trial.CharterBody{
		SponsorKey: pub(tb, "sponsor"), RecoveryKey: pub(tb, "recovery"), SponsorOrganisation: sponsorName,
		Sites:    []trial.Site{{ID: "701", Name: "Graz"}, {ID: "704", Name: "Linz"}},
		RulePack: Default().Digest, RandomisationList: true,
	}
	for _, c := range change {
		c(b)
	}
	b.SponsorProof, b.RecoveryProof = proof(tb, "sponsor", trial.ID{}, b), proof(tb, "recovery", trial.ID{}, b)
	y := &story{TB: tb, next: 10, now: begin, names: map[string]string{}, byAt: map[uint64]string{}}
	st := y.sign("sponsor", trial.Predicate{Kind: trial.KindCharter, Body: b}, nil)
	y.charter = trial.Logged{Statement: st, Index: y.next, Time: y.now}
	y.next++
	var err error
	if y.program, err = packs().Program(b); err != nil {
		tb.Fatal(err)
	}
	if y.engine, err = NewEngine(y.charter, y.program); err != nil {
		tb.Fatal(err)
	}
	for i := range cast {
		y.enrol(i)
	}
	return y
}

// packs keeps what was compiled for all stories.
var packs = sync.OnceValue(func() *Packs { return NewPacks() })

func pub(tb rapid.TB, who string) *trial.PublicKey {
	tb.Helper()
	k, err := trial.NewPublicKey(keyOf(who).Public())
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func proof(tb rapid.TB, who string, charter trial.ID, body any) []byte {
	tb.Helper()
	p, err := trial.SignPossession(keyOf(who), charter, body)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// signed are the kinds that an enrolled key may sign.
var signed = slices.DeleteFunc(trial.Kinds(), func(k trial.Kind) bool { return k.Authority() || k == trial.KindTimeMark })

func (y *story) enrol(i int) {
	y.Helper()
	c := &cast[i]
	b := &trial.EnrolmentBody{
		HolderID: "h-" + c.id, Holder: trial.HolderPerson, Name: c.id, Organisation: organisation(c.id),
		OrganisationType: trial.OrganisationSponsor, Roles: c.roles, AllSites: c.site == "", Kinds: signed, Key: pub(y, c.id),
	}
	if c.site != "" {
		b.Sites, b.OrganisationType = []string{c.site}, trial.OrganisationSite
	}
	if strings.HasSuffix(string(c.roles[0]), "-system") {
		b.Holder = trial.HolderSystem
	}
	b.Proof = proof(y, c.id, y.charter.Statement.ID, b)
	y.feed("key of "+c.id, y.sign("sponsor", trial.Predicate{Kind: trial.KindKeyEnrolment, Body: b}, nil))
}

func castOf(who string) (somebody, bool) {
	i := slices.IndexFunc(cast, func(c somebody) bool { return c.id == who })
	if i < 0 {
		return somebody{}, false
	}
	return cast[i], true
}

func organisation(who string) string {
	if c, _ := castOf(who); c.site != "" {
		return "Site " + c.site
	}
	return sponsorName
}

func role(who string) trial.Role {
	if c, ok := castOf(who); ok {
		return c.roles[0]
	}
	return trial.Role(who) // sponsor and recovery
}

// sign makes a statement of a predicate as it comes out of its signed envelope.
func (y *story) sign(who string, p trial.Predicate, subjects []trial.Subject) *trial.Statement {
	y.Helper()
	if y.charter.Statement != nil {
		p.Charter = y.charter.Statement.ID
	}
	p.Signer = trial.Signer{KeyID: pub(y, who).ID, Name: who, Role: role(who), Organisation: organisation(who)}
	if who == "sponsor" {
		p.Signer.Name = sponsorName
	}
	p.Signed, p.Meaning = trial.NewInstant(y.now, "Etc/UTC"), trial.MeaningAuthorship
	y.salt++
	binary.BigEndian.PutUint64(p.Salt[:], y.salt)
	payload, err := trial.MarshalStatement(&trial.Statement{Subjects: subjects, Predicate: p})
	if err != nil {
		y.Fatalf("a statement of kind %s: %v", p.Kind, err)
	}
	envelope, err := trial.Sign(keyOf(who), payload)
	if err != nil {
		y.Fatal(err)
	}
	opened, st, err := trial.Open(envelope.Marshal())
	if err != nil {
		y.Fatal(err)
	}
	if err := opened.Verify(pub(y, who)); err != nil {
		y.Fatal(err)
	}
	return st
}

// feed folds a statement now.
func (y *story) feed(name string, st *trial.Statement) []Finding {
	y.Helper()
	y.names[st.ID.String()] = name
	return y.apply(name, trial.Logged{Statement: st, Index: y.next, Time: y.now})
}

func (y *story) apply(name string, l trial.Logged) []Finding {
	y.Helper()
	y.byAt[y.next] = name
	y.next++
	y.log = append(y.log, l)
	found, err := y.engine.Apply(l)
	if err != nil {
		y.Fatalf("%s: %v", name, err)
	}
	return found
}

// pass lets time go by, and the notary mark it.
func (y *story) pass(d time.Duration) {
	y.Helper()
	y.now = y.now.Add(d)
	st := &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindTimeMark, Body: &trial.TimeMarkBody{Time: y.now}}}
	y.apply("a time mark", trial.Logged{Statement: st, Index: y.next, Time: y.now})
}

// option changes a statement before it is signed.
type option func(*trial.Predicate, *[]trial.Subject)

func edit(change func(*trial.Predicate)) option {
	return func(p *trial.Predicate, _ *[]trial.Subject) { change(p) }
}

func document(id, version string) option {
	return edit(func(p *trial.Predicate) { p.Document, p.Version = &trial.Document{ID: id}, version })
}

func scoped(scope string) option {
	return edit(func(p *trial.Predicate) { p.Document.Scope = scope })
}

func inLanguage(l string) option {
	return edit(func(p *trial.Predicate) { p.Document.Language = l })
}

func replaces(st *trial.Statement) option {
	return edit(func(p *trial.Predicate) { p.Supersedes, p.Reason = st.ID, "a new version" })
}

func because(reason string) option {
	return edit(func(p *trial.Predicate) { p.Reason = reason })
}

func from(list ...*trial.Statement) option {
	return edit(func(p *trial.Predicate) { p.Lineage = ids(list) })
}

func declared(at time.Time) option {
	return edit(func(p *trial.Predicate) { p.Declared = trial.NewInstant(at, "Etc/UTC") })
}

// file is the one subject, with bytes of its own for each n.
func file(n byte) option { return subject("file", trial.SHA256(sum(n))) }

// table is a file with a content digest.
func table(bytes, content byte) option {
	d := append(trial.SHA256(sum(bytes)), trial.Digest{Name: trial.DigestTable, Sum: sum(content)})
	return subject("file", d)
}

func subject(name string, d trial.Digests) option {
	return func(_ *trial.Predicate, s *[]trial.Subject) { *s = []trial.Subject{{Name: name, Digests: d}} }
}

func sum(n byte) [32]byte { return [32]byte{31: n, 0: 1} }

func ids(list []*trial.Statement) []trial.ID {
	out := make([]trial.ID, len(list))
	for i, st := range list {
		out[i] = st.ID
	}
	return out
}

// write makes a statement by somebody of the cast.
func (y *story) write(who, site string, kind trial.Kind, body any, options ...option) *trial.Statement {
	y.Helper()
	p := trial.Predicate{Site: site, Kind: kind, Body: body}
	if kind.NeedsDeclaredTime() {
		p.Declared = trial.NewInstant(y.now, "Etc/UTC")
	}
	var subjects []trial.Subject
	if name, _ := kind.FixedSubject(); name == "" {
		subjects = []trial.Subject{{Name: "file", Digests: trial.SHA256(sum(1))}}
	}
	for _, o := range options {
		o(&p, &subjects)
	}
	return y.sign(who, p, subjects)
}

// add writes and logs a statement under a name.
func (y *story) add(name, who, site string, kind trial.Kind, body any, options ...option) *trial.Statement {
	y.Helper()
	st := y.write(who, site, kind, body, options...)
	y.feed(name, st)
	return st
}

// endorse logs endorsements of a statement.
func (y *story) endorse(st *trial.Statement, by ...string) {
	y.Helper()
	for _, who := range by {
		y.feed(who+"'s signature", y.write(who, st.Predicate.Site, trial.KindEndorsement,
			&trial.EndorsementBody{Statement: st.ID, Decision: trial.DecisionEndorsed}))
	}
}

// The acts that most stories have.

func (y *story) protocol(name string, options ...option) *trial.Statement {
	y.Helper()
	return y.signedBy("stat", y.add(name, "cmo", "", trial.KindProtocol, nil, append([]option{document("P", name)}, options...)...))
}

func (y *story) sap(name string, options ...option) *trial.Statement {
	y.Helper()
	return y.signedBy("cmo", y.add(name, "stat", "", trial.KindSAP, nil, append([]option{document("SAP", name)}, options...)...))
}

func (y *story) icf(name string, options ...option) *trial.Statement {
	y.Helper()
	return y.add(name, "cmo", "", trial.KindICF, nil, append([]option{document("ICF", name)}, options...)...)
}

func (y *story) signedBy(who string, st *trial.Statement) *trial.Statement {
	y.Helper()
	y.endorse(st, who)
	return st
}

func (y *story) decides(name, site, date string, decision trial.EthicsDecision, list ...*trial.Statement) *trial.Statement {
	y.Helper()
	return y.add(name, "cra", site, trial.KindEthicsDecision,
		&trial.EthicsDecisionBody{Committee: "Ethics Committee", Decision: decision, Date: date, Approves: ids(list)})
}

func (y *story) effective(name, site, date string, list ...*trial.Statement) *trial.Statement {
	y.Helper()
	return y.add(name, "cra", site, trial.KindVersionEffective, &trial.VersionEffectiveBody{Statements: ids(list), Date: date})
}

func (y *story) seal(name string, n byte) *trial.Statement {
	y.Helper()
	return y.signedBy("qa", y.add(name, "ustat", "", trial.KindRandomisationSeal, &trial.SealBody{Scheme: trial.CommitmentScheme},
		subject("randomisation-list", trial.Commitment(sum(n)).Digests())))
}

func extract(name string) *trial.DataBody {
	return &trial.DataBody{Origin: trial.OriginEDC, Purpose: trial.PurposeRoutine, Dataset: name, SourceSystem: "EDC"}
}

// data logs an extract of a site, with a file of its own for each n.
func (y *story) data(name, site, dataset string, n byte, options ...option) *trial.Statement {
	y.Helper()
	return y.add(name, "edc", site, trial.KindDataset, extract(dataset), append([]option{file(n)}, options...)...)
}

func (y *story) lock(name string, scope trial.DataScope, members ...*trial.Statement) *trial.Statement {
	y.Helper()
	return y.lockOf(trial.LockFinal, name, scope, members...)
}

func (y *story) lockOf(kind trial.LockType, name string, scope trial.DataScope, members ...*trial.Statement) *trial.Statement {
	y.Helper()
	return y.signedBy("stat", y.add(name, "dm", "", trial.KindDatabaseLock,
		&trial.LockBody{Label: name, Type: kind, Scope: scope, Members: ids(members)}))
}

func (y *story) unlock(name string, of *trial.Statement, scope trial.DataScope) *trial.Statement {
	y.Helper()
	return y.signedBy("qa", y.add(name, "dm", "", trial.KindDatabaseUnlock, &trial.UnlockBody{Lock: of.ID, Scope: scope},
		because("a query was late"), subject("statement", trial.SHA256(of.ID))))
}

func (y *story) unblind(name string) *trial.Statement {
	y.Helper()
	return y.add(name, "ustat", "", trial.KindUnblinding, &trial.UnblindingBody{Scope: trial.UnblindTrial})
}

// emergency unblinds a participant.
func (y *story) emergency(name string) *trial.Statement {
	y.Helper()
	return y.add(name, "pi701", "701", trial.KindUnblinding,
		&trial.UnblindingBody{Scope: trial.UnblindParticipant, Emergency: true}, because("a serious event"),
		subject("participant", trial.Commitment(sum(7)).Digests()))
}

// running tells of a trial in good order until data come: documents in effect,
// approved and used at both sites, list sealed, participants enrolled. What is in
// without does not happen.
func (y *story) running(without ...string) (protocol, icf, seal *trial.Statement) {
	y.Helper()
	has := func(what string) bool { return !slices.Contains(without, what) }
	protocol = y.protocol("protocol 1")
	if has("registration") {
		y.register()
	}
	if has("sap") {
		y.sap("sap 1")
	}
	icf = y.icf("icf 1")
	if has("seal") {
		seal = y.seal("seal", 9)
	}
	for _, site := range []string{"701", "704"} {
		y.decides("decision "+site, site, "2026-01-05", trial.EthicsFavourable, protocol, icf)
		y.effective("activation "+site, site, "2026-01-05", protocol, icf)
		if has("participants") {
			y.participant(site, icf)
		}
	}
	return protocol, icf, seal
}

func (y *story) register() {
	y.Helper()
	y.add("registration", "sponsor", "", trial.KindRegistration, &trial.RegistrationBody{Registry: trial.RegistryNCT, Number: "NCT00000000"})
}

func (y *story) participant(site string, icf *trial.Statement) {
	y.Helper()
	b := &trial.FirstParticipantBody{}
	if icf != nil {
		b.ICF = icf.ID
	}
	y.add("participant "+site, "pi"+site, site, trial.KindFirstParticipant, b)
}

// findings shows the story's findings, one a line: rule and severity, the act,
// what opened the finding where that is another, what it says, and what became of
// it. Ids of statements are replaced by their names.
func (y *story) findings() []string {
	var out []string
	for _, f := range y.engine.Findings() {
		line := fmt.Sprintf("%s %s on %s", f.Rule, f.Severity, y.names[f.Statement.String()])
		if by := y.byAt[f.Index]; by != y.names[f.Statement.String()] {
			line += " by " + by
		}
		line += ": " + f.Why
		if f.Response != nil {
			line += " Answered by " + y.names[f.Response.Statement.String()] + "."
		}
		if f.Closed != nil {
			line += " Closed by " + y.byAt[*f.Closed] + "."
		}
		for id, name := range y.names {
			line = strings.ReplaceAll(line, id, name)
		}
		out = append(out, line)
	}
	return out
}

// want fails where the findings are not exactly these.
func (y *story) want(lines ...string) {
	y.Helper()
	got := y.findings()
	for _, l := range got {
		if !slices.Contains(lines, l) {
			y.Errorf("unexpected: %s", l)
		}
	}
	for _, l := range lines {
		if !slices.Contains(got, l) {
			y.Errorf("missing: %s", l)
		}
	}
	if len(got) != len(lines) {
		y.Errorf("got %d findings, want %d", len(got), len(lines))
	}
}
