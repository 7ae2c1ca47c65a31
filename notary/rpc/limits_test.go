package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func TestBucket(t *testing.T) {
	var b bucket
	now, r := time.Now(), rate{perSecond: 10, burst: 3}
	for range 3 {
		if _, ok := b.take(now, r); !ok {
			t.Fatal("a full bucket refused")
		}
	}
	for range 5 { // asking costs nothing
		if wait, ok := b.take(now, r); ok || wait <= 0 || wait > 100*time.Millisecond {
			t.Fatalf("got %v after %v from an empty bucket", ok, wait)
		}
	}
	if _, ok := b.take(now.Add(-time.Hour), r); ok {
		t.Error("an earlier moment filled the bucket")
	}
	now = now.Add(100 * time.Millisecond)
	if _, ok := b.take(now, r); !ok {
		t.Error("no token after the time for one")
	}
	now = now.Add(time.Hour)
	for range 3 {
		if _, ok := b.take(now, r); !ok {
			t.Fatal("the bucket did not fill")
		}
	}
	if _, ok := b.take(now, r); ok {
		t.Error("the bucket filled above its burst")
	}
	for range 1000 {
		if _, ok := b.take(now, rate{perSecond: -1}); !ok {
			t.Fatal("no limit refused")
		}
	}
}

func TestAddressOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::", "[2001:db8:1:2::9]:7": "2001:db8:1:2::", "[fe80::1%eth0]:7": "fe80::",
		"": "invalid IP", "bufconn": "invalid IP", "192.0.2.7": "invalid IP",
	} {
		if got := addressOf(in).String(); got != want {
			t.Errorf("addressOf(%q): got %s, want %s", in, got, want)
		}
	}
}

// TestLimiterIsBounded remembers no more addresses than the table has places.
func TestLimiterIsBounded(t *testing.T) {
	l, err := newLimiter(Limits{}.withDefaults())
	must(t, err)
	for i := range 3 * tableSize {
		c := &call{address: fmt.Sprintf("[2001:db8:%x:%x::1]:9", i>>16, i&0xffff)}
		leave, err := l.enter(c, classRead)
		must(t, err)
		leave()
		l.guessed(c.address)
	}
	if n := l.addresses.Len(); n != tableSize {
		t.Errorf("got %d addresses, want %d", n, tableSize)
	}
}

// TestDefaultsAreGenerous lets one caller use the whole machine: statements in
// flight and in a second, far above what two cores take.
func TestDefaultsAreGenerous(t *testing.T) {
	l, err := newLimiter(Limits{}.withDefaults())
	must(t, err)
	c := &call{user: &User{Name: "load"}, address: "127.0.0.1:9"}
	for i := range 12_288 {
		if _, err := l.enter(c, classSubmit); err != nil {
			t.Fatalf("statement %d in flight: %v", i, err)
		}
	}
	if _, err := l.enter(c, classSubmit); limitReason(err) != reasonOverloaded {
		t.Errorf("got %v for more than three quarters of the places, want OVERLOADED", err)
	}
	if _, err := l.enter(&call{user: &User{Name: "other"}}, classSubmit); err != nil {
		t.Errorf("another user: %v", err)
	}
	busy := &call{user: &User{Name: "busy"}}
	for i := range 30_000 {
		leave, err := l.enter(busy, classSubmit)
		if err != nil {
			t.Fatalf("statement %d of one second: %v", i, err)
		}
		leave()
	}
}

// TestLimitsTurnedOff refuses nothing.
func TestLimitsTurnedOff(t *testing.T) {
	off, err := newLimiter(Limits{UserRate: -1, UserBytes: -1, UserInFlight: -1, AddressRate: -1, AddressInFlight: -1, FailureRate: -1}.withDefaults())
	must(t, err)
	for range 50_000 {
		if _, err := off.enter(&call{user: &User{Name: "load"}}, classSubmit); err != nil {
			t.Fatal(err)
		}
		must(t, off.sends(&call{user: &User{Name: "load"}}, 1<<40))
		if _, err := off.enter(&call{address: "192.0.2.1:1"}, classRead); err != nil {
			t.Fatal(err)
		}
		off.guessed("192.0.2.1:1")
		must(t, off.mayGuess("192.0.2.1:1"))
	}
	d := newDoors(-1, -1, zap.NewNop())
	for range 3 {
		conn, far := net.Pipe()
		must(t, far.Close())
		if g := d.let(conn); g == nil {
			t.Fatal("a connection was refused")
		} else {
			must(t, g.Close())
		}
	}
	if len(d.open) != 0 || len(d.held) != 0 {
		t.Errorf("got %d connections and %d addresses after all were closed, want none", len(d.open), len(d.held))
	}
}

