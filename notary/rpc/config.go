package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Service is what the handlers call: *notary.Service.
type Service interface {
	SubmitForm(ctx context.Context, env *trial.Envelope, allow notary.Allow, form notary.Form) (*notary.Result, error)
	Start(ctx context.Context, sub notary.Submission) (abandon func(error))
	Receipt(ctx context.Context, id trial.ID) (*notary.Result, error)
	Statement(ctx context.Context, id trial.ID) (*notary.Record, error)
	List(ctx context.Context, q notary.Query) ([]*notary.Record, error)
	FindSubject(ctx context.Context, q notary.Query) ([]*notary.Record, error)
	Checkpoint() receipt.Checkpoint
	TimeMark(ctx context.Context, below uint64) (*notary.Result, error)
	Resolve(ctx context.Context, name string) (trial.ID, error)
	Trust(ctx context.Context, charter trial.ID) (*receipt.Trust, error)
	Verify(ctx context.Context, charter trial.ID, bundle, evidence []byte, files []receipt.File) (*receipt.Verdict, error)
	ReadTrial(ctx context.Context, q notary.ViewQuery, read func(*notary.TrialView) error) error
	LogSize() uint64
	Health(ctx context.Context) []notary.Condition
	Close(ctx context.Context) error
}

// Config is what a Server is made of. Service and Users are required; every
// other field has a usable zero value.
type Config struct {
	Service Service
	Users   Users
	// Refusals keeps refused calls; with nil they are only logged.
	Refusals Refusals
	// Tiles reads the log's files for the C2SP paths; nil serves none.
	Tiles Tiles
	// Logger gets one line a call, without content of trials; nil logs nothing.
	Logger *zap.Logger
	// Observer is told of calls and refusals; nil observes nothing.
	Observer Observer

	// TLS holds the server's certificate and, for callers with certificates,
	// ClientCAs; Certificates.Config makes one from files. TLS 1.3 is demanded
	// whatever it says. Nil is plaintext, which is accepted on loopback alone.
	TLS *tls.Config
	// Certificates are files that TLS is made from, where TLS is nil. Health and
	// the log tell when one ends and when a replacement could not be taken.
	Certificates *Certificates
	// PageKey authenticates page tokens: at least 32 bytes, the same on every
	// server that answers for the same address. Nil is a random key: page tokens
	// end with the process.
	PageKey []byte
	// TilesClosed opens the /tile/ paths to authenticated callers only. The
	// checkpoint is always public.
	TilesClosed bool
	// HealthDelay is how long Shutdown reports NOT_SERVING before it stops
	// accepting, so that load balancers notice; 0 is not at all.
	HealthDelay time.Duration
	// Limits bounds what callers can make the server hold.
	Limits Limits
	// Clock returns the time of refusal records and certificate checks; nil is
	// time.Now.
	Clock func() time.Time
}

