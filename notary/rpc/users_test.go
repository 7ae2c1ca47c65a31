package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// forgetUsers does what UserAge does in time.
func (w *world) forgetUsers() {
	c := w.srv.cfg.Users.(*userCache)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Purge()
}

// askedUsers counts look-ups and can hold them up.
type askedUsers struct {
	*fakeUsers
	asked atomic.Int64
	hold  func() // after the look-up, before its answer
}

func (a *askedUsers) UserByToken(ctx context.Context, hash [32]byte) (*User, error) {
	a.asked.Add(1)
	u, err := a.fakeUsers.UserByToken(ctx, hash)
	if a.hold != nil {
		a.hold()
	}
	return u, err
}

func newAskedUsers() (*askedUsers, [32]byte) {
	hash := [32]byte{1}
	return &askedUsers{fakeUsers: &fakeUsers{
		byToken: map[[32]byte]string{hash: "sponsor"}, byCert: map[string]string{"cert": "sponsor"},
		users: map[string]*User{"sponsor": {Name: "sponsor"}},
	}}, hash
}

func TestUserCache(t *testing.T) {
	users, hash := newAskedUsers()
	cache := newUserCache(users, time.Hour).(*userCache)
	find := func(want string, asked int64) {
		t.Helper()
		u, err := cache.UserByToken(t.Context(), hash)
		if want == "" && (u != nil || !errors.Is(err, notary.ErrNotFound)) || want != "" && (err != nil || u.Name != want) {
			t.Errorf("got %v (%v), want %q", u, err, want)
		}
		if n := users.asked.Swap(0); n != asked {
			t.Errorf("got %d look-ups, want %d", n, asked)
		}
	}
	find("sponsor", 1)
	find("sponsor", 0)
	if u, err := cache.UserByCert(t.Context(), "cert"); err != nil || u.Name != "sponsor" {
		t.Errorf("got %v (%v) by certificate", u, err)
	}
	if u, err := cache.UserByCert(t.Context(), string(hash[:])); u != nil || !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v (%v) for a certificate that is spelt as a token's hash", u, err)
	}
	// Removed by another process: known until age is over, and not a moment more.
	users.remove("sponsor")
	find("sponsor", 0)
	cache.age = 0
	find("", 1)
	cache.age = time.Hour
	find("", 1) // what is not known is never remembered
	users.users["sponsor"] = &User{Name: "sponsor"}
	find("sponsor", 1)
	// A look-up that fails is an error each time, and nothing is remembered.
	cache.age = 0
	users.fail = errors.New("disk")
	if u, err := cache.UserByToken(t.Context(), hash); u != nil || !errors.Is(err, users.fail) {
		t.Errorf("got %v (%v), want the failure", u, err)
	}
	users.fail, cache.age = nil, time.Hour
	users.asked.Store(0)
	find("sponsor", 1)
	cache.age = -1
	find("sponsor", 1)
}

// TestUserCacheGrant never shows a grant late that this process made, also to
// who asks while a look-up from before the grant is under way, and also where the
// grant failed after it was stored.
func TestUserCacheGrant(t *testing.T) {
	users, hash := newAskedUsers()
	cache := newUserCache(users, time.Hour)
	looked, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	users.hold = func() {
		if first.CompareAndSwap(false, true) {
			close(looked)
			<-release
		}
	}
	early := make(chan int)
	go func() {
		u, _ := cache.UserByToken(context.Background(), hash)
		early <- len(u.Grants)
	}()
	<-looked
	must(t, cache.GrantTrial(t.Context(), "sponsor", trial.ID{1}))
	if u, err := cache.UserByToken(t.Context(), hash); err != nil || len(u.Grants) != 1 {
		t.Errorf("got %v (%v) beside an older look-up, want the grant", u, err)
	}
	close(release)
	if n := <-early; n != 0 {
		t.Errorf("got %d grants from the older look-up, want 0", n)
	}
	if u, err := cache.UserByToken(t.Context(), hash); err != nil || len(u.Grants) != 1 {
		t.Errorf("got %v (%v) after an older look-up ended, want the grant", u, err)
	}
	users.users["sponsor"].Grants = append(users.users["sponsor"].Grants, Grant{Role: RoleAuditor})
	users.fail = errors.New("the answer was lost")
	if err := cache.GrantTrial(t.Context(), "sponsor", trial.ID{2}); !errors.Is(err, users.fail) {
		t.Errorf("got %v, want the failure", err)
	}
	users.fail = nil
	if u, err := cache.UserByToken(t.Context(), hash); err != nil || len(u.Grants) != 2 {
		t.Errorf("got %v (%v) after a grant that failed, want what is stored", u, err)
	}
}

// TestUserCacheTogether asks once for many calls, none of which can end the
// look-up for the others.
func TestUserCacheTogether(t *testing.T) {
	users, hash := newAskedUsers()
	looked, release := make(chan struct{}, 1), make(chan struct{})
	users.hold = func() { looked <- struct{}{}; <-release }
	cache := newUserCache(users, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	find := func(ctx context.Context) {
		if u, err := cache.UserByToken(ctx, hash); err != nil || u.Name != "sponsor" {
			t.Errorf("got %v (%v)", u, err)
		}
	}
	wg.Go(func() { find(ctx) })
	<-looked
	cancel()
	for range 100 {
		wg.Go(func() { find(t.Context()) })
	}
	close(release)
	wg.Wait()
	if n := users.asked.Load(); n != 1 {
		t.Errorf("got %d look-ups, want 1", n)
	}
}

// TestRemovedElsewhere removes a user through another connection to the same
// database, as `notaryd user remove` does beside a server that runs: its calls
// end within UserAge, and a user who was made there is let in at once.
func TestRemovedElsewhere(t *testing.T) {
	w, db := newRealWorld(t)
	w.realUser(db, "sponsor", store.Grant{Role: store.RoleSponsor, Organisation: "Acme"})
	client, req := w.grpc(), &notaryv1.FindSubjectRequest{Sha256: fileDigest}
	if _, err := client.FindSubject(w.asCtx("sponsor"), req); err != nil {
		t.Fatal(err)
	}
	other, err := store.Open(db.Path())
	must(t, err)
	defer func() { must(t, other.Close()) }()
	must(t, other.RemoveUser(t.Context(), "sponsor"))
	removed := time.Now()
	for {
		began := time.Now()
		_, err := client.FindSubject(w.asCtx("sponsor"), req)
		if status.Code(err) == codes.Unauthenticated {
			break
		}
		if late := began.Sub(removed); err != nil || late >= w.srv.cfg.Limits.UserAge {
			t.Fatalf("got %v %v after the user was removed, want Unauthenticated", err, late)
		}
	}
	token, hash := NewToken()
	w.tokens["new"] = token
	must(t, other.AddUser(t.Context(), store.User{Name: "new", TokenHash: hash, Grants: []store.Grant{{Role: store.RoleSponsor, Organisation: "Acme"}}}))
	if _, err := client.FindSubject(w.asCtx("new"), req); err != nil {
		t.Errorf("got %v for a new user", err)
	}
}

// BenchmarkUserByToken is what finding the caller costs a call, with and without
// the memory.
func BenchmarkUserByToken(b *testing.B) {
	w, db := newRealWorld(b)
	w.realUser(db, "sponsor", store.Grant{Role: store.RoleSponsor, Trial: trial.ID{1}})
	hash, err := HashToken(w.tokens["sponsor"])
	if err != nil {
		b.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"database": -1, "remembered": time.Hour} {
		b.Run(name, func(b *testing.B) {
			users := newUserCache(storeUsers{db}, age)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := users.UserByToken(b.Context(), hash); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
