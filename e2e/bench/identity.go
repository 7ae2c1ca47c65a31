//go:build linux

package main

import (
	"crypto"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// signers is how many enrolled keys sign the load.
const signers = 4

const organisation = "Example Pharma"

// identity is a trial that any fresh notary can be given: the charter and the
// enrolments name no log, so that statements that were signed once are new to
// every fresh notary. A log that is kept keeps its identity beside it.
type identity struct {
	Charter    *wireEnvelope   `json:"charter"`
	Enrolments []*wireEnvelope `json:"enrolments"`
	KeysPEM    []string        `json:"keys"`

	id   trial.ID
	keys []signingKey
}

// wireEnvelope is an envelope in the identity's file.
type wireEnvelope struct {
	Payload []byte `json:"payload"`
	Sig     []byte `json:"sig"`
}

func (w *wireEnvelope) envelope() *trial.Envelope {
	return &trial.Envelope{PayloadType: trial.PayloadType, Payload: w.Payload, Sig: w.Sig}
}

type signingKey struct {
	private crypto.Signer
	public  *trial.PublicKey
	name    string
}

// signerName gives every signer a name of one length: the payloads of the load
// differ in bytes and not in size.
func signerName(i int) string { return fmt.Sprintf("Data Manager %02d", i) }

// newIdentity makes keys, a charter and the enrolments of those who sign.
func newIdentity(now time.Time) (*identity, error) {
	sponsor, err := newKey(organisation)
	if err != nil {
		return nil, err
	}
	recovery, err := newKey(organisation)
	if err != nil {
		return nil, err
	}
	id := &identity{}
	if id.Charter, err = sponsor.charter(recovery, now); err != nil {
		return nil, fmt.Errorf("signing the charter: %w", err)
	}
	charter, err := trial.ParseStatement(id.Charter.Payload)
	if err != nil {
		return nil, err
	}
	for i := range signers {
		key, err := newKey(signerName(i))
		if err != nil {
			return nil, err
		}
		enrolment, err := sponsor.enrol(key, charter.ID, now)
		if err != nil {
			return nil, fmt.Errorf("signing an enrolment: %w", err)
		}
		text, err := trial.MarshalPrivateKeyPEM(key.private)
		if err != nil {
			return nil, err
		}
		id.Enrolments, id.KeysPEM = append(id.Enrolments, enrolment), append(id.KeysPEM, string(text))
	}
	return id, id.complete()
}

// complete fills in what follows from what is stored.
func (id *identity) complete() error {
	st, err := trial.ParseStatement(id.Charter.Payload)
	if err != nil {
		return err
	}
	id.id, id.keys = st.ID, nil
	for i, text := range id.KeysPEM {
		private, err := trial.ParsePrivateKeyPEM([]byte(text))
		if err != nil {
			return err
		}
		public, err := trial.NewPublicKey(private.Public())
		if err != nil {
			return err
		}
		id.keys = append(id.keys, signingKey{private, public, signerName(i)})
	}
	if len(id.keys) != signers {
		return fmt.Errorf("invalid identity: got %d keys, want %d", len(id.keys), signers)
	}
	return nil
}

// loadIdentity reads the identity of a kept log.
func loadIdentity(path string) (*identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	id := &identity{}
	if err := json.Unmarshal(text, id); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if id.Charter == nil {
		return nil, fmt.Errorf("reading %s: it holds no charter", path)
	}
	return id, id.complete()
}

func (id *identity) save(path string) error {
	text, err := json.MarshalIndent(id, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func newKey(name string) (signingKey, error) {
	private, err := trial.GenerateKey()
	if err != nil {
		return signingKey{}, err
	}
	public, err := trial.NewPublicKey(private.Public())
	return signingKey{private, public, name}, err
}

func (k signingKey) signer(role trial.Role) trial.Signer {
	return trial.Signer{KeyID: k.public.ID, Name: k.name, Role: role, Organisation: organisation}
}

func (k signingKey) subject(name string) []trial.Subject {
	return []trial.Subject{{Name: name, Digests: trial.SHA256(k.public.ID)}}
}

func (k signingKey) sign(st *trial.Statement) (*wireEnvelope, error) {
	payload, err := trial.MarshalStatement(st)
	if err != nil {
		return nil, err
	}
	env, err := trial.Sign(k.private, payload)
	if err != nil {
		return nil, err
	}
	return &wireEnvelope{Payload: env.Payload, Sig: env.Sig}, nil
}

// numbers are the trial's registry numbers.
func numbers() trial.Registry { return trial.Registry{"sponsorProtocol": "BENCH-01"} }

func (k signingKey) charter(recovery signingKey, now time.Time) (*wireEnvelope, error) {
	body := &trial.CharterBody{
		SponsorKey: k.public, RecoveryKey: recovery.public, SponsorOrganisation: organisation,
		Sites: []trial.Site{{ID: site, Name: "North Clinic", Country: "FI"}},
	}
	own, err := trial.SignPossession(k.private, trial.ID{}, body)
	if err != nil {
		return nil, err
	}
	if body.RecoveryProof, err = trial.SignPossession(recovery.private, trial.ID{}, body); err != nil {
		return nil, err
	}
	body.SponsorProof = own
	return k.sign(&trial.Statement{
		Subjects: k.subject("sponsor-key"),
		Predicate: trial.Predicate{
			Kind: trial.KindCharter, Trial: numbers(), Signed: trial.NewInstant(now, "UTC"),
			Meaning: trial.MeaningApproval, Signer: k.signer(trial.RoleSponsor), Body: body,
		},
	})
}

func (k signingKey) enrol(who signingKey, charter trial.ID, now time.Time) (*wireEnvelope, error) {
	body := &trial.EnrolmentBody{
		HolderID: "holder-" + who.public.ID.String()[:8], Holder: trial.HolderPerson, Name: who.name,
		Organisation: organisation, OrganisationType: trial.OrganisationSponsor,
		Roles: []trial.Role{trial.RoleDataManager}, Kinds: []trial.Kind{trial.KindDataset}, AllSites: true, Key: who.public,
	}
	var err error
	if body.Proof, err = trial.SignPossession(who.private, charter, body); err != nil {
		return nil, err
	}
	return k.sign(&trial.Statement{
		Subjects: who.subject("key"),
		Predicate: trial.Predicate{
			Charter: charter, Kind: trial.KindKeyEnrolment, Trial: numbers(), Signed: trial.NewInstant(now, "UTC"),
			Meaning: trial.MeaningApproval, Signer: k.signer(trial.RoleSponsor), Body: body,
		},
	})
}
