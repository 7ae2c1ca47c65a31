package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Book is what a trust folder says about who may sign: a reading to fill in
// forms and to show to people. It judges nothing; receipt.Verify does.
type Book struct {
	// Charter is the trial's charter, or nil where the folder holds anchors
	// alone.
	Charter *trial.Statement
	// Numbers are the registry numbers of the charter and its registrations.
	Numbers trial.Registry
	// Enrolments are in log order.
	Enrolments []Enrolment
	// UpTo is the log size up to which the notary's signed list covers the
	// trial; 0 without one.
	UpTo uint64
	// SponsorKey signs for the sponsor now: that of the charter, or of the last
	// recovery.
	SponsorKey trial.KeyID
}

// Enrolment is one enrolment in a Book.
type Enrolment struct {
	ID      trial.ID
	Index   uint64
	Key     trial.KeyID
	Body    *trial.EnrolmentBody
	Revoked bool
}

// ReadAuthority reads the authority statements of a trust folder.
func ReadAuthority(t *receipt.Trust) (*Book, error) {
	files := t.Files()
	var paths []string
	for p := range files {
		if strings.HasPrefix(p, "authority/") && strings.HasSuffix(p, ReceiptSuffix) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths) // names are zero-padded indexes: log order
	b := &Book{Numbers: trial.Registry{}, SponsorKey: t.Sponsor.ID}
	for _, p := range paths {
		r, err := receipt.Parse(files[p])
		if err != nil {
			return nil, fmt.Errorf("the trust folder's %s: %w", p, err)
		}
		st, err := trial.ParseStatement(r.Envelope.Payload)
		if err != nil {
			return nil, fmt.Errorf("the trust folder's %s: %w", p, err)
		}
		b.add(t, st, r.Index)
	}
	if list, err := asOf(files, t); err == nil && list != nil {
		b.UpTo = list.Size
	}
	return b, nil
}

func (b *Book) add(t *receipt.Trust, st *trial.Statement, index uint64) {
	maps.Copy(b.Numbers, st.Predicate.Trial)
	switch body := st.Predicate.Body.(type) {
	case *trial.CharterBody:
		if st.ID == t.Charter {
			b.Charter = st
		}
	case *trial.EnrolmentBody:
		b.Enrolments = append(b.Enrolments, Enrolment{ID: st.ID, Index: index, Key: body.Key.ID, Body: body})
	case *trial.RevocationBody:
		for i := range b.Enrolments {
			if b.Enrolments[i].Key == body.Key {
				b.Enrolments[i].Revoked = true
			}
		}
	case *trial.RecoveryBody:
		b.SponsorKey = body.NewKey.ID
	}
}

// asOf reads the notary's signed list, nil where there is none.
func asOf(files map[string][]byte, t *receipt.Trust) (*trial.AsOf, error) {
	text, ok := files["authority/as-of.json"]
	if !ok {
		return nil, nil //nolint:nilnil // no list is no error
	}
	env, err := trial.ParseAsOfEnvelope(text)
	if err != nil {
		return nil, err
	}
	return trial.ParseAsOf(env, t.Notary)
}

// HasNumber tells whether the trial claims a registry number.
func (b *Book) HasNumber(number string) bool {
	for _, n := range b.Numbers {
		if trial.NormaliseRegistryNumber(n) == trial.NormaliseRegistryNumber(number) {
			return true
		}
	}
	return false
}

// Enrolment returns the newest enrolment of a key.
func (b *Book) Enrolment(key trial.KeyID) (Enrolment, bool) {
	for _, e := range slices.Backward(b.Enrolments) {
		if e.Key == key {
			return e, true
		}
	}
	return Enrolment{}, false
}

// Signer returns how a key's holder is printed in a statement: as the charter
// or the enrolment says. The role matters only to holders of several.
func (b *Book) Signer(key trial.KeyID, role trial.Role) (trial.Signer, error) {
	s := trial.Signer{KeyID: key, Role: role}
	if b.Charter == nil {
		return s, errors.New("the trust folder does not hold the charter; refresh it with: notary trust fetch")
	}
	if e, ok := b.Enrolment(key); ok {
		s.Name, s.Organisation = e.Body.Name, e.Body.Organisation
		if role == "" && len(e.Body.Roles) > 0 {
			s.Role = e.Body.Roles[0]
		}
		return s, nil
	}
	body, _ := b.Charter.Predicate.Body.(*trial.CharterBody)
	if body == nil {
		return s, errors.New("the trust folder's charter has no body that is understood")
	}
	s.Name, s.Organisation = b.Charter.Predicate.Signer.Name, body.SponsorOrganisation
	switch key {
	case b.SponsorKey:
		s.Role = trial.RoleSponsor
	case body.RecoveryKey.ID:
		s.Role = trial.RoleRecovery
	default:
		return s, fmt.Errorf("the trust folder knows no enrolment of key %s; refresh it with: notary trust fetch", key)
	}
	return s, nil
}
