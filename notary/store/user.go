package store

import (
	"context"
	"errors"

	"github.com/trialnotary/trialnotary/trial"
)

// Role is what a grant lets its holder do.
type Role string

// The roles. What each may do is decided where calls are authorised, not here.
const (
	RoleSponsor  Role = "sponsor"
	RoleSite     Role = "site"
	RoleAuditor  Role = "auditor"
	RoleOperator Role = "operator"
)

// Grant is one thing that a user may do.
type Grant struct {
	Role Role
	// Organisation is the organisation whose trials a sponsor may create; ""
	// is none.
	Organisation string
	// Trial is the charter that the grant is for; zero is none.
	Trial trial.ID
	// Sites are the sites of the trial that a RoleSite grant is for. It is
	// required there and empty for every other role.
	Sites []string
}

// User is a caller of the API. At least one of TokenHash and CertName is set.
type User struct {
	Name string
	// TokenHash is the SHA-256 of the bearer token; zero is none. The token
	// itself is never stored.
	TokenHash [32]byte
	// CertName is the common name of the client certificate; "" is none.
	CertName string
	Grants   []Grant
}

// ErrUserExists means that the name, the token or the certificate name is
// another user's already.
var ErrUserExists = errors.New("user exists")

// AddUser stores a new user with its grants in one transaction.
func (s *Store) AddUser(ctx context.Context, u User) error { panic("") }

// RemoveUser removes a user and its grants, or fails with notary.ErrNotFound.
func (s *Store) RemoveUser(ctx context.Context, name string) error { panic("") }

// ListUsers returns every user, by name.
func (s *Store) ListUsers(ctx context.Context) ([]User, error) { panic("") }

// UserByToken returns the user whose token has this SHA-256, or
// notary.ErrNotFound.
func (s *Store) UserByToken(ctx context.Context, hash [32]byte) (*User, error) { panic("") }

// UserByCert returns the user whose client certificate has this common name, or
// notary.ErrNotFound.
func (s *Store) UserByCert(ctx context.Context, name string) (*User, error) { panic("") }

// GrantTrial makes a user a sponsor of a trial. Granting twice is no error; it
// fails with notary.ErrNotFound where there is no such user.
func (s *Store) GrantTrial(ctx context.Context, user string, charter trial.ID) error { panic("") }
