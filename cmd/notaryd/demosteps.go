package main

import (
	"context"
	"fmt"
	"os"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// openTrial is `notary trial create`.
func (s *story) openTrial(ctx context.Context) error {
	if err := s.makeKeys(); err != nil {
		return err
	}
	if err := s.user(ctx, "sponsor", store.Grant{Role: store.RoleSponsor, Organisation: demoSponsor}); err != nil {
		return err
	}
	env, err := s.charterEnvelope()
	if err != nil {
		return err
	}
	s.charter = client.StatementID(env)
	r, fetched, err := s.clients["sponsor"].CreateTrial(ctx, env)
	if err != nil {
		return err
	}
	s.heldf("the charter is at log index %d; the trial's id is %s", r.Index, s.charter)
	own, err := s.anchors()
	if err != nil {
		return err
	}
	if err := client.SameAnchors(own, fetched); err != nil {
		return err
	}
	s.trust = fetched
	s.heldf("the trust folder that the notary gives has the fingerprint of its key files: %s", own.Fingerprint())
	return client.WriteTrust(s.path("trust"), fetched)
}

// charterEnvelope is the charter, signed by the sponsor, with both keys' proofs
// of possession.
func (s *story) charterEnvelope() (*trial.Envelope, error) {
	sponsor, recovery := s.people["sponsor"], s.people["recovery"]
	body := &trial.CharterBody{
		SponsorKey: sponsor.public, RecoveryKey: recovery.public, SponsorOrganisation: demoSponsor,
		RulePack: rules.Default().Digest,
		Sites: []trial.Site{
			{ID: siteNorth, Name: "North Clinic", Country: "FI"},
			{ID: siteSouth, Name: "South Hospital", Country: "DE"},
		},
	}
	sponsorProof, err := trial.SignPossession(sponsor.key, trial.ID{}, body)
	if err != nil {
		return nil, err
	}
	recoveryProof, err := trial.SignPossession(recovery.key, trial.ID{}, body)
	if err != nil {
		return nil, err
	}
	body.SponsorProof, body.RecoveryProof = sponsorProof, recoveryProof
	payload, err := trial.MarshalStatement(&trial.Statement{
		Subjects: []trial.Subject{keySubject("sponsor-key", sponsor.public)},
		Predicate: trial.Predicate{
			Kind: trial.KindCharter, Trial: trial.Registry{"sponsorProtocol": "DEMO-01"},
			Signed: trial.NewInstant(time.Now(), client.Zone()), Meaning: trial.MeaningApproval,
			Signer: trial.Signer{KeyID: sponsor.public.ID, Name: demoSponsor, Role: trial.RoleSponsor, Organisation: demoSponsor},
			Body:   body,
		},
	})
	if err != nil {
		return nil, err
	}
	return trial.Sign(sponsor.key, payload)
}

func keySubject(name string, key *trial.PublicKey) trial.Subject {
	return trial.Subject{Name: name, Digests: trial.SHA256(key.ID)}
}

// anchors are what the sponsor and the notary's operator compare by another
// channel: here the key files of both are at hand.
func (s *story) anchors() (*receipt.Trust, error) {
	logKey, err := readLogKey(s.config.Keys.Log)
	if err != nil {
		return nil, err
	}
	_, vkey, err := noteKeys(s.config.Origin, logKey)
	if err != nil {
		return nil, err
	}
	parsed, err := receipt.ParseLogKey(vkey)
	if err != nil {
		return nil, err
	}
	statementKey, err := readStatementKey(s.config.Keys.Statement)
	if err != nil {
		return nil, err
	}
	notaryPublic, err := trial.NewPublicKey(statementKey.Public())
	if err != nil {
		return nil, err
	}
	policy, err := os.ReadFile(s.config.Policy)
	if err != nil {
		return nil, err
	}
	return receipt.NewTrust(parsed, policy, notaryPublic, s.people["sponsor"].public, s.charter)
}

// enrolPeople is `notary enrol` and `notary endorse`.
func (s *story) enrolPeople(ctx context.Context) error {
	for _, site := range []string{siteNorth, siteSouth} {
		if err := s.user(ctx, "site-"+site, store.Grant{Role: store.RoleSite, Trial: s.charter, Sites: []string{site}}); err != nil {
			return err
		}
	}
	if err := s.user(ctx, "auditor", store.Grant{Role: store.RoleAuditor, Trial: s.charter}); err != nil {
		return err
	}
	for _, p := range cast()[2:] {
		if err := s.enrol(ctx, s.people[p.id]); err != nil {
			return fmt.Errorf("enrolling %s: %w", p.id, err)
		}
	}
	if err := s.refreshTrust(ctx); err != nil {
		return err
	}
	s.heldf("six people enrolled; each proved that it holds its key")
	for _, site := range []string{siteNorth, siteSouth} {
		investigator, coordinator := s.people["investigator-"+site], s.people["coordinator-"+site]
		if err := s.endorse(ctx, "site-"+site, investigator, coordinator.enrolment); err != nil {
			return fmt.Errorf("endorsing %s: %w", coordinator.id, err)
		}
		s.heldf("%s vouches for %s at site %s", investigator.name, coordinator.name, site)
	}
	return s.refreshTrust(ctx)
}

func (s *story) enrol(ctx context.Context, p *person) error {
	sponsor := s.people["sponsor"]
	body := &trial.EnrolmentBody{
		HolderID: p.id, Holder: trial.HolderPerson, Name: p.name,
		Organisation: p.organisation, OrganisationType: p.organisationType,
		Roles: []trial.Role{p.role}, Kinds: p.kinds, Key: p.public,
	}
	if p.site == "" {
		body.AllSites = true
	} else {
		body.Sites = []string{p.site}
	}
	var err error
	if body.Proof, err = trial.SignPossession(p.key, s.charter, body); err != nil {
		return err
	}
	d, err := client.NewDraft(s.trust, nil, sponsor.public, trial.RoleSponsor)
	if err != nil {
		return err
	}
	d.Subjects = []trial.Subject{keySubject("key", p.public)}
	d.Predicate.Kind, d.Predicate.Meaning, d.Predicate.Body = trial.KindKeyEnrolment, trial.MeaningApproval, body
	r, err := s.submit(ctx, "sponsor", sponsor, d)
	if err != nil {
		return err
	}
	p.enrolment = r.StatementID
	return nil
}

func (s *story) endorse(ctx context.Context, user string, p *person, id trial.ID) error {
	d, err := s.draft(p)
	if err != nil {
		return err
	}
	d.Subjects = []trial.Subject{{Name: "statement", Digests: trial.SHA256(id)}}
	d.Predicate.Kind, d.Predicate.Site, d.Predicate.Meaning = trial.KindEndorsement, p.site, trial.MeaningApproval
	d.Predicate.Body = &trial.EndorsementBody{Statement: id, Decision: trial.DecisionEndorsed}
	_, err = s.submit(ctx, user, p, d)
	return err
}

// submitProtocol is `notary submit --kind protocol`.
func (s *story) submitProtocol(ctx context.Context) error {
	file := s.path("data", "protocol-1.0.txt")
	if err := os.WriteFile(file, []byte(protocolText), 0o640); err != nil {
		return err
	}
	medical := s.people["medical"]
	d, err := s.draft(medical)
	if err != nil {
		return err
	}
	d.Predicate.Kind, d.Predicate.Version = trial.KindProtocol, "1.0"
	d.Predicate.Document = &trial.Document{ID: "protocol", Language: "en"}
	d.Predicate.Body = &trial.ProtocolBody{Title: "DEMO-01"}
	r, err := s.submitFile(ctx, "sponsor", medical, file, d)
	if err != nil {
		return err
	}
	s.protocol = r.StatementID
	return s.endorseDocument(ctx, r.StatementID)
}

func (s *story) endorseDocument(ctx context.Context, id trial.ID) error {
	statistics := s.people["statistics"]
	if err := s.endorse(ctx, "sponsor", statistics, id); err != nil {
		return err
	}
	s.heldf("endorsed by %s, %s", statistics.name, statistics.role)
	return nil
}

// submitDatasets is `notary submit --kind dataset`, at two sites.
func (s *story) submitDatasets(ctx context.Context) error {
	for _, site := range []string{siteNorth, siteSouth} {
		name := "vs-" + site + ".json"
		file := s.path("data", name)
		if err := writeDataset(file, vitalSigns(site, 24)); err != nil {
			return err
		}
		if err := s.submitDataset(ctx, site, file); err != nil {
			return err
		}
		if s.exampleFile == "" {
			s.exampleFile = name
		}
	}
	return nil
}

func (s *story) submitDataset(ctx context.Context, site, file string) error {
	coordinator := s.people["coordinator-"+site]
	d, err := s.draft(coordinator)
	if err != nil {
		return err
	}
	d.Predicate.Kind = trial.KindDataset
	d.Predicate.Body = &trial.DataBody{
		Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: "VS", SourceSystem: "Trial Notary demo",
	}
	_, err = s.submitFile(ctx, "site-"+site, coordinator, file, d)
	return err
}

// submitAmendment is `notary submit --kind protocol-amendment --supersedes ID`.
// Before it, the log folder is copied: the backup that a later step restores.
func (s *story) submitAmendment(ctx context.Context) error {
	s.oldLog = s.path("log-backup")
	if err := os.CopyFS(s.oldLog, os.DirFS(s.config.Log.Dir)); err != nil {
		return err
	}
	file := s.path("data", "protocol-2.0.txt")
	if err := os.WriteFile(file, []byte(amendmentText), 0o640); err != nil {
		return err
	}
	medical := s.people["medical"]
	d, err := s.draft(medical)
	if err != nil {
		return err
	}
	d.Predicate.Kind, d.Predicate.Version = trial.KindProtocolAmendment, "2.0"
	d.Predicate.Document = &trial.Document{ID: "protocol", Language: "en"}
	d.Predicate.Supersedes, d.Predicate.Reason = s.protocol, "a fifth visit is added"
	d.Predicate.Body = &trial.AmendmentBody{Type: trial.AmendmentSubstantial, Title: "Amendment 1"}
	r, err := s.submitFile(ctx, "sponsor", medical, file, d)
	if err != nil {
		return err
	}
	return s.endorseDocument(ctx, r.StatementID)
}
