package main

import (
	"reflect"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// TestWaitsFor: who is asked holds the role, may endorse, and is not the author.
func TestWaitsFor(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	past, later := now.Add(-time.Hour), now.Add(time.Hour)
	enrolment := func(n byte, name string, role trial.Role, change ...func(*client.Enrolment)) client.Enrolment {
		e := client.Enrolment{Key: trial.KeyID{n}, Body: &trial.EnrolmentBody{
			HolderID: name, Holder: trial.HolderPerson, Name: name, Organisation: "Acme", Roles: []trial.Role{role}, AllSites: true,
			Kinds: []trial.Kind{trial.KindEndorsement},
		}}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	book := &client.Book{
		Charter: &trial.Statement{Predicate: trial.Predicate{Body: &trial.CharterBody{
			Endorsements: map[trial.Kind][]trial.Role{trial.KindSAP: {}, trial.KindDataset: {trial.RoleQA}},
		}}},
		Enrolments: []client.Enrolment{
			enrolment(1, "Ann", trial.RoleDataManager),
			enrolment(2, "Bo", trial.RoleBiostatistician),
			enrolment(3, "Bo", trial.RoleBiostatistician), // a second key
			enrolment(4, "Cy", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Revoked = true }),
			enrolment(5, "Di", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Body.Until = &past }),
			enrolment(6, "Ed", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Body.From = &later }),
			enrolment(7, "Flo", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Body.AllSites, e.Body.Sites = false, []string{"701"} }),
			enrolment(8, "Gus", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Body.Kinds = []trial.Kind{trial.KindSAP} }),
			enrolment(9, "EDC", trial.RoleBiostatistician, func(e *client.Enrolment) { e.Body.Holder = trial.HolderSystem }),
			enrolment(10, "Hal", trial.RoleBiostatistician),
		},
	}
	for name, c := range map[string]struct {
		kind trial.Kind
		by   byte
		site string
		want []waiting
	}{
		"a lock":             {trial.KindDatabaseLock, 1, "", []waiting{{trial.RoleBiostatistician, []string{"Bo, Acme", "Hal, Acme"}}}},
		"at a site":          {trial.KindDatabaseLock, 1, "701", []waiting{{trial.RoleBiostatistician, []string{"Bo, Acme", "Flo, Acme", "Hal, Acme"}}}},
		"the author not":     {trial.KindDatabaseLock, 10, "", []waiting{{trial.RoleDataManager, []string{"Ann, Acme"}}}},
		"nobody":             {trial.KindDatabaseUnlock, 1, "", []waiting{{trial.RoleQA, nil}}},
		"an unknown author":  {trial.KindDatabaseLock, 99, "", []waiting{{trial.RoleDataManager, []string{"Ann, Acme"}}, {trial.RoleBiostatistician, []string{"Bo, Acme", "Hal, Acme"}}}},
		"the charter's none": {trial.KindSAP, 1, "", nil},
		"the charter's own":  {trial.KindDataset, 1, "", []waiting{{trial.RoleQA, nil}}},
		"none needed":        {trial.KindICF, 1, "", nil},
	} {
		st := &trial.Statement{Predicate: trial.Predicate{Kind: c.kind, Site: c.site, Signer: trial.Signer{KeyID: trial.KeyID{c.by}}}}
		if got := waitsFor(book, st, now); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := waitsFor(&client.Book{}, &trial.Statement{}, now); got != nil {
		t.Errorf("without a charter: got %v", got)
	}
}
