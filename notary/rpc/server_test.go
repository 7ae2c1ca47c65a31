package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestPolicy holds every method of the server in the policy, and nothing else.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	for _, g := range []*grpc.Server{w.srv.outside, w.srv.inside} {
		methods := make(map[string]bool)
		for service, info := range g.GetServiceInfo() {
			for _, m := range info.Methods {
				methods["/"+service+"/"+m.Name] = true
			}
		}
		for m := range methods {
			if _, ok := policy[m]; !ok {
				t.Errorf("no rule for %s", m)
			}
		}
		for m := range policy {
			if !methods[m] {
				t.Errorf("a rule for %s, which is no method", m)
			}
		}
	}
	if err := permit("/notary.v1.NotaryService/Other", &User{Name: "x", Grants: []Grant{{Role: RoleSponsor}}}); trial.ReasonOf(err) != reasonNotPermitted {
		t.Errorf("got %v for a method without a rule", err)
	}
}

// TestNoContentInLogs submits statements full of marks in every way and finds
// none of them in the log or in the record of refusals.
func TestNoContentInLogs(t *testing.T) {
	w := newWorld(t)
	const mark = "MARKER-7f3a"
	payloads := []fakePayload{
		{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: mark},
		{Charter: w.trialA.String(), Kind: "dataset", Site: mark},
		{Charter: mark, Kind: "dataset"},
		{Kind: "charter", Organisation: mark},
		{Charter: w.trialA.String(), Kind: mark, Site: mark},
	}
	web, client := w.web(), w.grpc()
	for _, p := range payloads {
		for _, user := range []string{"site", "sponsor", "creator", ""} {
			env := envelopeMessage(p.envelope())
			env.Signatures[0].Keyid = mark
			_, _ = client.Submit(w.asCtx(user), &notaryv1.SubmitRequest{Envelope: env}) // answered or refused
			body, _ := protojson.Marshal(env)
			w.do(web, "POST", "/v1/statements", body, append(w.as(user), "Content-Type", "application/json")...)
			line, _ := protojson.Marshal(&notaryv1.SubmitStreamRequest{Id: mark, Envelope: env})
			w.do(web, "POST", "/v1/statements:stream", append(line, '\n'), append(w.as(user), "Content-Type", ndjson)...)
		}
	}
	auth := w.as("sponsor")
	for _, path := range []string{"/v1/statements/" + mark, "/v1/trials/" + mark + "/statements?site=" + mark, "/v1/trials/" + w.trialA.String() + "/statements?" + mark + "=1", "/v1/subjects/" + mark + "/statements", "/tile/" + mark, "/" + mark} {
		w.do(web, "GET", path, nil, append(auth, "User-Agent", mark, "X-"+mark, mark)...)
	}
	w.do(web, "POST", "/v1/statements", []byte(`{"`+mark+`":1}`), append(auth, "Content-Type", "application/json")...)
	w.do(web, "POST", "/v1/verify", []byte(`{"trial":"`+mark+`","receipt":"`+mark+`"}`), append(auth, "Content-Type", "application/json")...)
	w.service.before = func(context.Context, []byte) error { panic(mark) }
	body, _ := protojson.Marshal(envelopeMessage(payloads[0].envelope()))
	if a := w.do(web, "POST", "/v1/statements", body, append(auth, "Content-Type", "application/json")...); a.status != 500 || bytes.Contains(a.body, []byte(mark)) {
		t.Errorf("got %d %s for a panic", a.status, a.body)
	}
	if resp := readLines(t, w.do(web, "POST", "/v1/statements:stream", []byte(`{"id":"1","envelope":`+string(body)+"}\n"), append(auth, "Content-Type", ndjson)...)); status.FromProto(resp["1"].GetError()).Code() != codes.Internal {
		t.Errorf("got %v for a panic in a stream", resp)
	}

	all := w.recorded()
	if len(all) < 20 || w.logs.Len() < 60 {
		t.Errorf("got %d refusals and %d log lines, want more", len(all), w.logs.Len())
	}
	for _, r := range all {
		if text := fmt.Sprint(r); strings.Contains(text, mark) {
			t.Errorf("got refusal %s", text)
		}
	}
	for _, entry := range w.logs.All() {
		text, err := json.Marshal(entry.ContextMap())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(entry.Message, mark) || bytes.Contains(text, []byte(mark)) {
			t.Errorf("got log line %s %s", entry.Message, text)
		}
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	conn, err := grpc.NewClient(w.healthAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	check := func(want grpc_health_v1.HealthCheckResponse_ServingStatus, page int) {
		t.Helper()
		w.srv.probe.mu.Lock()
		w.srv.probe.asked = time.Time{}
		w.srv.probe.mu.Unlock()
		for _, c := range []grpc_health_v1.HealthClient{grpc_health_v1.NewHealthClient(conn), grpc_health_v1.NewHealthClient(w.dial())} {
			for _, service := range []string{"", "notary.v1.NotaryService"} {
				resp, err := c.Check(w.asCtx(""), &grpc_health_v1.HealthCheckRequest{Service: service})
				if err != nil || resp.GetStatus() != want {
					t.Errorf("got %v (%v), want %v", resp, err, want)
				}
			}
			if _, err := c.Check(w.asCtx(""), &grpc_health_v1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
				t.Errorf("got %v, want NotFound", err)
			}
		}
		if a := w.do(w.web(), "GET", "/readyz", nil); a.status != page || bytes.Contains(a.body, []byte("/var/lib")) {
			t.Errorf("got %d %s, want %d", a.status, a.body, page)
		}
		if a := w.do(w.web(), "GET", "/healthz", nil); a.status != 200 {
			t.Errorf("got %d %s, want 200", a.status, a.body)
		}
	}
	check(grpc_health_v1.HealthCheckResponse_SERVING, 200)
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(w.asCtx(""), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := watch.Recv(); err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v (%v)", resp, err)
	}
	w.service.mu.Lock()
	w.service.health = []notary.Condition{{Name: "log", OK: true}, {Name: "disk-space", Detail: "/var/lib is full"}}
	w.service.mu.Unlock()
	check(grpc_health_v1.HealthCheckResponse_NOT_SERVING, 503)
	if resp, err := watch.Recv(); err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v (%v)", resp, err)
	}
	if a := w.do(w.web(), "GET", "/readyz", nil, w.as("operator")...); !bytes.Contains(a.body, []byte("/var/lib")) {
		t.Errorf("the operator got %s, want details", a.body)
	}
	// Nothing else answers on the plain port.
	if _, err := notaryv1.NewNotaryServiceClient(conn).GetCheckpoint(w.asCtx(""), &notaryv1.GetCheckpointRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want Unimplemented", err)
	}
}

func TestReflection(t *testing.T) {
	w := newWorld(t)
	stream, err := reflectionv1.NewServerReflectionClient(w.dial()).ServerReflectionInfo(w.asCtx(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || !strings.Contains(resp.String(), "notary.v1.NotaryService") {
		t.Errorf("got %v (%v)", resp, err)
	}
	must(t, stream.CloseSend())
}

// TestShutdown answers what is in flight, tells streams to send again, reports
// NOT_SERVING first and closes the service last.
func TestShutdown(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HealthDelay = 50 * time.Millisecond })
	entered, release := make(chan struct{}, 2), make(chan struct{})
	w.service.before = func(context.Context, []byte) error {
		entered <- struct{}{}
		<-release
		if w.service.isClosed() {
			t.Error("the service was closed while it answered")
		}
		return nil
	}
	item := w.items()[0]
	unary := make(chan int, 1)
	web := w.web()
	body, _ := protojson.Marshal(item.GetEnvelope())
	go func() {
		a := w.do(web, "POST", "/v1/statements", body, append(w.as("site"), "Content-Type", "application/json")...)
		unary <- a.status
	}()
	stream, err := w.grpc().SubmitStream(w.asCtx("site"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(item); err != nil {
		t.Fatal(err)
	}
	<-entered
	<-entered
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- w.srv.Shutdown(ctx)
	}()
	<-w.srv.notServing
	if _, ready := w.srv.probe.ready(); ready {
		t.Error("ready while shutting down")
	}
	<-w.srv.draining
	select {
	case err := <-done:
		t.Fatalf("shut down (%v) with calls in flight", err)
	default:
	}
	close(release)
	if resp, err := stream.Recv(); err != nil || resp.GetReceipt() == nil {
		t.Errorf("got %v (%v), want the receipt of what was taken", resp, err)
	}
	if _, err := stream.Recv(); reasonIn(status.Convert(err)) != "TRY_AGAIN" {
		t.Errorf("got %v, want TRY_AGAIN", err)
	}
	if got := <-unary; got != 200 {
		t.Errorf("got %d over HTTP, want 200", got)
	}
	if err := <-done; err != nil || !w.service.isClosed() {
		t.Errorf("got %v, closed %v", err, w.service.isClosed())
	}
}

// TestShutdownDeadline cuts off what does not end, and still closes the service.
func TestShutdownDeadline(t *testing.T) {
	w := newWorld(t)
	entered := make(chan struct{}, 1)
	w.service.before = func(ctx context.Context, _ []byte) error {
		entered <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := w.grpc().Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: w.items()[0].GetEnvelope()})
		answered <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	srv := w.srv
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	if err := <-answered; err == nil {
		t.Error("a call that was cut off was answered")
	}
	if !w.service.isClosed() {
		t.Error("the service was not closed")
	}
	srv.shutdownErr = nil // seen; the clean-up expects none
}

func (f *fakeService) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// TestCallTimeout bounds a unary call.
func TestCallTimeout(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.CallTimeout = 10 * time.Millisecond })
	w.service.before = func(ctx context.Context, _ []byte) error { <-ctx.Done(); return context.Cause(ctx) }
	_, err := w.grpc().Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: w.items()[0].GetEnvelope()})
	if st := status.Convert(err); st.Code() != codes.DeadlineExceeded || !strings.Contains(st.Message(), "same bytes") {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no service": {Users: &fakeUsers{}},
		"no users":   {Service: newFakeService()},
		"short key":  {Service: newFakeService(), Users: &fakeUsers{}, PageKey: []byte("short")},
	} {
		if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "invalid ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
