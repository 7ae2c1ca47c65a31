package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func (w *world) asCtx(user string) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	w.t.Cleanup(cancel)
	if user == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+w.tokens[user])
}

// items are statements that are answered in every way.
func (w *world) items() []*notaryv1.SubmitStreamRequest {
	var out []*notaryv1.SubmitStreamRequest
	for i, p := range []fakePayload{
		{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: "s1"},
		{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-02", Nonce: "s2"},
		{Charter: w.trialB.String(), Kind: "dataset", Site: "DE-01", Nonce: "s3"},
		{Charter: w.trialA.String(), Kind: "key-enrolment", Nonce: "s4"},
		{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: "s5"},
	} {
		out = append(out, &notaryv1.SubmitStreamRequest{Id: fmt.Sprintf("item %d", i), Envelope: envelopeMessage(p.envelope())})
	}
	return append(out, &notaryv1.SubmitStreamRequest{Id: "no envelope"},
		&notaryv1.SubmitStreamRequest{Id: "two signatures", Envelope: &notaryv1.Envelope{Signatures: make([]*notaryv1.Signature, 2)}})
}

// TestStreamParity answers each item of a stream, over both transports, as
// Submit does.
func TestStreamParity(t *testing.T) {
	w := newWorld(t)
	client, web := w.grpc(), w.web()
	items := w.items()
	for _, user := range []string{"site", "sponsor", "stranger"} {
		stream, err := client.SubmitStream(w.asCtx(user))
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		for _, item := range items {
			if err := stream.Send(item); err != nil {
				t.Fatal(err)
			}
			b, _ := protojson.Marshal(item)
			body.Write(append(b, '\n'))
		}
		must(t, stream.CloseSend())
		got := make(map[string]*notaryv1.SubmitStreamResponse)
		for {
			resp, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[resp.GetId()] = resp
		}
		a := w.do(web, "POST", "/v1/statements:stream", body.Bytes(), append(w.as(user), "Content-Type", ndjson)...)
		overHTTP := readLines(t, a)
		for _, item := range items {
			one, two := got[item.GetId()], overHTTP[item.GetId()]
			if one == nil || !proto.Equal(one, two) {
				t.Errorf("%s, %s: got %v over gRPC and %v over HTTP", user, item.GetId(), one, two)
			}
			_, err := client.Submit(w.asCtx(user), &notaryv1.SubmitRequest{Envelope: item.GetEnvelope()})
			if want := status.Convert(err).Proto(); err != nil && !proto.Equal(one.GetError(), want) || (err == nil) != (one.GetReceipt() != nil) {
				t.Errorf("%s, %s: got %v, want what Submit says: %v", user, item.GetId(), one, want)
			}
		}
	}
}

func readLines(t *testing.T, a *answer) map[string]*notaryv1.SubmitStreamResponse {
	t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != ndjson {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	got := make(map[string]*notaryv1.SubmitStreamResponse)
	for line := range strings.Lines(string(a.body)) {
		inner, ok := strings.CutPrefix(strings.TrimSuffix(line, "}\n"), `{"result":`)
		resp := new(notaryv1.SubmitStreamResponse)
		if err := protojson.Unmarshal([]byte(inner), resp); !ok || err != nil {
			t.Fatalf("got line %q: %v", line, err)
		}
		got[resp.GetId()] = resp
	}
	return got
}

// TestLines refuses a bad body as a whole: nothing of it is submitted.
func TestLines(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.MaxLines = 3; c.Limits.MaxLinesBody = 4 << 20 })
	var submitted atomic.Int64
	w.service.before = func(context.Context, []byte) error { submitted.Add(1); return nil }
	b, _ := protojson.Marshal(w.items()[0])
	good := string(b) + "\n"
	other := strings.Replace(good, "item 0", "item 1", 1)
	third := strings.Replace(good, "item 0", "item 2", 1)
	fourth := strings.Replace(good, "item 0", "item 3", 1)
	typ := []string{"Content-Type", ndjson}
	tests := []struct {
		name, body string
		headers    []string
		status     int
		want       string
	}{
		{"second line is no JSON", good + "x\n", append(typ, w.as("site")...), 400, "line 2"},
		{"unknown field", good + `{"id":"a","extra":1}` + "\n", append(typ, w.as("site")...), 400, "UNKNOWN_FIELD"},
		{"two values on a line", strings.TrimSuffix(good, "\n") + good, append(typ, w.as("site")...), 400, "line 1"},
		{"one value on two lines", "{\n}\n", append(typ, w.as("site")...), 400, "line 1"},
		{"empty line", good + "\n" + other, append(typ, w.as("site")...), 400, "line 2"},
		{"no line feed at the end", good + strings.TrimSuffix(other, "\n"), append(typ, w.as("site")...), 400, "line 2"},
		{"empty id", strings.Replace(good, "item 0", "", 1), append(typ, w.as("site")...), 400, "line 1.id"},
		{"same id", good + good, append(typ, w.as("site")...), 400, "line 2.id"},
		{"empty body", "", append(typ, w.as("site")...), 400, "empty"},
		{"too many lines", good + other + third + fourth, append(typ, w.as("site")...), 400, "TOO_LARGE"},
		{"line too long", strings.Repeat(" ", maxLine) + good, append(typ, w.as("site")...), 400, "line 1"},
		{"body too long", good + strings.Repeat(" ", 5<<20), append(typ, w.as("site")...), 400, ""},
		{"JSON", good, append([]string{"Content-Type", "application/json"}, w.as("site")...), 415, "UNSUPPORTED"},
		{"anonymous", good, typ, 401, "UNAUTHENTICATED"},
		{"auditor", good, append(typ, w.as("auditor")...), 403, "NOT_PERMITTED"},
	}
	for _, tt := range tests {
		a := w.do(w.web(), "POST", "/v1/statements:stream", []byte(tt.body), tt.headers...)
		if a.status != tt.status || !bytes.Contains(a.body, []byte(tt.want)) {
			t.Errorf("%s: got %d %.200s, want %d %s", tt.name, a.status, a.body, tt.status, tt.want)
		}
	}
	if n := submitted.Load(); n != 0 {
		t.Errorf("%d statements of bad bodies were submitted", n)
	}
	if a := w.do(w.web(), "POST", "/v1/statements:stream", []byte(good+other+third), append(typ, w.as("site")...)...); a.status != 200 || submitted.Load() != 3 {
		t.Errorf("got %d and %d statements, want 200 and 3", a.status, submitted.Load())
	}
}

