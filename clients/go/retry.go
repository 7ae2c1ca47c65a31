package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/trial"
)

// Backoff between attempts: doubled from the first to the last, each shortened
// at random by up to half so that clients do not return together.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
	// maxRetryDelay bounds what a server's RetryInfo can ask for.
	maxRetryDelay = time.Minute
)

// Refused is the notary's answer that it does not accept a request. Sending the
// same bytes again gives the same answer until the trial itself changes.
type Refused struct {
	Code codes.Code
	// Reason is the fixed reason, such as UNKNOWN_KEY; empty if none was sent.
	Reason trial.Reason
	// Message says why, in plain words.
	Message string
}

func (e *Refused) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("refused: %s (%s)", e.Message, e.Code)
	}
	return fmt.Sprintf("refused: %s (%s)", e.Message, e.Reason)
}

// ErrUnanswered means that no answer came: the statement may or may not be
// logged. It is kept, and sending the same bytes again is safe.
var ErrUnanswered = errors.New("no answer from the notary")

// ErrNotSignedIn means that the token or client certificate was not accepted.
var ErrNotSignedIn = errors.New("token or client certificate not accepted")

// ErrUntrusted means that nobody trusted vouches for the server's certificate, or
// that it is another server's. Trying again does not help.
var ErrUntrusted = errors.New("the server's certificate is not trusted")

// untrusted recognises a refused certificate by its text: gRPC gives an
// unavailable connection and keeps nothing of the error's type.
func untrusted(s *status.Status) bool {
	return s.Code() == codes.Unavailable && strings.Contains(s.Message(), "x509: ")
}

// asError turns a status into a Refused or an ErrUnanswered.
func asError(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	if untrusted(s) {
		return fmt.Errorf("%w: %s; name the authority that vouches for it, or the server's name", ErrUntrusted, s.Message())
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition,
		codes.AlreadyExists, codes.OutOfRange, codes.Unimplemented, codes.DataLoss:
		r := &Refused{Code: s.Code(), Message: s.Message()}
		for _, d := range s.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				r.Reason = trial.Reason(info.GetReason())
			}
		}
		return r
	case codes.Unauthenticated:
		return fmt.Errorf("%w: %s", ErrNotSignedIn, s.Message())
	default:
		return fmt.Errorf("%w: %s (%s)", ErrUnanswered, s.Message(), s.Code())
	}
}

// retryable tells whether the same bytes may be sent again, and after how long
// at least.
func retryable(err error) (time.Duration, bool) {
	s, ok := status.FromError(err)
	if !ok || untrusted(s) {
		return 0, false
	}
	switch s.Code() {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.DeadlineExceeded:
	default:
		return 0, false
	}
	named := false
	for _, d := range s.Details() {
		switch info := d.(type) {
		case *errdetails.RetryInfo:
			return min(max(info.GetRetryDelay().AsDuration(), 0), maxRetryDelay), true
		case *errdetails.ErrorInfo:
			named = true
		}
	}
	// The notary says when a rate or a place is free again; what it refuses by
	// this code without saying so, a message that is too large, it refuses for
	// ever.
	return 0, !named || s.Code() != codes.ResourceExhausted
}

// backoff returns the wait before attempt n, from 1, and never less than the
// server asked for.
func backoff(n int, asked time.Duration) time.Duration {
	d := lastBackoff
	if n < 8 {
		d = min(firstBackoff<<(n-1), lastBackoff)
	}
	d -= rand.N(d/2 + 1) //nolint:gosec // jitter needs no secrecy
	return max(d, asked)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// retry calls fn, each time under the attempt's own deadline, until it
// succeeds, is refused, or the attempts are used up.
func (c *Client) retry(ctx context.Context, fn func(context.Context) error) error {
	for n := 1; ; n++ {
		attempt, cancel := context.WithTimeout(ctx, c.opts.AttemptTimeout)
		err := fn(attempt)
		cancel()
		if err == nil {
			return nil
		}
		asked, again := retryable(err)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnanswered, ctx.Err())
		}
		if !again {
			return asError(err)
		}
		if n >= c.opts.Attempts {
			return fmt.Errorf("after %d attempts: %w", n, asError(err))
		}
		if err := c.opts.sleep(ctx, backoff(n, asked)); err != nil {
			return fmt.Errorf("%w: %w", ErrUnanswered, err)
		}
	}
}
