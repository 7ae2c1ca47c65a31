package notary_test

import (
	"crypto"
	"crypto/sha256"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

func newKey(tb testing.TB) crypto.Signer {
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

// study is a trial with its keys.
type study struct {
	t                 testing.TB
	sponsor, recovery crypto.Signer
	id                trial.ID
	charter           *trial.Envelope
	registry          trial.Registry
}

const sponsorName = "Sponsor Ltd"

// newStudy signs the charter of a trial with two sites.
func newStudy(tb testing.TB, registry trial.Registry, change ...func(*trial.CharterBody)) *study {
	tb.Helper()
	s := &study{t: tb, sponsor: newKey(tb), recovery: newKey(tb), registry: registry}
	body := &trial.CharterBody{
		SponsorKey: public(tb, s.sponsor), RecoveryKey: public(tb, s.recovery), SponsorOrganisation: sponsorName,
		Sites: []trial.Site{{ID: "701", Name: "Site 701"}, {ID: "704", Name: "Site 704"}},
	}
	for _, f := range change {
		f(body)
	}
	var err error
	body.SponsorProof, err = trial.SignPossession(s.sponsor, trial.ID{}, body)
	must(tb, err)
	body.RecoveryProof, err = trial.SignPossession(s.recovery, trial.ID{}, body)
	must(tb, err)
	s.charter = s.sign(s.sponsor, trial.KindCharter, trial.RoleSponsor, "", digestOf(body.SponsorKey.DER, "sponsor-key"), body)
	s.id = idOf(s.charter)
	return s
}

func idOf(env *trial.Envelope) trial.ID { return sha256.Sum256(env.Payload) }

func digestOf(content []byte, name string) trial.Subject {
	sum := sha256.Sum256(content)
	return trial.Subject{Name: name, Digests: trial.SHA256(sum)}
}

// sign makes a statement of the trial and signs it.
func (s *study) sign(key crypto.Signer, kind trial.Kind, role trial.Role, site string, subject trial.Subject, body any,
	change ...func(*trial.Predicate),
) *trial.Envelope {
	s.t.Helper()
	st := &trial.Statement{Subjects: []trial.Subject{subject}, Predicate: trial.Predicate{
		Charter: s.id, Trial: s.registry, Site: site, Kind: kind, Body: body,
		Signed:  trial.NewInstant(start, "UTC"),
		Signer:  trial.Signer{KeyID: public(s.t, key).ID, Name: sponsorName, Role: role, Organisation: sponsorName},
		Meaning: trial.MeaningAuthorship,
	}}
	if !kind.Authority() && kind != trial.KindEndorsement {
		st.Predicate.Declared = st.Predicate.Signed
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

// enrol makes a key for an organisation's role and signs its enrolment.
func (s *study) enrol(id string, typ trial.HolderType, org trial.OrganisationType, role trial.Role, sites ...string) (*holder, *trial.Envelope) {
	s.t.Helper()
	h := &holder{key: newKey(s.t), body: &trial.EnrolmentBody{
		HolderID: id, Holder: typ, Name: "Name of " + id, Organisation: "Organisation of " + id, OrganisationType: org,
		Roles: []trial.Role{role}, Sites: sites, AllSites: len(sites) == 0,
		Kinds: []trial.Kind{trial.KindDataset, trial.KindEndorsement, trial.KindProtocol},
	}}
	if typ == trial.HolderSystem {
		h.body.Kinds = []trial.Kind{trial.KindDataset}
	}
	h.body.Key = public(s.t, h.key)
	return h, s.resign(h)
}

// resign signs a holder's enrolment, after a change of its body.
func (s *study) resign(h *holder) *trial.Envelope {
	s.t.Helper()
	var err error
	h.body.Proof, err = trial.SignPossession(h.key, s.id, h.body)
	must(s.t, err)
	return s.sign(s.sponsor, trial.KindKeyEnrolment, trial.RoleSponsor, "", digestOf(h.body.Key.DER, "key"), h.body)
}

func (s *study) revoke(h *holder, suspect *uint64) *trial.Envelope {
	s.t.Helper()
	return s.sign(s.sponsor, trial.KindKeyRevocation, trial.RoleSponsor, "", digestOf(h.body.Key.DER, "key"),
		&trial.RevocationBody{Key: h.body.Key.ID, Cause: trial.CauseLost, SuspectSince: suspect})
}

// dataset signs a dataset's statement for the site.
func (s *study) dataset(h *holder, site, name string, change ...func(*trial.Predicate)) *trial.Envelope {
	s.t.Helper()
	as := func(p *trial.Predicate) { h.prints(p) }
	return s.sign(h.key, trial.KindDataset, h.body.Roles[0], site, digestOf([]byte(name), name+".json"),
		&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: "DM"}, append([]func(*trial.Predicate){as}, change...)...)
}

func (s *study) endorse(h *holder, site string, target trial.ID) *trial.Envelope {
	s.t.Helper()
	subject := trial.Subject{Name: "statement", Digests: trial.SHA256(target)}
	return s.sign(h.key, trial.KindEndorsement, h.body.Roles[0], site, subject,
		&trial.EndorsementBody{Statement: target, Decision: trial.DecisionEndorsed},
		func(p *trial.Predicate) { h.prints(p); p.Meaning = trial.MeaningApproval })
}

// prints makes the signer print what the enrolment says.
func (h *holder) prints(p *trial.Predicate) {
	p.Signer.Name, p.Signer.Organisation = h.body.Name, h.body.Organisation
}

// manager opens a trial with one data manager of the sponsor, who may sign
// datasets at once.
func (w *world) manager(registry trial.Registry) (*study, *holder) {
	w.t.Helper()
	s := newStudy(w.t, registry)
	w.submit(s.charter)
	h, env := s.enrol("dm-1", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleDataManager)
	w.submit(env)
	return s, h
}

// again signs the same payload once more: another valid signature.
func again(tb testing.TB, key crypto.Signer, env *trial.Envelope) *trial.Envelope {
	tb.Helper()
	other, err := trial.Sign(key, env.Payload)
	must(tb, err)
	if string(other.Sig) == string(env.Sig) {
		tb.Fatal("got the same signature twice")
	}
	return other
}

// registration signs the claim of another registry number for the trial.
func (s *study) registration(number string) *trial.Envelope {
	subject := trial.Subject{Name: "charter", Digests: trial.SHA256(s.id)}
	return s.sign(s.sponsor, trial.KindRegistration, trial.RoleSponsor, "", subject,
		&trial.RegistrationBody{Registry: "nct", Number: number},
		func(p *trial.Predicate) { p.Trial = trial.Registry{"nct": number} })
}