// TestStreamWindow holds a stream to its window, answers out of order, and ends
// it at an id that is in flight.
func TestStreamWindow(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.StreamWindow = 2 })
	var inFlight, most atomic.Int64
	gates := map[string]chan struct{}{"0": make(chan struct{}), "1": make(chan struct{}), "2": make(chan struct{})}
	w.service.before = func(_ context.Context, payload []byte) error {
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		most.Store(max(most.Load(), n))
		for nonce, gate := range gates {
			if bytes.Contains(payload, []byte(`"nonce":"`+nonce+`"`)) {
				<-gate
			}
		}
		return nil
	}
	stream, err := w.grpc().SubmitStream(w.asCtx("site"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(id string) {
		p := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: id}
		if err := stream.Send(&notaryv1.SubmitStreamRequest{Id: id, Envelope: envelopeMessage(p.envelope())}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(id string) {
		t.Helper()
		resp, err := stream.Recv()
		if err != nil || resp.GetId() != id || resp.GetReceipt() == nil {
			t.Fatalf("got %v (%v), want a receipt for %s", resp, err, id)
		}
	}
	for _, id := range []string{"0", "1", "2"} {
		send(id)
	}
	close(gates["1"]) // the second is answered first
	want("1")
	close(gates["2"])
	want("2")
	send("0") // still in flight
	close(gates["0"])
	// Either the id was free again, or the stream ends, with everything that was
	// taken answered.
	for {
		resp, err := stream.Recv()
		if err == nil && resp.GetId() == "0" {
			if resp.GetReceipt() == nil {
				t.Fatalf("got %v, want a receipt", resp)
			}
			must(t, stream.CloseSend())
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) && reasonIn(status.Convert(err)) != "BAD_REQUEST" {
			t.Errorf("got %v", err)
		}
		break
	}
	if most.Load() > 2 {
		t.Errorf("got %d statements in flight, want at most 2", most.Load())
	}
}

// TestStreamCallerGoesAway gives the places of a caller that hung up back at once,
// though the service is still at its statements.
func TestStreamCallerGoesAway(t *testing.T) {
	w := newWorld(t)
	block := make(chan struct{})
	defer close(block)
	var begun atomic.Int64
	w.service.before = func(context.Context, []byte) error { begun.Add(1); <-block; return nil }
	ctx, cancel := context.WithCancel(w.asCtx("site"))
	stream, err := w.grpc().SubmitStream(ctx)
	must(t, err)
	for _, id := range []string{"0", "1", "2"} {
		p := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: id}
		must(t, stream.Send(&notaryv1.SubmitStreamRequest{Id: id, Envelope: envelopeMessage(p.envelope())}))
	}
	inFlight := func(k class) int {
		w.srv.limiter.mu.Lock()
		defer w.srv.limiter.mu.Unlock()
		return find(w.srv.limiter.users, "site").inFlight[k]
	}
	eventually(t, "three statements are in flight", func() bool { return begun.Load() == 3 && inFlight(classSubmit) == 3 })
	cancel()
	eventually(t, "the stream ends", func() bool { return inFlight(classSubmit) == 0 && inFlight(classStream) == 0 })
}

// TestStreamID refuses an id only while it is in flight.
func TestStreamID(t *testing.T) {
	s := &submitStream{inFlight: make(map[string]*item)}
	must(t, s.begin(&item{id: "a"}))
	must(t, s.begin(&item{id: "b"}))
	if err := s.begin(&item{id: "a"}); trial.ReasonOf(err) != reasonBadRequest {
		t.Errorf("got %v, want BAD_REQUEST", err)
	}
	delete(s.inFlight, "a") // answered
	must(t, s.begin(&item{id: "a"}))
	s.over = true
	if err := s.begin(&item{id: "c"}); !errors.Is(err, errDraining) {
		t.Errorf("got %v, want that nothing more is taken", err)
	}
}

// TestStreamEnds names what ends a stream.
func TestStreamEnds(t *testing.T) {
	w := newWorld(t)
	env := w.items()[0].GetEnvelope()
	block := make(chan struct{})
	w.service.before = func(context.Context, []byte) error { <-block; return nil }
	defer close(block)
	for _, tt := range []struct {
		name string
		user string
		send []*notaryv1.SubmitStreamRequest
		want codes.Code
	}{
		{"anonymous", "", nil, codes.Unauthenticated},
		{"auditor", "auditor", nil, codes.PermissionDenied},
		{"empty id", "site", []*notaryv1.SubmitStreamRequest{{Envelope: env}}, codes.InvalidArgument},
		{"control character", "site", []*notaryv1.SubmitStreamRequest{{Id: "a\n", Envelope: env}}, codes.InvalidArgument},
		{"long id", "site", []*notaryv1.SubmitStreamRequest{{Id: strings.Repeat("a", 129), Envelope: env}}, codes.InvalidArgument},
	} {
		stream, err := w.grpc().SubmitStream(w.asCtx(tt.user))
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range tt.send {
			if err := stream.Send(req); err != nil {
				t.Fatal(err)
			}
		}
		if _, err = stream.Recv(); status.Code(err) != tt.want || errorInfo(status.Convert(err)) == nil {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestStreamCaller lets the creator of a trial go on in the same stream, and
// ends the stream of a user that was removed.
func TestStreamCaller(t *testing.T) {
	w := newWorld(t)
	stream, err := w.grpc().SubmitStream(w.asCtx("creator"))
	if err != nil {
		t.Fatal(err)
	}
	charter := fakePayload{Kind: "charter", Organisation: "Acme", Nonce: "stream"}
	submit := func(id string, p fakePayload) (*notaryv1.SubmitStreamResponse, error) {
		if err := stream.Send(&notaryv1.SubmitStreamRequest{Id: id, Envelope: envelopeMessage(p.envelope())}); err != nil {
			t.Fatal(err)
		}
		return stream.Recv()
	}
	protocol := fakePayload{Charter: charter.id().String(), Kind: "protocol"}
	if resp, err := submit("early", protocol); err != nil || reasonIn(status.FromProto(resp.GetError())) != "NOT_FOUND" {
		t.Errorf("got %v (%v), want NOT_FOUND", resp, err)
	}
	if resp, err := submit("charter", charter); err != nil || resp.GetReceipt() == nil {
		t.Fatalf("got %v (%v), want a receipt", resp, err)
	}
	if resp, err := submit("protocol", protocol); err != nil || resp.GetReceipt() == nil {
		t.Errorf("got %v (%v), want a receipt", resp, err)
	}

	w.srv.reauth = 0
	stream, err = w.grpc().SubmitStream(w.asCtx("site"))
	if err != nil {
		t.Fatal(err)
	}
	mine := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01"}
	if resp, err := submit("before", mine); err != nil || resp.GetReceipt() == nil {
		t.Fatalf("got %v (%v), want a receipt", resp, err)
	}
	w.users.remove("site")
	w.forgetUsers()
	if resp, err := submit("after", mine); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v (%v), want Unauthenticated", resp, err)
	}
}

// TestGrantFails says "send again" when the charter is logged and its creator
// could not be granted; sent again it is.
func TestGrantFails(t *testing.T) {
	w := newWorld(t)
	charter := envelopeMessage(fakePayload{Kind: "charter", Organisation: "Acme", Nonce: "grant"}.envelope())
	fail := errors.New("disk full")
	w.service.before = func(context.Context, []byte) error {
		w.users.mu.Lock()
		defer w.users.mu.Unlock()
		w.users.fail, fail = fail, nil // the first time only
		return nil
	}
	_, err := w.grpc().Submit(w.asCtx("creator"), &notaryv1.SubmitRequest{Envelope: charter})
	if st := status.Convert(err); st.Code() != codes.Unavailable || reasonIn(st) != "TRY_AGAIN" {
		t.Fatalf("got %v, want TRY_AGAIN", err)
	}
	w.users.mu.Lock()
	w.users.fail = nil
	w.users.mu.Unlock()
	resp, err := w.grpc().Submit(w.asCtx("creator"), &notaryv1.SubmitRequest{Envelope: charter})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.grpc().GetStatement(w.asCtx("creator"), &notaryv1.GetStatementRequest{StatementId: resp.GetReceipt().GetStatementId()}); err != nil {
		t.Errorf("the creator does not see the trial: %v", err)
	}
}

// TestPushBack maps overload and a stopped log to "send again, later".
func TestPushBack(t *testing.T) {
	w := newWorld(t)
	var fail error
	w.service.before = func(context.Context, []byte) error { return fail }
	for err, want := range map[error]string{
		notary.ErrOverloaded:                                             "OVERLOADED",
		fmt.Errorf("%w: mark", notary.ErrLogStopped):                     "LOG_STOPPED",
		fmt.Errorf("%w: %w", notary.ErrUnavailable, notary.ErrStoreFull): "STORAGE_FULL",
		fmt.Errorf("%w: io: /x", notary.ErrUnavailable):                  "TRY_AGAIN",
	} {
		fail = err
		body, _ := protojson.Marshal(w.items()[0].GetEnvelope())
		a := w.do(w.web(), "POST", "/v1/statements", body, append(w.as("site"), "Content-Type", "application/json")...)
		if a.status != 503 || !bytes.Contains(a.body, []byte(want)) || a.header.Get("Retry-After") == "" || bytes.Contains(a.body, []byte("/x")) {
			t.Errorf("%v: got %d %s, Retry-After %q", err, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
}

// TestStreamPlaces lets a long statement take the places of several short ones,
// and one that is longer than the window take all.
func TestStreamPlaces(t *testing.T) {
	s := &submitStream{api: &api{Server: &Server{draining: make(chan struct{})}}, window: newWindow(4)}
	sized := func(n int) *notaryv1.SubmitStreamRequest {
		return &notaryv1.SubmitStreamRequest{Envelope: &notaryv1.Envelope{Payload: make([]byte, n)}}
	}
	for size, want := range map[int]int{0: 1, 1: 1, placeSize: 1, placeSize + 1: 2, 3 * placeSize: 3, 4 * placeSize: 4, 99 * placeSize: 4} {
		if got := s.window.placesOf(sized(size)); got != want {
			t.Errorf("%d bytes: got %d places, want %d", size, got, want)
		}
	}
	must(t, s.enter(t.Context(), 3))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.enter(ended, 2); err == nil || s.window.free != 1 {
		t.Errorf("got %v with %d places free, want the context's error and 1", err, s.window.free)
	}
	s.window.leave(3)
	must(t, s.enter(t.Context(), 4))
}
