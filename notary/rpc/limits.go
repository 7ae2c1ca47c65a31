package rpc

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// class is what calls in flight are counted as. Each class of a user or an
// address has a bound of its own, so that one cannot use up another's.
type class int

const (
	classSubmit    class = iota // statements, also those of a stream
	classAuthority              // of these, statements of authority: they wait for each other
	classRead                   // other unary calls
	classStream                 // open streams
	classBatch                  // newline-delimited HTTP bodies that are held
	classes
)

// tableSize bounds how many users, and how many addresses, are remembered. Who
// was longest unseen is forgotten first, and starts anew.
const tableSize = 16384

// crowd is how many addresses with full shares of calls without a caller the
// server serves at once.
const crowd = 8

// party is a user or an address, and what it uses.
type party struct {
	calls    bucket
	bytes    bucket // of statements
	failed   bucket // credentials that were not known
	inFlight [classes]int
}

// limiter counts what users and addresses use and refuses what is above their
// limits. It is memory alone: a restart begins anew.
type limiter struct {
	limits Limits
	most   [classes]int // of a user, in flight

	// mu guards the fields below and every party.
	mu        sync.Mutex
	users     *simplelru.LRU[string, *party]
	addresses *simplelru.LRU[netip.Addr, *party]
	strangers [classes]int // calls without a caller in flight, from everywhere
	lines     bucket
	unlogged  uint64
}

func newLimiter(l Limits) (*limiter, error) {
	users, err := simplelru.NewLRU[string, *party](tableSize, nil)
	if err != nil {
		return nil, err
	}
	addresses, err := simplelru.NewLRU[netip.Addr, *party](tableSize, nil)
	if err != nil {
		return nil, err
	}
	return &limiter{limits: l, users: users, addresses: addresses, most: [classes]int{
		classSubmit: l.UserInFlight, classAuthority: l.UserAuthority, classRead: l.UserReads,
		classStream: l.UserStreams, classBatch: max(1, l.MaxBatches/2),
	}}, nil
}

// limitError refuses what is above a limit, for a time.
type limitError struct {
	reason trial.Reason
	detail string
	wait   time.Duration
}

func (e *limitError) Error() string { return e.detail }

// addressOf returns whom an address belongs to, of "127.0.0.1:1234": an IPv4
// address, or the /64 that a subscriber has in IPv6. What is no address is one
// and the same.
func addressOf(hostport string) netip.Addr {
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

func find[K comparable](table *simplelru.LRU[K, *party], key K) *party {
	p, ok := table.Get(key)
	if !ok {
		p = new(party)
		table.Add(key, p)
	}
	return p
}

// enter counts a call against the limits of its caller, or of its address where
// it has none, until leave is called.
func (l *limiter) enter(c *call, k class) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.user == nil {
		return l.enterStranger(addressOf(c.address), k)
	}
	p := find(l.users, c.user.Name)
	if wait, ok := p.calls.take(time.Now(), l.limits.userRate()); !ok {
		return nil, &limitError{reasonRateLimited, "this caller makes too many calls", wait}
	}
	return l.occupy(p, k)
}

// occupy takes a user's place. The caller holds mu.
func (l *limiter) occupy(p *party, k class) (func(), error) {
	if most := l.most[k]; most >= 0 && p.inFlight[k] >= most {
		return nil, &limitError{reasonOverloaded, fmt.Sprintf("this caller has %d %s, which is the most: wait for answers", most, classNames[k]), retryOverloaded}
	}
	p.inFlight[k]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		p.inFlight[k]--
	}, nil
}

var classNames = [classes]string{
	classSubmit: "statements in flight", classAuthority: "statements of authority in flight",
	classRead: "calls in flight", classStream: "open streams", classBatch: "batches in flight",
}

// enterStranger counts a call without a caller. The caller holds mu.
func (l *limiter) enterStranger(from netip.Addr, k class) (func(), error) {
	p, most := find(l.addresses, from), l.limits.AddressInFlight
	if wait, ok := p.calls.take(time.Now(), l.limits.addressRate()); !ok {
		return nil, &limitError{reasonRateLimited, "too many calls without credentials from this address", wait}
	}
	if most >= 0 && (p.inFlight[k] >= most || l.strangers[k] >= most*crowd) {
		return nil, &limitError{reasonOverloaded, "too many calls without credentials in flight", retryOverloaded}
	}
	p.inFlight[k]++
	l.strangers[k]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		p.inFlight[k]--
		l.strangers[k]--
	}, nil
}

// sends counts the bytes of a statement that was read.
func (l *limiter) sends(c *call, size int) error {
	if c.user == nil { // submissions have one
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := find(l.users, c.user.Name)
	if wait, ok := p.bytes.takeMany(time.Now(), l.limits.userBytes(), float64(size)); !ok {
		return &limitError{reasonRateLimited, "this caller sends too many bytes of statements", wait}
	}
	return nil
}

// waits counts a submission that turned out to be a statement of authority. leave
// is never nil.
func (l *limiter) waits(c *call) (leave func(), err error) {
	if c.user == nil { // submissions have one
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if leave, err = l.occupy(find(l.users, c.user.Name), classAuthority); err != nil {
		return func() {}, err
	}
	return leave, nil
}

// mayGuess refuses to look a credential up that was not seen before for an
// address that sent too many wrong ones.
func (l *limiter) mayGuess(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.addresses.Get(addressOf(address))
	if !ok {
		return nil
	}
	if wait, ok := p.failed.ready(time.Now(), l.limits.failureRate()); !ok {
		return &limitError{reasonRateLimited, "too many wrong credentials from this address", wait}
	}
	return nil
}

// guessed counts a wrong credential.
func (l *limiter) guessed(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = find(l.addresses, addressOf(address)).failed.take(time.Now(), l.limits.failureRate())
}

// logs tells whether a call that was refused for its rate gets a log line, and
// how many did not since the last one: a flood of calls is no flood of lines.
func (l *limiter) logs(reason trial.Reason) (line bool, unlogged uint64) {
	if reason != reasonRateLimited && reason != reasonOverloaded {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.lines.take(time.Now(), rate{10, 100}); !ok {
		l.unlogged++
		return false, 0
	}
	unlogged, l.unlogged = l.unlogged, 0
	return true, unlogged
}

// classOf returns what a call is counted as.
func classOf(method string) class {
	switch {
	case method == notaryv1.NotaryService_Submit_FullMethodName:
		return classSubmit
	case policy[method].long:
		return classStream
	}
	return classRead
}
