package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// collected is an OTLP receiver: the protocol's service, without a collector's
// storage.
type collected struct {
	otlp.UnimplementedTraceServiceServer

	addr   string
	forget bool
	mu     sync.Mutex
	text   strings.Builder // everything that came, as text
	spans  []*spans.Span
}

func (c *collected) Export(_ context.Context, req *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	if c.forget {
		return &otlp.ExportTraceServiceResponse{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.text.WriteString(prototext.Format(req)) // never fails
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &otlp.ExportTraceServiceResponse{}, nil
}

func collect(tb testing.TB) *collected {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c, server := &collected{addr: "http://" + l.Addr().String()}, grpc.NewServer()
	otlp.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(l) }()
	tb.Cleanup(server.Stop)
	return c
}

// caller reaches the server over both transports, with a token and with headers
// that nobody asked for.
type caller struct {
	t    *testing.T
	api  notaryv1.NotaryServiceClient
	conn *grpc.ClientConn
	web  *http.Client
	base string
	auth string
}

func (s *story) caller(t *testing.T, user string) *caller {
	t.Helper()
	token, err := os.ReadFile(s.path("tokens", user))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.path("tls/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	secured := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
	conn, err := grpc.NewClient(s.config.Listen.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(secured)))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: secured.Clone(), ForceAttemptHTTP2: true}
	t.Cleanup(func() { _ = conn.Close(); transport.CloseIdleConnections() })
	return &caller{
		t: t, api: notaryv1.NewNotaryServiceClient(conn), conn: conn, web: &http.Client{Transport: transport},
		base: "https://" + s.config.Listen.HTTP, auth: "Bearer " + strings.TrimSpace(string(token)),
	}
}

func (c *caller) ctx(pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(c.t.Context(), append([]string{"authorization", c.auth}, pairs...)...)
}

func (c *caller) do(method, path, kind, body string, headers ...string) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", c.auth)
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.web.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func envelopeMessage(env *trial.Envelope) *notaryv1.Envelope {
	return &notaryv1.Envelope{
		Payload: env.Payload, PayloadType: env.PayloadType, Signatures: []*notaryv1.Signature{{Sig: env.Sig, Keyid: env.KeyID}},
	}
}

const callersTrace = "0af7651916cd43dd8448eb211c80319c"

