package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// The metadata key and the HTTP header of the token.
const (
	authorizationKey    = "authorization"
	authorizationHeader = "Authorization"
)

// unauthenticated is the one answer to every wrong credential: which part of it
// was wrong is nobody's business but its owner's.
func unauthenticated(detail string) error {
	return &trial.Refusal{Reason: reasonUnauthenticated, Detail: detail}
}

const (
	detailCredentials = "the credentials are not known here: send one valid bearer token, or connect with a client certificate that is enrolled"
	detailNone        = "this call needs a caller: send one bearer token, or connect with a client certificate"
	detailTwice       = "got more than one authorization value, want one"
	detailDisagree    = "the bearer token and the client certificate belong to different users: use one of them"
	detailReserved    = "metadata " + handoverKey + " is reserved"
)

// peerOf finds out the caller's address and certificate name, from the connection
// or, on the in-process listener, from the HTTP front.
func (s *Server) peerOf(ctx context.Context, a *arrival, inProcess bool) error {
	c := &a.call
	if inProcess {
		h, err := readHandover(ctx, s.secret)
		if err != nil {
			return err
		}
		c.address, c.cert, c.http, c.began, c.traceparent = h.Address, h.Cert, true, h.Began, h.Traceparent
		return nil
	}
	// Names are in lower case: anything else is no HTTP/2.
	if values := a.header[traceparentKey]; len(values) == 1 {
		c.traceparent = values[0]
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return errors.New("a call without a peer")
	}
	if p.Addr != nil {
		c.address = p.Addr.String()
	}
	if len(a.header[handoverKey]) > 0 {
		return &trial.Refusal{Reason: reasonReservedMetadata, Path: handoverKey, Detail: detailReserved}
	}
	var err error
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		c.cert, err = certName(&info.State, s.now())
	}
	return err
}

// certName returns the common name of the verified client certificate, or "" if
// none was presented. TLS checked the chain when the connection began; that the
// certificate has not expired since is checked at every call.
func certName(state *tls.ConnectionState, now time.Time) (string, error) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return "", nil
	}
	leaf := state.VerifiedChains[0][0]
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return "", unauthenticated("the client certificate is not valid at this time")
	}
	if leaf.Subject.CommonName == "" {
		return "", unauthenticated("the client certificate has no common name")
	}
	return leaf.Subject.CommonName, nil
}

// authenticate returns the caller, or nil where no credential was presented. A
// credential that is presented must be right, even where none is needed; of two
// both must name the same user.
func (s *Server) authenticate(ctx context.Context, cert string) (*User, error) {
	address := callOf(ctx).address
	values := metadata.ValueFromIncomingContext(ctx, authorizationKey)
	if len(values) > 1 {
		return nil, unauthenticated(detailTwice)
	}
	var byToken, byCert *User
	if len(values) == 1 {
		hash, err := parseBearer(values[0])
		if err != nil {
			s.limiter.guessed(address)
			return nil, unauthenticated(detailCredentials)
		}
		if byToken, err = s.lookUp(ctx, address, credential{token: hash}); err != nil {
			return nil, err
		}
	}
	if cert != "" {
		var err error
		if byCert, err = s.lookUp(ctx, address, credential{cert: cert}); err != nil {
			return nil, err
		}
	}
	if byToken != nil && byCert != nil && byToken.Name != byCert.Name {
		return nil, unauthenticated(detailDisagree)
	}
	if byToken != nil {
		return byToken, nil
	}
	return byCert, nil
}

// lookUp finds the user of a credential. An address that sent too many wrong ones
// gets no further look-up, but for a credential that was good a moment ago:
// whoever shares the address with a guesser goes on.
func (s *Server) lookUp(ctx context.Context, address string, by credential) (*User, error) {
	cache, ok := s.cfg.Users.(*userCache)
	if ok {
		if u, _ := cache.fresh(by); u != nil {
			return known(u, nil)
		}
	}
	if !ok || !cache.met(by) {
		if err := s.limiter.mayGuess(address); err != nil {
			return nil, err
		}
	}
	var u *User
	var err error
	if by.cert != "" {
		u, err = known(s.cfg.Users.UserByCert(ctx, by.cert))
	} else {
		u, err = known(s.cfg.Users.UserByToken(ctx, by.token))
	}
	if trial.ReasonOf(err) == reasonUnauthenticated {
		s.limiter.guessed(address)
	}
	return u, err
}

// known turns a look-up of a user into an authenticated user or a refusal. A
// look-up that fails is never an anonymous caller.
func known(u *User, err error) (*User, error) {
	switch {
	case errors.Is(err, notary.ErrNotFound):
		return nil, unauthenticated(detailCredentials)
	case err != nil:
		return nil, fmt.Errorf("finding user: %w", err)
	case u == nil || u.Name == "":
		return nil, unauthenticated(detailCredentials)
	}
	return u, nil
}
