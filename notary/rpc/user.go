package rpc

import (
	"context"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// Role is what a grant lets its holder do. A role opens the door; who signed a
// statement, and whether the key was allowed to, is judged by its signature.
type Role string

// The roles.
const (
	// RoleSponsor submits and reads everything of its trials. With an
	// organisation instead of a trial it creates that organisation's trials, and
	// is granted each one that it creates.
	RoleSponsor Role = "sponsor"
	// RoleSite submits for its sites of one trial and reads their statements,
	// the trial-wide ones and those of authority.
	RoleSite Role = "site"
	// RoleAuditor reads everything of its trials.
	RoleAuditor Role = "auditor"
	// RoleOperator sees the notary's health and nothing of any trial.
	RoleOperator Role = "operator"
)

// Grant is one thing that a user may do. The zero Grant grants nothing: there is
// no "every trial".
type Grant struct {
	Role Role
	// Organisation is the organisation whose trials a sponsor may create, as
	// charters spell it; "" is none.
	Organisation string
	// Trial is the charter that the grant is for; zero is none.
	Trial trial.ID
	// Sites are the sites of the trial that RoleSite is for.
	Sites []string
}

// User is a caller of the API: a person or a system at the transport, which is
// not the signer of what it carries.
type User struct {
	Name   string
	Grants []Grant
}

// Users finds callers. Its methods are safe for concurrent use.
type Users interface {
	// UserByToken returns the user whose token has this HashToken, or
	// notary.ErrNotFound.
	UserByToken(ctx context.Context, hash [32]byte) (*User, error)
	// UserByCert returns the user whose client certificate has this common
	// name, or notary.ErrNotFound.
	UserByCert(ctx context.Context, name string) (*User, error)
	// GrantTrial makes a user a sponsor of a trial, durably. Granting twice is
	// no error.
	GrantTrial(ctx context.Context, user string, charter trial.ID) error
}

// Refused is one refused call, as it is recorded: who, when, what and why, and
// nothing of what the call carried.
type Refused struct {
	Time      time.Time
	RequestID string
	// User is the authenticated user's name; "" is none.
	User string
	// Address is the caller's IP address and port.
	Address string
	// Method is the RPC's full name, or the HTTP method and path of what is no
	// RPC.
	Method string
	Reason trial.Reason
	// Statement is the statement that was refused; zero where none is known.
	Statement trial.ID
}

// Refusals keeps refused calls.
type Refusals interface {
	// RecordRefusals keeps them, oldest first. One goroutine calls it.
	RecordRefusals(ctx context.Context, refused []Refused) error
}

// Tiles reads the log's public files.
type Tiles interface {
	// ReadFile returns a file by its C2SP path, such as "checkpoint" or
	// "tile/0/000", and whether it will never change. It fails with
	// notary.ErrNotFound or fs.ErrNotExist for everything else.
	ReadFile(path string) (content []byte, immutable bool, err error)
}

// sees tells whether any grant shows anything of the trial.
func (u *User) sees(charter trial.ID) bool {
	return u != nil && !charter.IsZero() &&
		slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.shows(charter) })
}

// shows tells whether the grant shows anything of the trial.
func (g *Grant) shows(charter trial.ID) bool {
	switch g.Role {
	case RoleSponsor, RoleAuditor:
		return g.Trial == charter
	case RoleSite:
		return g.Trial == charter && len(g.Sites) > 0
	default:
		return false
	}
}

// seesRecord tells whether the user may see a logged statement. A time mark is
// everyone's; statements of authority are every member's.
func (u *User) seesRecord(r *notary.Record) bool {
	if r.Charter.IsZero() {
		return true
	}
	if u == nil {
		return false
	}
	return slices.ContainsFunc(u.Grants, func(g Grant) bool {
		return g.shows(r.Charter) &&
			(g.Role != RoleSite || r.Authority || r.Site == "" || slices.Contains(g.Sites, r.Site))
	})
}

// visible is what lists show the user.
func (u *User) visible() *notary.Visible {
	var v notary.Visible
	for _, g := range u.Grants {
		if g.Trial.IsZero() || !g.shows(g.Trial) {
			continue
		}
		v.Grants = append(v.Grants, notary.VisibleGrant{
			Charter:  g.Trial,
			AllSites: g.Role != RoleSite,
			Sites:    g.Sites,
		})
	}
	return &v
}

// has tells whether the user holds a grant of one of the roles.
func (u *User) has(roles ...Role) bool {
	return u != nil && slices.ContainsFunc(u.Grants, func(g Grant) bool { return slices.Contains(roles, g.Role) })
}