func limitReason(err error) trial.Reason {
	if limit := new(limitError); errors.As(err, &limit) {
		return limit.reason
	}
	return ""
}

// limitOf returns a refusal's reason and delay.
func limitOf(err error) (reason string, delay time.Duration) {
	st := status.Convert(err)
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			delay = info.GetRetryDelay().AsDuration()
		}
	}
	return reasonIn(st), delay
}

// TestUserLimits refuses a user's calls above its share, over both transports and
// in a stream, and lets another user go on.
func TestUserLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.UserInFlight = 2 })
	entered, release := make(chan struct{}), make(chan struct{})
	w.service.before = func(_ context.Context, payload []byte) error {
		if bytes.Contains(payload, []byte("held")) {
			entered <- struct{}{}
			<-release
		}
		return nil
	}
	dataset := func(nonce string) *notaryv1.Envelope {
		return envelopeMessage(fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: nonce}.envelope())
	}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if _, err := w.grpc().Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: dataset(fmt.Sprint("held", i))}); err != nil {
				t.Errorf("got %v for a call within the limit", err)
			}
		})
		<-entered
	}
	_, err := w.grpc().Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: dataset("third")})
	if reason, delay := limitOf(err); reason != "OVERLOADED" || delay <= 0 || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want OVERLOADED", err)
	}
	body, _ := protojson.Marshal(dataset("third"))
	post := []string{"Content-Type", "application/json"}
	a := w.do(w.web(), "POST", "/v1/statements", body, append(w.as("site"), post...)...)
	if a.status != 503 || !bytes.Contains(a.body, []byte("OVERLOADED")) || a.header.Get("Retry-After") != "1" {
		t.Errorf("over HTTP: got %d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
	}
	stream, err := w.grpc().SubmitStream(w.asCtx("site"))
	must(t, err)
	must(t, stream.Send(&notaryv1.SubmitStreamRequest{Id: "1", Envelope: dataset("third")}))
	if resp, err := stream.Recv(); err != nil || reasonIn(status.FromProto(resp.GetError())) != "OVERLOADED" {
		t.Errorf("in a stream: got %v (%v)", resp, err)
	}
	// Another user, and other calls of this one, are answered.
	if _, err := w.grpc().Submit(w.asCtx("sponsor"), &notaryv1.SubmitRequest{Envelope: dataset("other")}); err != nil {
		t.Errorf("another user: got %v", err)
	}
	if _, err := w.grpc().ListStatements(w.asCtx("site"), &notaryv1.ListStatementsRequest{Trial: w.trialA.String()}); err != nil {
		t.Errorf("a read: got %v", err)
	}
	close(release)
	wg.Wait()
	if _, err := w.grpc().Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: dataset("third")}); err != nil {
		t.Errorf("after the others were answered: got %v", err)
	}
	must(t, stream.CloseSend())
}

// TestAuthorityLimit bounds what waits for each other, and leaves a user's other
// statements alone.
func TestAuthorityLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.UserAuthority = 1 })
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	// The bound is taken within the service, after it has read the statement.
	w.service.after = func(st *trial.Statement) {
		if st.Predicate.Kind.Authority() {
			once.Do(func() { close(entered); <-release })
		}
	}
	submit := func(kind, nonce string) error {
		p := fakePayload{Charter: w.trialA.String(), Kind: kind, Nonce: nonce}
		_, err := w.grpc().Submit(w.asCtx("sponsor"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(p.envelope())})
		return err
	}
	first := make(chan error, 1)
	go func() { first <- submit(string(trial.KindKeyEnrolment), "1") }()
	<-entered
	if reason, _ := limitOf(submit(string(trial.KindKeyEnrolment), "2")); reason != "OVERLOADED" {
		t.Errorf("got %s for a second statement of authority, want OVERLOADED", reason)
	}
	if err := submit(string(trial.KindProtocol), "3"); err != nil {
		t.Errorf("got %v for another statement", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first: got %v", err)
	}
	if err := submit(string(trial.KindKeyEnrolment), "2"); err != nil {
		t.Errorf("after the first: got %v", err)
	}
}

