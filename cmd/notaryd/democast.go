package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

// story is what the demo's steps share.
type story struct {
	dir     string
	out     io.Writer
	config  *Config
	server  *server
	logger  *zap.Logger
	logFile *os.File
	// stopLogger writes what the logger still holds.
	stopLogger func()

	people  map[string]*person
	clients map[string]*client.Client // by user
	charter trial.ID
	trust   *receipt.Trust

	protocol    trial.ID // the initial protocol's statement
	exampleFile string   // the dataset that is verified, by its base name
	oldLog      string   // the copy of the log folder that stands for a backup
	newLog      string   // the right log folder while the old one is in place
}

// person is somebody of the demo, or a system, with its key.
type person struct {
	id, name, organisation string
	role                   trial.Role
	organisationType       trial.OrganisationType
	site                   string // "" is trial-wide
	kinds                  []trial.Kind
	key                    crypto.Signer
	public                 *trial.PublicKey
	enrolment              trial.ID
}

const (
	demoSponsor = "Example Pharma"
	siteNorth   = "701"
	siteSouth   = "704"
)

// The cast. The sponsor and recovery keys belong to the charter, the others are
// enrolled.
func cast() []*person {
	sponsor, site := trial.OrganisationSponsor, trial.OrganisationSite
	return []*person{
		{id: "sponsor", name: demoSponsor, organisation: demoSponsor},
		{id: "recovery", name: demoSponsor, organisation: demoSponsor},
		{id: "medical", name: "Dr. Maria Alvarez", organisation: demoSponsor, role: trial.RoleSponsorMedical, organisationType: sponsor,
			kinds: []trial.Kind{trial.KindProtocol, trial.KindProtocolAmendment, trial.KindICF, trial.KindEndorsement}},
		{id: "statistics", name: "Jonas Lind", organisation: demoSponsor, role: trial.RoleBiostatistician, organisationType: sponsor,
			kinds: []trial.Kind{trial.KindDerivedDataset, trial.KindEndorsement}},
		{id: "investigator-701", name: "Prof. Aino Virtanen", organisation: "North Clinic", role: trial.RoleInvestigator, organisationType: site,
			site: siteNorth, kinds: []trial.Kind{trial.KindEndorsement}},
		{id: "investigator-704", name: "Dr. Paul Okafor", organisation: "South Hospital", role: trial.RoleInvestigator, organisationType: site,
			site: siteSouth, kinds: []trial.Kind{trial.KindEndorsement}},
		{id: "coordinator-701", name: "Sanna Koski", organisation: "North Clinic", role: trial.RoleSiteCoordinator, organisationType: site,
			site: siteNorth, kinds: []trial.Kind{trial.KindDataset, trial.KindEthicsDecision, trial.KindTMFDocument}},
		{id: "coordinator-704", name: "Tom Berger", organisation: "South Hospital", role: trial.RoleSiteCoordinator, organisationType: site,
			site: siteSouth, kinds: []trial.Kind{trial.KindDataset, trial.KindEthicsDecision, trial.KindTMFDocument}},
	}
}

// makeKeys gives everybody a key, as `notary keygen` does.
func (s *story) makeKeys() error {
	s.people = map[string]*person{}
	for _, p := range cast() {
		key, err := trial.GenerateKey()
		if err != nil {
			return err
		}
		if p.public, err = trial.NewPublicKey(key.Public()); err != nil {
			return err
		}
		p.key = key
		text, err := trial.MarshalPrivateKeyPEM(key)
		if err != nil {
			return err
		}
		base := s.path("keys/people", p.id)
		if err := errors.Join(writeNew(base+".key", text, 0o600), writeNew(base+".pub", p.public.PEM(), 0o644)); err != nil {
			return err
		}
		s.people[p.id] = p
	}
	return nil
}

// user makes a user of the API with a token, as `notaryd user add` does, and a
// client that uses it.
func (s *story) user(ctx context.Context, name string, grant store.Grant) error {
	token, hash := rpc.NewToken()
	err := s.server.parts.store.AddUser(ctx, store.User{Name: name, TokenHash: hash, Grants: []store.Grant{grant}})
	if err != nil {
		return err
	}
	if err := writeNew(s.path("tokens", name), []byte(token+"\n"), 0o600); err != nil {
		return err
	}
	return s.dial(name)
}

func (s *story) dial(name string) error {
	state, err := client.OpenState(s.path("state", name))
	if err != nil {
		return err
	}
	c, err := client.Dial(s.config.Listen.GRPC, client.Options{
		TokenFile: s.path("tokens", name), CAFile: s.path("tls/ca.crt"), State: state, Tiles: "https://" + s.config.Listen.HTTP,
	})
	if err != nil {
		return err
	}
	if s.clients == nil {
		s.clients = map[string]*client.Client{}
	}
	s.clients[name] = c
	return nil
}

func (s *story) closeClients() error {
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	s.clients = nil
	return errors.Join(errs...)
}

// draft starts a statement of somebody who is enrolled.
func (s *story) draft(p *person) (*client.Draft, error) {
	return client.NewDraft(s.trust, nil, p.public, p.role)
}

// submit signs a draft and hands it in; the client has verified the receipt
// that comes back.
func (s *story) submit(ctx context.Context, user string, p *person, d *client.Draft) (*client.Receipt, error) {
	env, err := d.Sign(p.key, time.Now(), client.Zone())
	if err != nil {
		return nil, err
	}
	return s.clients[user].Submit(ctx, s.trust, env)
}

// submitFile notarizes a file and leaves its receipt in receipts/.
func (s *story) submitFile(ctx context.Context, user string, p *person, file string, d *client.Draft) (*client.Receipt, error) {
	hash, err := client.HashFile(ctx, file, nil)
	if err != nil {
		return nil, err
	}
	d.Subjects = []trial.Subject{hash.Subject()}
	d.Predicate.Site = p.site
	d.Predicate.Meaning = trial.MeaningAuthorship
	r, err := s.submit(ctx, user, p, d)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(file)
	if err := r.WriteFiles(s.path("receipts", name)); err != nil {
		return nil, err
	}
	s.heldf("%s by %s: log index %d, receipt verified", name, p.name, r.Index)
	return r, nil
}

// refreshTrust fetches the trust folder again, as `notary trust fetch` does. Its
// anchors must be those that were compared before.
func (s *story) refreshTrust(ctx context.Context) error {
	t, err := s.clients["sponsor"].FetchTrust(ctx, s.charter.String())
	if err != nil {
		return err
	}
	if err := client.SameAnchors(s.trust, t); err != nil {
		return err
	}
	s.trust = t
	return client.WriteTrust(s.path("trust"), t)
}

// refused checks that a submission was refused for one reason.
func refused(err error, want trial.Reason) (*client.Refused, error) {
	r := new(client.Refused)
	switch {
	case err == nil:
		return nil, errors.New("it was accepted")
	case !errors.As(err, &r):
		return nil, fmt.Errorf("want a refusal: %w", err)
	case r.Reason != want:
		return nil, fmt.Errorf("refused with %s (%s), want %s", r.Reason, r.Message, want)
	}
	return r, nil
}
