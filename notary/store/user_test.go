package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

func token(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func TestUsers(t *testing.T) {
	s := newStore(t)
	users := []User{
		{Name: "auditor", CertName: "auditor.example", Grants: []Grant{{Role: RoleAuditor, Trial: trial.ID{1}}}},
		{Name: "both", TokenHash: token("both"), CertName: "both.example"},
		{Name: "operator \"ö\" \\", TokenHash: token("op"), Grants: []Grant{{Role: RoleOperator}}},
		{Name: "site", TokenHash: token("site"), Grants: []Grant{
			{Role: RoleSite, Trial: trial.ID{2}, Sites: []string{"701", "704"}},
			{Role: RoleSite, Trial: trial.ID{1}, Sites: []string{"a \"b\""}},
		}},
		{Name: "sponsor", TokenHash: token("sponsor"), Grants: []Grant{{Role: RoleSponsor, Organisation: "Acme, \"Ltd\""}}},
	}
	for _, u := range slices.Backward(users) {
		if err := s.AddUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.ListUsers(t.Context()); err != nil || !reflect.DeepEqual(got, users) {
		t.Errorf("got %+v, %v, want %+v", got, err, users)
	}
	for _, u := range users {
		if u.TokenHash != ([32]byte{}) {
			if got, err := s.UserByToken(t.Context(), u.TokenHash); err != nil || !reflect.DeepEqual(*got, u) {
				t.Errorf("by token: got %+v, %v, want %+v", got, err, u)
			}
		}
		if u.CertName != "" {
			if got, err := s.UserByCert(t.Context(), u.CertName); err != nil || !reflect.DeepEqual(*got, u) {
				t.Errorf("by certificate: got %+v, %v, want %+v", got, err, u)
			}
		}
	}
	if err := s.RemoveUser(t.Context(), "site"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"removed": second(s.UserByToken(t.Context(), token("site"))), "no token": second(s.UserByToken(t.Context(), [32]byte{})),
		"no certificate": second(s.UserByCert(t.Context(), "")), "name as certificate": second(s.UserByCert(t.Context(), "sponsor")),
		"removing again": s.RemoveUser(t.Context(), "site"),
	} {
		if !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
	// What belonged to the removed user does not come back with the name.
	if err := s.AddUser(t.Context(), User{Name: "site", TokenHash: token("new")}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.UserByToken(t.Context(), token("new")); err != nil || len(got.Grants) != 0 {
		t.Errorf("got %+v, %v, want no grants", got, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAddUserRefuses(t *testing.T) {
	s := newStore(t)
	held := User{Name: "held", TokenHash: token("held"), CertName: "held.example"}
	if err := s.AddUser(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	with := func(g Grant) User { return User{Name: "u", TokenHash: token("u"), Grants: []Grant{g}} }
	for _, tc := range []struct {
		name string
		user User
		says string
	}{
		{"name taken", User{Name: "held", TokenHash: token("u")}, "the name is taken"},
		{"token taken", User{Name: "u", TokenHash: token("held")}, "the token is taken"},
		{"certificate taken", User{Name: "u", CertName: "held.example"}, "the certificate name is taken"},
		{"no name", User{TokenHash: token("u")}, "invalid name: got 0 bytes"},
		{"long name", User{Name: strings.Repeat("x", 257), TokenHash: token("u")}, "invalid name: got 257 bytes"},
		{"line in name", User{Name: "a\nb", TokenHash: token("u")}, "invalid name: got character U+000A"},
		{"bidi control in name", User{Name: "a\u202eb", TokenHash: token("u")}, "invalid name: got character U+202E"},
		{"space at the end", User{Name: "held ", TokenHash: token("u")}, "no space at its ends"},
		{"not UTF-8", User{Name: "\xff", TokenHash: token("u")}, "not UTF-8"},
		{"no way in", User{Name: "u"}, "neither a token nor a certificate"},
		{"bad certificate", User{Name: "u", CertName: "a\x00"}, "invalid certificate name"},
		{"no role", with(Grant{}), `invalid role: got ""`},
		{"unknown role", with(Grant{Role: "admin"}), `invalid role: got "admin"`},
		{"site without a trial", with(Grant{Role: RoleSite, Sites: []string{"701"}}), "wants a trial"},
		{"site without sites", with(Grant{Role: RoleSite, Trial: trial.ID{1}}), "at least 1 site"},
		{"empty site", with(Grant{Role: RoleSite, Trial: trial.ID{1}, Sites: []string{""}}), "invalid site"},
		{"site twice", with(Grant{Role: RoleSite, Trial: trial.ID{1}, Sites: []string{"701", "701"}}), "twice"},
		{"auditor with sites", with(Grant{Role: RoleAuditor, Trial: trial.ID{1}, Sites: []string{"701"}}), "got sites for role auditor"},
		{"bad organisation", with(Grant{Role: RoleSponsor, Organisation: "\t"}), "invalid organisation"},
	} {
		err := s.AddUser(t.Context(), tc.user)
		if err == nil || !strings.Contains(err.Error(), tc.says) || strings.HasSuffix(tc.says, "is taken") != errors.Is(err, ErrUserExists) {
			t.Errorf("%s: got %v, want an error saying %q", tc.name, err, tc.says)
		}
	}
	if got, err := s.ListUsers(t.Context()); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], held) {
		t.Errorf("got %+v, %v, want the first user alone", got, err)
	}
}

func TestGrantTrial(t *testing.T) {
	s := newStore(t)
	first := Grant{Role: RoleSponsor, Organisation: "Acme"}
	auditor := Grant{Role: RoleAuditor, Trial: trial.ID{1}} // does not stand for a sponsor's
	if err := s.AddUser(t.Context(), User{Name: "u", TokenHash: token("u"), Grants: []Grant{first, auditor}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []trial.ID{{1}, {1}, {2}, {1}} {
		if err := s.GrantTrial(t.Context(), "u", id); err != nil {
			t.Fatal(err)
		}
	}
	want := []Grant{first, auditor, {Role: RoleSponsor, Trial: trial.ID{1}}, {Role: RoleSponsor, Trial: trial.ID{2}}}
	if got, err := s.UserByToken(t.Context(), token("u")); err != nil || !reflect.DeepEqual(got.Grants, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := s.GrantTrial(t.Context(), "nobody", trial.ID{1}); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := s.GrantTrial(t.Context(), "u", trial.ID{}); err == nil || !strings.Contains(err.Error(), "invalid charter") {
		t.Errorf("got %v, want an error saying invalid charter", err)
	}
}

func TestRefusals(t *testing.T) {
	s := newStore(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	want := []Refusal{
		{Time: at.Add(time.Second), RequestID: "r2", User: "u", Address: "127.0.0.1:99", Method: "/m", Reason: "NOT_PERMITTED", Statement: trial.ID{5}},
		{Time: at, Reason: "UNAUTHENTICATED"},
	}
	if err := s.RecordRefusal(t.Context(), want[1], want[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordRefusal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Refusals(t.Context(), 10); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := s.Refusals(t.Context(), 1); err != nil || !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("got %+v, %v, want %+v", got, err, want[:1])
	}
	if _, err := s.Refusals(t.Context(), 0); err == nil {
		t.Error("a limit of 0 was taken")
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	s := newStore(t)
	for i := range 25 {
		if err := s.recordRefusals(t.Context(), 10, []Refusal{{Method: fmt.Sprint(2 * i)}, {Method: fmt.Sprint(2*i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Refusals(t.Context(), 1000)
	if err != nil || len(got) != 10 || got[0].Method != "49" || got[9].Method != "40" {
		t.Errorf("got %+v, %v, want 49 to 40", got, err)
	}
	// A refusal is recorded whatever the caller sent.
	odd := Refusal{RequestID: strings.Repeat("é", 1000), User: "a\x00b\xff", Method: "x" + strings.Repeat("é", 1000)}
	if err := s.RecordRefusal(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	got, err = s.Refusals(t.Context(), 1)
	if err != nil || got[0].RequestID != strings.Repeat("é", 128) || got[0].User != "a\ufffdb\ufffd" || got[0].Method != "x"+strings.Repeat("é", 127) {
		t.Errorf("got %+v, %v, want texts cut to 256 bytes", got, err)
	}
}

// TestAddGrant gives a user further grants: the same one twice is once, and what
// means nothing is refused and leaves nothing.
func TestAddGrant(t *testing.T) {
	s := newStore(t)
	u := User{Name: "monitor", TokenHash: [32]byte{1}, Grants: []Grant{{Role: RoleAuditor, Trial: trial.ID{1}}}}
	if err := s.AddUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	more := Grant{Role: RoleSite, Trial: trial.ID{2}, Sites: []string{"701", "704"}}
	again := Grant{Role: RoleSite, Trial: trial.ID{2}, Sites: []string{"704", "701"}}
	for _, g := range []Grant{more, again, u.Grants[0]} {
		if err := s.AddGrant(t.Context(), "monitor", g); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddGrant(t.Context(), "monitor", Grant{Role: RoleSite}); err == nil {
		t.Error("a site grant without a trial was taken")
	}
	if err := s.AddGrant(t.Context(), "nobody", more); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("a grant to nobody: got %v, want ErrNotFound", err)
	}
	got, err := s.UserByToken(t.Context(), u.TokenHash)
	if err != nil || !reflect.DeepEqual(got.Grants, append(u.Grants, more)) {
		t.Errorf("got %v, %v, want two grants", got, err)
	}
}