// TestRates refuses calls above the rate, says when to come back, keeps the log
// short, and counts neither users against each other nor against addresses.
func TestRates(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.UserRate, c.Limits.AddressRate = 5, 5 })
	client, web := w.grpc(), w.web()
	list := &notaryv1.ListStatementsRequest{Trial: w.trialA.String()}
	limited := func(what string, do func() error) {
		t.Helper()
		for range 2000 {
			err := do()
			if reason, delay := limitOf(err); reason == "RATE_LIMITED" {
				if status.Code(err) != codes.ResourceExhausted || delay <= 0 || delay > time.Second {
					t.Errorf("%s: got %v with a delay of %v", what, err, delay)
				}
				return
			}
			must(t, err)
		}
		t.Errorf("%s: never limited", what)
	}
	limited("a user", func() error { _, err := client.ListStatements(w.asCtx("sponsor"), list); return err })
	if _, err := client.ListStatements(w.asCtx("auditor"), list); err != nil {
		t.Errorf("another user: got %v", err)
	}
	limited("an address", func() error {
		_, err := client.GetCheckpoint(w.asCtx(""), &notaryv1.GetCheckpointRequest{})
		return err
	})
	for _, path := range []string{"/checkpoint", "/tile/0/000", "/docs", "/v1/checkpoint", "/nowhere"} {
		for range 2000 {
			a := w.do(web, "GET", path, nil)
			if a.status != 429 {
				continue
			}
			if !bytes.Contains(a.body, []byte("RATE_LIMITED")) || a.header.Get("Retry-After") != "1" {
				t.Errorf("%s: got %s, Retry-After %q", path, a.body, a.header.Get("Retry-After"))
			}
			break
		}
	}
	if _, err := client.ListStatements(w.asCtx("auditor"), list); status.Code(err) != codes.OK && reasonIn(status.Convert(err)) != "RATE_LIMITED" {
		t.Errorf("a user at an address above its limit: got %v", err)
	}
	for range 500 {
		_, _ = client.GetCheckpoint(w.asCtx(""), &notaryv1.GetCheckpointRequest{})
	}
	if n := w.logs.FilterMessage("not answered").Len(); n > 250 {
		t.Errorf("got %d log lines about a flood of calls", n)
	}
	for _, r := range w.recorded() {
		if r.Reason == reasonRateLimited {
			t.Fatal("a call above its rate was kept in the record of refusals")
		}
	}
}

// TestUserBytes limits a user by the bytes of its statements, alone, in a stream and
// over HTTP; one that is larger than a second's share passes by itself.
func TestUserBytes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.UserBytes = 64 })
	client := w.grpc()
	large := func(name string) *notaryv1.Envelope {
		p := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: name + strings.Repeat("x", 8<<10)}
		return envelopeMessage(p.envelope())
	}
	_, err := client.Submit(w.asCtx("sponsor"), &notaryv1.SubmitRequest{Envelope: large("first")})
	must(t, err)
	_, err = client.Submit(w.asCtx("sponsor"), &notaryv1.SubmitRequest{Envelope: large("second")})
	if reason, delay := limitOf(err); reason != "RATE_LIMITED" || delay <= time.Second || delay > 5*time.Minute {
		t.Errorf("got %v with a delay of %v, want RATE_LIMITED until the first one is paid back", err, delay)
	}
	body, err := protojson.Marshal(large("over HTTP"))
	must(t, err)
	if a := w.do(w.web(), "POST", "/v1/statements", body, append(w.as("sponsor"), "Content-Type", "application/json")...); a.status != 429 || !bytes.Contains(a.body, []byte("RATE_LIMITED")) {
		t.Errorf("over HTTP: got %d %s, want RATE_LIMITED", a.status, a.body)
	}
	stream, err := client.SubmitStream(w.asCtx("sponsor"))
	must(t, err)
	must(t, stream.Send(&notaryv1.SubmitStreamRequest{Id: "a", Envelope: large("in a stream")}))
	resp, err := stream.Recv()
	must(t, err)
	if got := reasonIn(status.FromProto(resp.GetError())); got != "RATE_LIMITED" {
		t.Errorf("in a stream: got %v, want RATE_LIMITED", resp)
	}
	must(t, stream.CloseSend())
	if _, err := client.ListStatements(w.asCtx("sponsor"), &notaryv1.ListStatementsRequest{Trial: w.trialA.String()}); err != nil {
		t.Errorf("its reads: %v", err)
	}
	if _, err := client.Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: large("of another user")}); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// TestGuessing limits wrong tokens by address, and lets who was let in before go
