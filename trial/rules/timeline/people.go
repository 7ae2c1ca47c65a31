package timeline

import (
	"crypto/ecdsa"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// person is who signs, with a key of the story alone.
type person struct {
	id    string
	key   *ecdsa.PrivateKey
	pub   *trial.PublicKey
	roles []trial.Role
	sites []string // empty: all
}

var siteRoles = []trial.Role{trial.RoleInvestigator, trial.RoleSiteCoordinator, trial.RoleSiteSystem}

func (p *person) ofSite() bool { return len(p.sites) > 0 }

func (p *person) system() bool {
	return slices.ContainsFunc(p.roles, func(r trial.Role) bool { return strings.HasSuffix(string(r), "-system") })
}

func (p *person) organisation() string {
	if p.ofSite() {
		return "Site " + p.sites[0]
	}
	return sponsor
}

const sponsor = "Sponsor"

// castOf collects who signs, in the order in which they appear, and adds an
// investigator for each site that has none: its people's keys wait for that.
func castOf(t *Timeline) ([]*person, error) {
	byID := map[string]*person{}
	var out []*person
	add := func(id, role, site string) {
		p := byID[id]
		if p == nil {
			p = &person{id: id}
			byID[id] = p
			out = append(out, p)
		}
		r := trial.Role(role)
		if !slices.Contains(p.roles, r) {
			p.roles = append(p.roles, r)
		}
		if slices.Contains(siteRoles, r) && site != "" && !slices.Contains(p.sites, site) {
			p.sites = append(p.sites, site)
		}
	}
	investigated := map[string]bool{}
	for i := range t.Events {
		e := &t.Events[i]
		for _, s := range e.signers() {
			add(s.Person, s.Role, e.Site)
			investigated[e.Site] = investigated[e.Site] || s.Role == string(trial.RoleInvestigator)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(t.Sites)) {
		if !investigated[site] {
			add("investigator-"+site, string(trial.RoleInvestigator), site)
		}
	}
	// Investigators first: they let the others of their site in.
	slices.SortStableFunc(out, func(a, b *person) int { return rank(a) - rank(b) })
	for _, p := range out {
		var err error
		if p.key, p.pub, err = newKey(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func rank(p *person) int {
	if slices.Contains(p.roles, trial.RoleInvestigator) {
		return 0
	}
	return 1
}

func newKey() (*ecdsa.PrivateKey, *trial.PublicKey, error) {
	key, err := trial.GenerateKey()
	if err != nil {
		return nil, nil, err
	}
	pub, err := trial.NewPublicKey(key.Public())
	return key, pub, err
}

// signers returns who signs an event: the actor first.
func (e *Event) signers() []Signer {
	if len(e.Signers) == 0 {
		return []Signer{{e.Actor, e.Role}}
	}
	return e.Signers
}

// charter opens the story's trial.
func (w *writer) charter(at time.Time) error {
	t := w.timeline
	recovery, recoveryPub, err := newKey()
	if err != nil {
		return err
	}
	b := &trial.CharterBody{
		SponsorKey: w.sponsor.pub, RecoveryKey: recoveryPub, SponsorOrganisation: sponsor,
		RulePack: w.options.Pack, Rules: w.options.Rules, RandomisationList: true, Parameters: t.parameters(),
	}
	for _, site := range slices.Sorted(maps.Keys(t.Sites)) {
		b.Sites = append(b.Sites, trial.Site{ID: site, Name: "Site " + site})
	}
	b.Roles = w.otherRoles()
	if b.Endorsements, err = t.endorsements(); err != nil {
		return err
	}
	if b.SponsorProof, err = trial.SignPossession(w.sponsor.key, trial.ID{}, b); err != nil {
		return fmt.Errorf("proving the sponsor's key: %w", err)
	}
	if b.RecoveryProof, err = trial.SignPossession(recovery, trial.ID{}, b); err != nil {
		return fmt.Errorf("proving the recovery key: %w", err)
	}
	st, err := w.sign(setup, at, w.sponsor, trial.RoleSponsor, trial.Predicate{Kind: trial.KindCharter, Body: b}, nil)
	if err != nil {
		return err
	}
	w.trial = st.ID
	return nil
}

func (t *Timeline) parameters() map[string]int64 {
	p := map[string]int64{
		trial.ParameterCadenceDays: t.Policy.Cadence, trial.ParameterGraceDays: t.Policy.Grace,
		trial.ParameterFutureMinutes: t.Policy.MaxFutureSkew / 60,
	}
	for name, parameter := range map[string]string{"DATASET": trial.ParameterBackdatingDataDays, "default": trial.ParameterBackdatingDays} {
		if n, ok := t.Policy.Backdating[name]; ok {
			p[parameter] = n
		}
	}
	return p
}

func (t *Timeline) endorsements() (map[trial.Kind][]trial.Role, error) {
	out := map[trial.Kind][]trial.Role{}
	for name, roles := range t.EndorsementRoles {
		kind, ok := kindsOf[name]
		if !ok {
			return nil, fmt.Errorf("endorsement_roles: unknown type %q", name)
		}
		list := make([]trial.Role, len(roles))
		for i, r := range roles {
			list[i] = trial.Role(r)
		}
		out[kind] = list
	}
	return out, nil
}

// otherRoles are the roles of the story beside those of every trial.
func (w *writer) otherRoles() []trial.Role {
	var out []trial.Role
	for _, p := range w.cast {
		for _, r := range p.roles {
			if !slices.Contains(trial.Roles(), r) && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// enrol lets a person sign.
func (w *writer) enrol(at time.Time, p *person) error {
	b := &trial.EnrolmentBody{
		HolderID: p.id, Holder: trial.HolderPerson, Name: p.id, Organisation: p.organisation(),
		OrganisationType: trial.OrganisationSponsor, Roles: p.roles, AllSites: !p.ofSite(), Sites: p.sites,
		Kinds: signable, Key: p.pub,
	}
	if p.system() {
		b.Holder = trial.HolderSystem
	}
	if p.ofSite() {
		b.OrganisationType = trial.OrganisationSite
	}
	var err error
	if b.Proof, err = trial.SignPossession(p.key, w.trial, b); err != nil {
		return fmt.Errorf("proving the key of %s: %w", p.id, err)
	}
	st, err := w.sign(setup, at, w.sponsor, trial.RoleSponsor, trial.Predicate{Kind: trial.KindKeyEnrolment, Body: b}, nil)
	if err != nil {
		return err
	}
	if !p.ofSite() || rank(p) == 0 {
		return nil
	}
	for _, site := range p.sites {
		i := slices.IndexFunc(w.cast, func(q *person) bool { return rank(q) == 0 && slices.Contains(q.sites, site) })
		if err := w.endorse(setup, at, w.cast[i], trial.RoleInvestigator, site, st.ID); err != nil {
			return err
		}
	}
	return nil
}

// signable are the kinds that an enrolled key may sign.
var signable = slices.DeleteFunc(trial.Kinds(), func(k trial.Kind) bool {
	return k.Authority() || k == trial.KindTimeMark
})