// TestTraces follows one submission that came over HTTP through the running
// server, in the caller's own trace, to the batches that it was stored, added and
// placed in; and a stream's statement.
func TestTraces(t *testing.T) {
	to := collect(t)
	s := shownTrial(t, func(c *Config) { c.Tracing = TracingConfig{Endpoint: to.addr, SampleRatio: 1} })
	c := s.caller(t, "site-"+siteNorth)
	body, err := protojson.Marshal(envelopeMessage(s.signDataset(t, s.people["coordinator-"+siteNorth], "over HTTP")))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.do("POST", "/v1/statements", "application/json", string(body), "Traceparent", "00-"+callersTrace+"-b7ad6b7169203331-00"); got != http.StatusOK {
		t.Fatalf("got status %d", got)
	}
	stream, err := c.api.SubmitStream(c.ctx())
	if err != nil {
		t.Fatal(err)
	}
	env := s.signDataset(t, s.people["coordinator-"+siteNorth], "in a stream")
	if err := stream.Send(&notaryv1.SubmitStreamRequest{Id: "1", Envelope: envelopeMessage(env)}); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.GetReceipt() == nil {
		t.Fatalf("got %v, %v", answer, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Recv() // its end
	if err := s.stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	byID, children := make(map[string]*spans.Span), make(map[string]map[string]*spans.Span)
	var call, statement *spans.Span
	for _, span := range to.spans {
		byID[string(span.GetSpanId())] = span
		parent := string(span.GetParentSpanId())
		if children[parent] == nil {
			children[parent] = make(map[string]*spans.Span)
		}
		children[parent][span.GetName()] = span
		switch {
		case span.GetName() == "Submit" && hex.EncodeToString(span.GetTraceId()) == callersTrace:
			call = span
		case span.GetName() == "SubmitStream statement":
			statement = span
		}
	}
	if call == nil || statement == nil {
		t.Fatalf("the collector got %d spans without the call or the statement", len(to.spans))
	}
	for _, one := range []*spans.Span{call, statement} {
		stages := children[string(one.GetSpanId())]
		for _, stage := range notary.Stages() {
			span := stages[string(stage)]
			if span == nil {
				t.Errorf("%s has no stage %s", one.GetName(), stage)
				continue
			}
			if span.GetStartTimeUnixNano() < one.GetStartTimeUnixNano() || span.GetEndTimeUnixNano() > one.GetEndTimeUnixNano() {
				t.Errorf("stage %s lies outside of %s", stage, one.GetName())
			}
			if links := span.GetLinks(); len(links) == 1 {
				batch := byID[string(links[0].GetSpanId())]
				if batch.GetName() != "batch "+string(stage) || string(batch.GetLinks()[0].GetSpanId()) != string(one.GetSpanId()) {
					t.Errorf("stage %s is linked with %v", stage, batch)
				}
			} else if stage == notary.StageStore || stage == notary.StageAdd || stage == notary.StagePlace {
				t.Errorf("stage %s is not linked with its batch", stage)
			}
		}
	}
	_ = s.logger.Sync() // a file
	log, err := os.ReadFile(s.path("notaryd.log"))
	if err != nil || !bytes.Contains(log, []byte(`"trace_id":"`+callersTrace+`"`)) {
		t.Errorf("the log has no line of the call with the trace's id: %v", err)
	}
}

// TestNothingOfATrialIsShown runs the demo's trial and calls full of marks, and
// finds neither its content nor a mark in log, metrics or traces.
func TestNothingOfATrialIsShown(t *testing.T) {
	to := collect(t)
	s := shownTrial(t, func(c *Config) {
		c.Tracing, c.LogLevel = TracingConfig{Endpoint: to.addr, SampleRatio: 1}, "debug"
		c.Times.FullCheck = 100 * time.Millisecond
	})
	ctx := t.Context()
	for _, step := range []func(context.Context) error{s.submitProtocol, s.submitDatasets, s.submitAmendment, s.useRevokedKey} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const mark = "zqxmark"
	s.callWithMarks(t, mark)
	waitUntil(t, func() bool { return !s.server.parts.service.CheckStatus().Ended.IsZero() })
	_, scrape := s.scrape(t)
	if err := s.stop(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	_ = s.logger.Sync() // a file
	log, err := os.ReadFile(s.path("notaryd.log"))
	if err != nil {
		t.Fatal(err)
	}
	content := []string{
		mark, strings.ToUpper(mark), "North Clinic", "South Hospital", demoSponsor, "DEMO-01", "Amendment 1", "a fifth visit",
		"Trial Notary demo", "protocol-1.0", "vs-7", "vs.json", s.charter.String()[:16],
	}
	for _, p := range s.people {
		content = append(content, p.name, p.public.ID.String())
		if strings.Contains(p.id, "-") {
			content = append(content, `"`+p.id+`"`)
		}
	}
	for where, text := range map[string]string{"metrics": scrape, "traces": to.text.String(), "log": s.withoutIDs(t, string(log))} {
		if len(text) < 10_000 {
			t.Errorf("%s: got %d bytes, want what the trial left", where, len(text))
		}
		for _, one := range content {
			if at := strings.Index(text, one); at >= 0 {
				t.Errorf("%s: %q is in %q", where, one, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
	// A site and a user have short names: they are looked for where text stands.
	for where, text := range map[string]string{"metrics": scrape, "traces": to.text.String()} {
		for _, one := range []string{`"701"`, `"site-701"`, `"sponsor"`, "127.0.0.1", "sha256", s.config.Origin} {
			if strings.Contains(text, one) {
				t.Errorf("%s: %s is there", where, one)
			}
		}
	}
}

// withoutIDs returns a log without what it may name: its own origin, who called
// from where, and which statement it was.
func (s *story) withoutIDs(t *testing.T, log string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(log) {
		fields := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("the log has a line that is no JSON: %s", line)
		}
		for _, name := range []string{"user", "address", "statement", "origin"} {
			delete(fields, name)
		}
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = out.Write(append(b, '\n'))
	}
	return out.String()
}

// callWithMarks puts a mark wherever a caller can put text.
func (s *story) callWithMarks(t *testing.T, mark string) {
	t.Helper()
	c := s.caller(t, "site-"+siteNorth)
	who := s.people["coordinator-"+siteNorth]
	headers := []string{
		"traceparent", "00-" + callersTrace + "-b7ad6b7169203331-01", "tracestate", mark + "=1", "baggage", mark + "=" + mark,
		"user-agent", mark, "x-" + mark, mark,
	}
	for _, change := range []func(*trial.Predicate){
		func(*trial.Predicate) {},
		func(p *trial.Predicate) { p.Version, p.Reason = mark, mark },
		func(p *trial.Predicate) { p.Document = &trial.Document{ID: mark, Language: "en", Scope: mark} },
		func(p *trial.Predicate) { p.Site = mark },
		func(p *trial.Predicate) { p.Kind, p.Body = trial.Kind(mark), trial.RawBody(`{"`+mark+`":1}`) },
		func(p *trial.Predicate) { p.Trial = trial.Registry{"sponsorProtocol": mark} },
		func(p *trial.Predicate) {
			p.Body = &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: mark, SourceSystem: mark}
		},
	} {
		env := s.marked(t, who, mark, change)
		_, _ = c.api.Submit(c.ctx(headers...), &notaryv1.SubmitRequest{Envelope: env})
		env.Signatures[0].Keyid = mark
		_, _ = c.api.Submit(c.ctx(), &notaryv1.SubmitRequest{Envelope: env})
		env.Signatures[0].Keyid, env.Signatures[0].Sig = "", []byte(mark)
		body, err := protojson.Marshal(env)
		if err != nil {
			t.Fatal(err)
		}
		c.do("POST", "/v1/statements", "application/json", string(body), headers...)
		c.do("POST", "/v1/statements:stream", "application/x-ndjson", `{"id":"`+mark+`","envelope":`+string(body)+"}\n", headers...)
	}
	for _, path := range []string{
		"/" + mark, "/v1/" + mark, "/v1/statements/" + mark, "/v1/trials/" + mark + "/statements", "/v1/subjects/" + mark + "/statements?site=" + mark,
		"/v1/trials/" + s.charter.String() + "/statements?" + mark + "=" + mark, "/tile/" + mark, "/healthz?" + mark,
	} {
		c.do("GET", path, "", "", headers...)
		c.do("POST", path, mark+"/"+mark, `{"`+mark+`":"`+mark+`"}`, headers...)
	}
	c.do("POST", "/v1/verify", "application/json", `{"trial":"`+mark+`","receipt":"`+mark+`"}`)
	_, _ = c.api.Verify(c.ctx(), &notaryv1.VerifyRequest{Trial: mark, Receipt: mark})
	_, _ = c.api.ListStatements(c.ctx(), &notaryv1.ListStatementsRequest{Trial: s.charter.String(), Site: mark, PageToken: mark})
	_ = c.conn.Invoke(c.ctx(headers...), "/"+mark+".Service/"+mark, &emptypb.Empty{}, &emptypb.Empty{})
	_ = c.conn.Invoke(c.ctx(headers...), "/trialnotary.v1.NotaryService/"+mark, &emptypb.Empty{}, &emptypb.Empty{})
	c.auth = "Bearer " + mark
	_, _ = c.api.GetCheckpoint(c.ctx(headers...), &notaryv1.GetCheckpointRequest{})
	c.do("GET", "/v1/checkpoint", "", "", headers...)
}

// marked signs a statement that has the mark in its file's name and wherever
// change puts it; one that the client would refuse to make is made by hand.
func (s *story) marked(t *testing.T, who *person, mark string, change func(*trial.Predicate)) *notaryv1.Envelope {
	t.Helper()
	env := s.signDataset(t, who, mark)
	parsed, err := trial.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Subjects[0].Name = mark + ".csv"
	change(&parsed.Predicate)
	payload, err := trial.MarshalStatement(parsed)
	if err != nil {
		// Text that no statement may have: it still comes.
		payload = bytes.ReplaceAll(env.Payload, []byte("vs.json"), []byte(mark))
		payload = bytes.ReplaceAll(payload, []byte(`"site":"`), []byte(`"site":"`+mark))
	}
	signed, err := trial.Sign(who.key, payload)
	if err != nil {
		t.Fatal(err)
	}
	return envelopeMessage(signed)
}