// on from the same address.
func TestGuessing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.FailureRate, c.Limits.UserAge = 1, time.Nanosecond })
	client, web := w.grpc(), w.web()
	if _, err := client.GetCheckpoint(w.asCtx("sponsor"), &notaryv1.GetCheckpointRequest{}); err != nil {
		t.Fatal(err)
	}
	guess := func() context.Context {
		token, _ := NewToken()
		return metadata.AppendToOutgoingContext(t.Context(), authorizationKey, "Bearer "+token)
	}
	var reason string
	guesses := 0
	for ; guesses < 1000 && reason != "RATE_LIMITED"; guesses++ {
		_, err := client.GetCheckpoint(guess(), &notaryv1.GetCheckpointRequest{})
		if reason, _ = limitOf(err); reason != "UNAUTHENTICATED" && reason != "RATE_LIMITED" {
			t.Fatalf("got %v", err)
		}
	}
	if guesses < 10 || guesses > 500 {
		t.Errorf("limited after %d guesses", guesses)
	}
	token, _ := NewToken()
	for _, path := range []string{"/v1/checkpoint", "/checkpoint", "/readyz"} {
		limited := false
		for range 100 {
			a := w.do(web, "GET", path, nil, "Authorization", "Bearer "+token)
			limited = limited || a.status == 429 && bytes.Contains(a.body, []byte("RATE_LIMITED"))
			if a.status != 401 && a.status != 429 {
				t.Errorf("%s: got %d %s", path, a.status, a.body)
			}
		}
		if !limited {
			t.Errorf("%s: guesses are not limited", path)
		}
	}
	if _, err := client.GetCheckpoint(w.asCtx("sponsor"), &notaryv1.GetCheckpointRequest{}); err != nil {
		t.Errorf("who was let in before: got %v", err)
	}
	if _, err := client.GetCheckpoint(w.asCtx(""), &notaryv1.GetCheckpointRequest{}); err != nil {
		t.Errorf("without a credential: got %v", err)
	}
	w.users.remove("sponsor")
	if _, err := client.GetCheckpoint(w.asCtx("sponsor"), &notaryv1.GetCheckpointRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a removed user: got %v, want Unauthenticated", err)
	}
}

// TestStrangersInFlight bounds calls without a caller that do not end, and leaves
// callers alone.
func TestStrangersInFlight(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.AddressInFlight = 3 })
	health := grpc_health_v1.NewHealthClient(w.dial())
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		watch, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		must(t, err)
		_, err = watch.Recv()
		must(t, err)
	}
	watch, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	must(t, err)
	if _, err = watch.Recv(); reasonIn(status.Convert(err)) != "OVERLOADED" {
		t.Errorf("got %v for a fourth, want OVERLOADED", err)
	}
	if _, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a short call: got %v", err)
	}
	if watch, err = health.Watch(w.asCtx("site"), &grpc_health_v1.HealthCheckRequest{}); err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Errorf("a user: got %v", err)
	}
	cancel()
	eventually(t, "the places are free again", func() bool {
		watch, err := health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		return err == nil
	})
}

// eventually waits for something that happens soon.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
