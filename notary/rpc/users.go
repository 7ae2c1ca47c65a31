package rpc

import (
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/trialnotary/trialnotary/trial"
)

const (
	// knownUsers is how many credentials are kept. Only those of enrolled users
	// are: guesses cannot push them out.
	knownUsers = 4096
	// lookupTimeout bounds a look-up, on which other callers of the same user
	// may wait.
	lookupTimeout = 5 * time.Second
)

// userCache remembers for a short time who a credential belongs to, so that the
// database is not asked at every call. Another process may remove a user or its
// grants: it goes on here for at most age. A credential that is not known is
// asked for every time, so that a new user is let in at once.
type userCache struct {
	Users // asked where nothing is known
	age   time.Duration
	// asking lets the calls of one user that come together ask once.
	asking singleflight.Group

	// mu guards the fields below: what was read before the last grant is never
	// put into known after it.
	mu     sync.Mutex
	grants uint64 // that this process made
	known  *lru.Cache[credential, knownUser]
}

// credential is one way of naming a user: the hash of a token, or the common
// name of a certificate.
type credential struct {
	token [32]byte
	cert  string
}

type knownUser struct {
	user  *User // shared by calls: nobody alters it
	asked time.Time
}

// newUserCache returns users that are asked for again after age; with a
// negative age they are asked for at every call.
func newUserCache(users Users, age time.Duration) Users {
	known, err := lru.New[credential, knownUser](knownUsers)
	if err != nil { // only for a size below 1
		return users
	}
	return &userCache{Users: users, age: age, known: known}
}

// UserByToken implements Users.
func (c *userCache) UserByToken(ctx context.Context, hash [32]byte) (*User, error) {
	return c.find(ctx, credential{token: hash}, func(ctx context.Context) (*User, error) {
		return c.Users.UserByToken(ctx, hash)
	})
}

// UserByCert implements Users.
func (c *userCache) UserByCert(ctx context.Context, name string) (*User, error) {
	return c.find(ctx, credential{cert: name}, func(ctx context.Context) (*User, error) {
		return c.Users.UserByCert(ctx, name)
	})
}

// GrantTrial implements Users. What is remembered is dropped also where it
// fails: the grant may have been stored all the same.
func (c *userCache) GrantTrial(ctx context.Context, user string, charter trial.ID) error {
	err := c.Users.GrantTrial(ctx, user, charter)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grants++
	c.known.Purge() // trials are created rarely, and the rest is asked for again
	return err
}

// met tells whether a credential was good when it was last asked for, however
// long ago.
func (c *userCache) met(by credential) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.Contains(by)
}

func (c *userCache) find(ctx context.Context, by credential, ask func(context.Context) (*User, error)) (*User, error) {
	u, grants := c.fresh(by)
	if u != nil {
		return u, nil
	}
	// The count of grants is part of the key: who calls after a grant does not
	// join a look-up that began before it.
	found, err, _ := c.asking.Do(fmt.Sprintf("%d %x %s", grants, by.token, by.cert), func() (any, error) {
		// A look-up may have ended since this caller found none.
		if u, now := c.fresh(by); u != nil && now == grants {
			return u, nil
		}
		// Not the first caller's deadline: others wait for the same answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		asked := time.Now() // before the look-up: age counts from the oldest moment
		u, err := ask(ctx)
		c.keep(by, knownUser{user: u, asked: asked}, grants, err)
		return u, err
	})
	u, _ = found.(*User)
	return u, err
}

// fresh returns who a credential belongs to, if that was asked for lately, and how
// many grants there were.
func (c *userCache) fresh(by credential) (*User, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, ok := c.known.Get(by); ok && time.Since(got.asked) < c.age {
		return got.user, c.grants
	}
	return nil, c.grants
}

// keep remembers a found user, and forgets one that is gone.
func (c *userCache) keep(by credential, found knownUser, grants uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || found.user == nil {
		c.known.Remove(by)
	} else if grants == c.grants {
		c.known.Add(by, found)
	}
}
