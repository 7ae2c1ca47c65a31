package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trialnotary/trialnotary/trial"
)

func statusWith(tb testing.TB, code codes.Code, details ...protoadapt.MessageV1) error {
	tb.Helper()
	s, err := status.New(code, "no").WithDetails(details...)
	if err != nil {
		tb.Fatal(err)
	}
	return s.Err()
}

func TestBackoff(t *testing.T) {
	for n := 1; n < 40; n++ {
		for range 50 {
			d := backoff(n, 0)
			if d < firstBackoff/2 || d > lastBackoff {
				t.Fatalf("attempt %d: got %s, want between %s and %s", n, d, firstBackoff/2, lastBackoff)
			}
			if n == 1 && d > firstBackoff {
				t.Fatalf("attempt 1: got %s, want at most %s", d, firstBackoff)
			}
		}
	}
	if d := backoff(1, 7*time.Second); d != 7*time.Second {
		t.Errorf("got %s, want what the notary asked for", d)
	}
}

func TestRetryable(t *testing.T) {
	info := func(d time.Duration) protoadapt.MessageV1 {
		return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
	}
	for _, tc := range []struct {
		err   error
		again bool
		asked time.Duration
	}{
		{statusWith(t, codes.Unavailable), true, 0},
		{statusWith(t, codes.Unavailable, info(2*time.Second)), true, 2 * time.Second},
		{statusWith(t, codes.Unavailable, info(time.Hour)), true, maxRetryDelay},
		{statusWith(t, codes.Unavailable, info(-time.Hour)), true, 0},
		{statusWith(t, codes.ResourceExhausted), true, 0},
		{statusWith(t, codes.ResourceExhausted, &errdetails.ErrorInfo{Reason: "MESSAGE_TOO_LARGE"}), false, 0},
		{statusWith(t, codes.ResourceExhausted, &errdetails.ErrorInfo{Reason: "RATE_LIMITED"}, info(time.Second)), true, time.Second},
		{statusWith(t, codes.Unavailable, &errdetails.ErrorInfo{Reason: "TRY_AGAIN"}), true, 0},
		{statusWith(t, codes.DeadlineExceeded), true, 0},
		{statusWith(t, codes.Aborted), true, 0},
		{statusWith(t, codes.InvalidArgument), false, 0},
		{statusWith(t, codes.PermissionDenied, info(time.Second)), false, 0},
		{statusWith(t, codes.Unauthenticated), false, 0},
		{statusWith(t, codes.Internal), false, 0},
		{statusWith(t, codes.DataLoss, &errdetails.ErrorInfo{Reason: "STATEMENT_UNREADABLE"}), false, 0},
		{errors.New("no status"), false, 0},
	} {
		asked, again := retryable(tc.err)
		if again != tc.again || asked != tc.asked {
			t.Errorf("%v: got %s, %v, want %s, %v", tc.err, asked, again, tc.asked, tc.again)
		}
	}
}

func TestAsError(t *testing.T) {
	var refused *Refused
	err := asError(statusWith(t, codes.PermissionDenied, &errdetails.ErrorInfo{Reason: "UNKNOWN_KEY", Domain: "trialnotary.github.io"}))
	if !errors.As(err, &refused) || refused.Reason != trial.ReasonUnknownKey || refused.Code != codes.PermissionDenied {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := asError(statusWith(t, codes.Unauthenticated)); !errors.Is(err, ErrNotSignedIn) {
		t.Errorf("got %v, want ErrNotSignedIn", err)
	}
	for _, c := range []codes.Code{codes.Unavailable, codes.Internal, codes.DeadlineExceeded, codes.Unknown} {
		if err := asError(statusWith(t, c)); !errors.Is(err, ErrUnanswered) {
			t.Errorf("%s: got %v, want ErrUnanswered", c, err)
		}
	}
}

func TestDialRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		write(t, p, []byte(content))
		return p
	}
	for _, tc := range []struct {
		what, addr string
		o          Options
		want       string
	}{
		{"no port", "notary.example", Options{}, "want host:port"},
		{"no TLS to afar", "notary.example:7443", Options{Insecure: true}, "want a loopback address"},
		{"no TLS to another loopback", "127.0.0.1.example:7443", Options{Insecure: true}, "want a loopback address"},
		{"no CA", "notary.example:7443", Options{CAFile: filepath.Join(dir, "absent")}, "certificate authorities"},
		{"empty CA", "notary.example:7443", Options{CAFile: file("ca", "x")}, "got no certificate"},
		{"half an identity", "notary.example:7443", Options{CertFile: "x"}, "want both"},
		{"empty token", "notary.example:7443", Options{TokenFile: file("empty", " \n")}, "got 0 characters"},
		{"token with two lines", "notary.example:7443", Options{TokenFile: file("two", "a\nb")}, "want printable ASCII"},
		{"tiles", "notary.example:7443", Options{Tiles: "file:///etc"}, "want an http or https URL"},
	} {
		c, err := Dial(tc.addr, tc.o)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.want)
		}
	}
	for _, addr := range []string{"127.0.0.1:1", "[::1]:1", "localhost:1"} {
		c, err := Dial(addr, Options{Insecure: true})
		if err != nil {
			t.Errorf("%s: got %v, want none", addr, err)
			continue
		}
		_ = c.Close()
	}
}

func TestRetryGivesUp(t *testing.T) {
	var waits []time.Duration
	c := &Client{opts: Options{Attempts: 4, AttemptTimeout: time.Second, sleep: func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}}}
	calls := 0
	err := c.retry(context.Background(), func(context.Context) error {
		calls++
		return statusWith(t, codes.Unavailable)
	})
	if !errors.Is(err, ErrUnanswered) || calls != 4 || len(waits) != 3 {
		t.Errorf("got %v after %d calls and %d waits, want ErrUnanswered after 4 and 3", err, calls, len(waits))
	}
}

func TestWriteNewNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if err := WriteNew(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(path, []byte("two"), 0o600); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "one" {
		t.Errorf("got %q, want the first content", b)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", info.Mode(), err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".tmp-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