// Limits bounds what callers can make the server hold. A zero field has the
// default that its comment gives.
type Limits struct {
	// MaxMessage is the largest gRPC message and JSON body in bytes: 4 MiB. An
	// envelope has a bound of its own, 1 MiB.
	MaxMessage int
	// MaxHeader bounds the headers of a request in bytes: 16 KiB.
	MaxHeader int
	// MaxStreams bounds the calls in flight on one connection: 1,024.
	MaxStreams int
	// StreamWindow bounds the statements in flight on one SubmitStream: 4,096 of
	// up to 4 KiB, of longer ones accordingly fewer. Further ones wait. As an
	// answer takes a tenth of a second at least, it bounds a stream's rate to
	// about eight times its size a second.
	StreamWindow int
	// MaxLines and MaxLinesBody bound one newline-delimited HTTP body, in
	// lines, 10,000, and in bytes, 32 MiB. A longer batch takes several
	// requests.
	MaxLines     int
	MaxLinesBody int64
	// MaxBatches bounds the newline-delimited HTTP bodies that are held at the
	// same time: 8. Further ones are refused with OVERLOADED.
	MaxBatches int
	// CallTimeout bounds a unary call: one minute.
	CallTimeout time.Duration
	// ReadTimeout bounds reading an HTTP request: one minute.
	ReadTimeout time.Duration
	// IdleTimeout closes an idle connection: five minutes.
	IdleTimeout time.Duration

	// The limits below are for each user and for each address, an IPv4 address or
	// an IPv6 /64. A negative one is no limit.

	// MaxConnections and MaxAddressConnections bound the open connections of the
	// gRPC and HTTP listeners together: 2,048, and 1,024 of one address. When all
	// are taken, the address that has the most gives way to one that has less.
	MaxConnections, MaxAddressConnections int
	// UserRate bounds the calls a user makes in a second, each statement of a
	// stream counted: 30,000, and as many at once.
	UserRate int
	// UserBytes bounds the bytes of statements that a user sends in a second:
	// 256 MiB, and as many at once.
	UserBytes int
	// UserInFlight bounds the statements of a user that wait for the log: 12,288.
	// It belongs below what the service takes in total, or one user can keep all
	// others out.
	UserInFlight int
	// UserAuthority bounds those of them that are statements of authority, which
	// wait for each other: 256.
	UserAuthority int
	// UserReads bounds a user's other calls in flight: 256. UserStreams bounds a
	// user's open streams: 1,024.
	UserReads, UserStreams int
	// AddressRate bounds the calls and HTTP requests without a caller from one
	// address in a second: 1,000, and twice as many at once. AddressInFlight
	// bounds those in flight, and eight times as many from everywhere: 32 calls
	// and as many streams.
	AddressRate, AddressInFlight int
	// FailureRate bounds the wrong credentials from one address in a second: 10,
	// and 100 at once. Above it, only credentials that were good a moment ago are
	// looked at.
	FailureRate int

	// UserAge is how long it is remembered who a credential belongs to: two
	// seconds. A user that another process removed, or gave a grant to, is
	// known as it was until then. Negative asks Users at every call.
	UserAge time.Duration
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (l Limits) withDefaults() Limits {
	l.MaxMessage = orDefault(l.MaxMessage, 4<<20)
	l.MaxHeader = orDefault(l.MaxHeader, 16<<10)
	l.MaxStreams = orDefault(l.MaxStreams, 1024)
	l.StreamWindow = orDefault(l.StreamWindow, 4096)
	l.MaxLines = orDefault(l.MaxLines, 10_000)
	l.MaxLinesBody = orDefault(l.MaxLinesBody, 32<<20)
	l.MaxBatches = orDefault(l.MaxBatches, 8)
	l.CallTimeout = orDefault(l.CallTimeout, time.Minute)
	l.ReadTimeout = orDefault(l.ReadTimeout, time.Minute)
	l.IdleTimeout = orDefault(l.IdleTimeout, 5*time.Minute)
	l.MaxConnections = orDefault(l.MaxConnections, 2048)
	l.MaxAddressConnections = orDefault(l.MaxAddressConnections, 1024)
	l.UserRate = orDefault(l.UserRate, 30_000)
	l.UserBytes = orDefault(l.UserBytes, 256<<20)
	l.UserInFlight = orDefault(l.UserInFlight, 12_288)
	l.UserAuthority = orDefault(l.UserAuthority, 256)
	l.UserReads = orDefault(l.UserReads, 256)
	l.UserStreams = orDefault(l.UserStreams, 1024)
	l.AddressRate = orDefault(l.AddressRate, 1000)
	l.AddressInFlight = orDefault(l.AddressInFlight, 32)
	l.FailureRate = orDefault(l.FailureRate, 10)
	l.UserAge = orDefault(l.UserAge, 2*time.Second)
	return l
}

// check refuses what cannot work and fills in the defaults.
func (c *Config) check() error {
	switch {
	case c.Service == nil:
		return errors.New("invalid configuration: no service")
	case c.Users == nil:
		return errors.New("invalid configuration: no users")
	case c.PageKey != nil && len(c.PageKey) < 32:
		return fmt.Errorf("invalid page key: got %d bytes, want at least 32", len(c.PageKey))
	}
	if c.Certificates != nil && c.TLS == nil {
		c.TLS = c.Certificates.Config()
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.PageKey == nil {
		c.PageKey = newSecret()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Limits = c.Limits.withDefaults()
	return nil
}

// tlsConfig returns the configuration of one listener, or nil for plaintext.
func (c *Config) tlsConfig(protocols ...string) *tls.Config {
	if c.TLS == nil {
		return nil
	}
	demand := func(t *tls.Config) *tls.Config {
		t.MinVersion = tls.VersionTLS13
		t.NextProtos = protocols
		if t.ClientAuth == tls.NoClientCert && t.ClientCAs != nil {
			t.ClientAuth = tls.VerifyClientCertIfGiven
		}
		return t
	}
	t := demand(c.TLS.Clone())
	if each := t.GetConfigForClient; each != nil {
		t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			own, err := each(hello)
			if own == nil || err != nil {
				return own, err
			}
			return demand(own.Clone()), nil
		}
	}
	return t
}

// checkPlaintext refuses a listener that others can reach without TLS.
func checkPlaintext(l net.Listener) error {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return fmt.Errorf("invalid listener %s: plaintext is for loopback addresses; configure TLS", l.Addr())
	}
	return nil
}
