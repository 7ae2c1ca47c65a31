package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/trialnotary/trialnotary/notary"
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
	// required there and empty for every other role. They are kept sorted.
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

// maxName bounds the names of users, organisations, sites and certificates, in
// bytes.
const maxName = 256

// Grants and their sites come as JSON, so that a user is one row and one moment.
const (
	userColumns = `SELECT u.name, u.token, u.cert_name,
		(SELECT json_group_array(json_array(g.role, g.organisation, hex(g.trial),
			(SELECT json_group_array(gs.site ORDER BY gs.site) FROM grant_sites gs WHERE gs.user = g.user AND gs.pos = g.pos))
			ORDER BY g.pos) FROM grants g WHERE g.user = u.name) FROM users u`
	sqlUsers       = userColumns + ` ORDER BY u.name`
	sqlUserByToken = userColumns + ` WHERE u.token = ?`
	sqlUserByCert  = userColumns + ` WHERE u.cert_name = ?`
)

// AddUser stores a new user with its grants in one transaction. It fails with
// ErrUserExists where the name, the token or the certificate name is another
// user's. Another process sees the user at once.
func (s *Store) AddUser(ctx context.Context, u User) error {
	what := fmt.Sprintf("adding user %q", u.Name)
	if err := u.check(); err != nil {
		return s.failed(what, err)
	}
	return s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		token, cert := optional(u.TokenHash[:], u.TokenHash == [32]byte{}), optional(u.CertName, u.CertName == "")
		for _, taken := range []struct {
			what, query string
			value       any
		}{
			{"name", "SELECT count(*) FROM users WHERE name = ?", u.Name},
			{"token", "SELECT count(*) FROM users WHERE token = ?", token},
			{"certificate name", "SELECT count(*) FROM users WHERE cert_name = ?", cert},
		} {
			var n int
			if err := tx.QueryRowContext(ctx, taken.query, taken.value).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("%w: the %s is taken", ErrUserExists, taken.what)
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO users (name, token, cert_name) VALUES (?, ?, ?)", u.Name, token, cert); err != nil {
			return err
		}
		for pos, g := range u.Grants {
			if err := putGrant(ctx, tx, u.Name, pos, g); err != nil {
				return err
			}
		}
		return nil
	})
}

func putGrant(ctx context.Context, tx *sql.Tx, user string, pos int, g Grant) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO grants (user, pos, role, organisation, trial) VALUES (?, ?, ?, ?, ?)",
		user, pos, string(g.Role), g.Organisation, blob(g.Trial))
	for _, site := range g.Sites {
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO grant_sites (user, pos, site) VALUES (?, ?, ?)", user, pos, site)
	}
	return err
}

// optional returns nil for what is absent.
func optional(v any, absent bool) any {
	if absent {
		return nil
	}
	return v
}

// check refuses a user who could never come in, and grants that mean nothing.
func (u *User) check() error {
	if err := checkName("name", u.Name); err != nil {
		return err
	}
	if u.TokenHash == ([32]byte{}) && u.CertName == "" {
		return errors.New("invalid user: got neither a token nor a certificate name")
	}
	if u.CertName != "" {
		if err := checkName("certificate name", u.CertName); err != nil {
			return err
		}
	}
	for i, g := range u.Grants {
		if err := g.check(); err != nil {
			return fmt.Errorf("grant %d: %w", i, err)
		}
	}
	return nil
}

func (g *Grant) check() error {
	switch g.Role {
	case RoleSponsor, RoleAuditor, RoleOperator:
		if len(g.Sites) > 0 {
			return fmt.Errorf("invalid grant: got sites for role %s, want none", g.Role)
		}
	case RoleSite:
		if g.Trial.IsZero() || len(g.Sites) == 0 {
			return errors.New("invalid grant: role site wants a trial and at least 1 site")
		}
	default:
		return fmt.Errorf("invalid role: got %q, want sponsor, site, auditor or operator", g.Role)
	}
	if g.Organisation != "" {
		if err := checkName("organisation", g.Organisation); err != nil {
			return err
		}
	}
	for i, site := range g.Sites {
		if err := checkName("site", site); err != nil {
			return err
		}
		if slices.Contains(g.Sites[:i], site) {
			return fmt.Errorf("invalid sites: got %q twice", site)
		}
	}
	return nil
}

// checkName refuses names that would look like another, or break a line.
func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("invalid %s: got %d bytes, want 1 to %d", what, len(name), maxName)
	}
	if err := checkText(what, name); err != nil {
		return err
	}
	if strings.TrimSpace(name) != name {
		return fmt.Errorf("invalid %s: got %q, want no space at its ends", what, name)
	}
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("invalid %s: got character %U, want printable ones", what, c)
		}
	}
	return nil
}

// RemoveUser removes a user and its grants, or fails with notary.ErrNotFound.
func (s *Store) RemoveUser(ctx context.Context, name string) error {
	return s.inWrite(ctx, fmt.Sprintf("removing user %q", name), func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM users WHERE name = ?", name)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, notary.ErrNotFound)
		}
		return nil
	})
}

// GrantTrial makes a user a sponsor of a trial: see AddGrant.
func (s *Store) GrantTrial(ctx context.Context, user string, charter trial.ID) error {
	if charter.IsZero() {
		return s.failed(fmt.Sprintf("granting a trial to user %q", user), errors.New("invalid charter: got none"))
	}
	return s.AddGrant(ctx, user, Grant{Role: RoleSponsor, Trial: charter})
}

// AddGrant gives a user one more grant. A grant that the user has already is no
// error; it fails with notary.ErrNotFound where there is no such user.
func (s *Store) AddGrant(ctx context.Context, user string, g Grant) error {
	what := fmt.Sprintf("granting role %s to user %q", g.Role, user)
	if err := g.check(); err != nil {
		return s.failed(what, err)
	}
	return s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		held, next, err := heldGrants(ctx, tx, user)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(held, g.equal) {
			return nil
		}
		return putGrant(ctx, tx, user, next, g)
	})
}

// equal compares grants; the order of sites means nothing.
func (g *Grant) equal(o Grant) bool {
	return g.Role == o.Role && g.Organisation == o.Organisation && g.Trial == o.Trial &&
		slices.Equal(slices.Sorted(slices.Values(g.Sites)), slices.Sorted(slices.Values(o.Sites)))
}

// heldGrants returns a user's grants and the position of the next one.
func heldGrants(ctx context.Context, tx *sql.Tx, user string) (held []Grant, next int, err error) {
	u, err := scanUser(tx.QueryRowContext(ctx, userColumns+" WHERE u.name = ?", user))
	if errors.Is(err, sql.ErrNoRows) {
		err = notary.ErrNotFound
	}
	if err != nil {
		return nil, 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT coalesce(max(pos) + 1, 0) FROM grants WHERE user = ?", user).Scan(&next)
	return u.Grants, next, err
}

// ListUsers returns every user, by name.
func (s *Store) ListUsers(ctx context.Context) ([]User, error) {
	const what = "listing users"
	rows, err := s.read.users.QueryContext(ctx)
	if err != nil {
		return nil, s.failed(what, err)
	}
	defer rows.Close()
	var users []User
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, s.failed(what, err)
		}
		users = append(users, *u)
	}
	return users, s.failed(what, rows.Err())
}

// UserByToken returns the user whose token has this SHA-256, or
// notary.ErrNotFound.
func (s *Store) UserByToken(ctx context.Context, hash [32]byte) (*User, error) {
	u, err := scanUser(s.read.userByToken.QueryRowContext(ctx, hash[:]))
	return u, s.failed("finding the user of a token", err)
}

// UserByCert returns the user whose client certificate has this common name, or
// notary.ErrNotFound.
func (s *Store) UserByCert(ctx context.Context, name string) (*User, error) {
	u, err := scanUser(s.read.userByCert.QueryRowContext(ctx, name))
	return u, s.failed("finding the user of a certificate", err)
}

// scanUser reads a row of userColumns, whose grants are such as
//
//	[["site","","9F86…",["701","704"]]]
func scanUser(row scanner) (*User, error) {
	var u User
	var token, grants []byte
	var cert sql.NullString
	if err := row.Scan(&u.Name, &token, &cert, &grants); err != nil {
		return nil, err
	}
	copy(u.TokenHash[:], token)
	u.CertName = cert.String
	var list []grantRow
	if err := json.Unmarshal(grants, &list); err != nil {
		return nil, fmt.Errorf("%w: grants of user %q: %w", notary.ErrStoreDamaged, u.Name, err)
	}
	for _, g := range list {
		u.Grants = append(u.Grants, Grant(g))
	}
	return &u, nil
}

// grantRow is a Grant as userColumns gives it.
type grantRow Grant

// UnmarshalJSON implements json.Unmarshaler.
func (g *grantRow) UnmarshalJSON(b []byte) error {
	var charter string
	if err := json.Unmarshal(b, &[]any{&g.Role, &g.Organisation, &charter, &g.Sites}); err != nil {
		return err
	}
	id, err := hex.DecodeString(charter)
	if err != nil {
		return err
	}
	copy(g.Trial[:], id)
	if len(g.Sites) == 0 {
		g.Sites = nil
	}
	return nil
}
