package rpc

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestGatewayTraps tries from the outside what grpc-gateway accepts by default.
func TestGatewayTraps(t *testing.T) {
	w := newWorld(t)
	web := w.web()
	good, _ := protojson.Marshal(envelopeMessage(fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: "trap"}.envelope()))
	jsonType := []string{"Content-Type", "application/json"}
	auth := w.as("sponsor")
	post := slices.Concat(jsonType, auth)
	list := "/v1/trials/" + w.trialA.String() + "/statements"
	big := `{"payload":"` + strings.Repeat("A", maxEnvelopeBody) + `"}`
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		reason                   string
	}{
		{"good", "POST", "/v1/statements", string(good), post, 200, ""},
		{"good list", "GET", list, "", auth, 200, ""},

		{"identity from Grpc-Metadata-Authorization", "GET", list, "", []string{"Grpc-Metadata-Authorization", auth[1]}, 401, "UNAUTHENTICATED"},
		{"second authorization as Grpc-Metadata", "GET", list, "", append([]string{"Grpc-Metadata-Authorization", w.as("stranger")[1]}, auth...), 200, ""},
		{"two authorizations", "GET", list, "", append(w.as("site"), auth...), 401, "UNAUTHENTICATED"},
		{"two authorizations in one", "GET", list, "", []string{"Authorization", auth[1] + ", " + auth[1]}, 401, "UNAUTHENTICATED"},
		{"two authorizations for a public path", "GET", "/v1/checkpoint", "", append(w.as("site"), auth...), 401, "UNAUTHENTICATED"},
		{"unknown token for a public path", "GET", "/v1/checkpoint", "", []string{"Authorization", "Bearer tn_" + strings.Repeat("A", 43)}, 401, "UNAUTHENTICATED"},
		{"basic authorization", "GET", "/v1/checkpoint", "", []string{"Authorization", "Basic eDp5"}, 401, "UNAUTHENTICATED"},
		{"empty authorization", "GET", "/v1/checkpoint", "", []string{"Authorization", ""}, 401, "UNAUTHENTICATED"},
		{"authorization that is no text", "GET", "/v1/checkpoint", "", []string{"Authorization", "Bearer \xff"}, 401, "UNAUTHENTICATED"},
		{"reserved header", "GET", list, "", append([]string{"X-Trialnotary-Handover", "e30"}, auth...), 400, "RESERVED_METADATA"},
		{"reserved header by the gateway's prefix", "GET", list, "", append([]string{"Grpc-Metadata-X-Trialnotary-Handover", "e30"}, auth...), 400, "RESERVED_METADATA"},
		{"timeout header", "GET", list, "", append([]string{"Grpc-Timeout", "1n"}, auth...), 200, ""},
		{"binary header", "GET", list, "", append([]string{"Grpc-Metadata-X-Bin", "not base64"}, auth...), 200, ""},
		{"method override", "POST", list, "", append([]string{"X-HTTP-Method-Override", "GET", "Content-Type", "application/x-www-form-urlencoded"}, auth...), 405, "METHOD_NOT_ALLOWED"},

		{"unknown field", "POST", "/v1/statements", `{"payload":"e30=","extra":1}`, post, 400, "UNKNOWN_FIELD"},
		{"unknown field inside", "POST", "/v1/statements", `{"signatures":[{"sig":"AQID","extra":1}]}`, post, 400, "UNKNOWN_FIELD"},
		{"duplicate field", "POST", "/v1/statements", `{"payload":"e30=","payload":"e30="}`, post, 400, "DUPLICATE_FIELD"},
		{"proto name", "POST", "/v1/statements", `{"payload_type":"application/vnd.in-toto+json"}`, post, 400, "UNKNOWN_FIELD"},
		{"another case", "POST", "/v1/statements", `{"Payload":"e30="}`, post, 400, "UNKNOWN_FIELD"},
		{"trailing data", "POST", "/v1/statements", string(good) + "{}", post, 400, "BAD_REQUEST"},
		{"trailing text", "POST", "/v1/statements", string(good) + "x", post, 400, "BAD_REQUEST"},
		{"null", "POST", "/v1/statements", `null`, post, 400, "BAD_REQUEST"},
		{"null field", "POST", "/v1/statements", `{"payload":null}`, post, 400, "BAD_REQUEST"},
		{"list", "POST", "/v1/statements", `[]`, post, 400, "BAD_REQUEST"},
		{"empty body", "POST", "/v1/statements", ``, post, 400, "BAD_REQUEST"},
		{"byte order mark", "POST", "/v1/statements", "\ufeff" + string(good), post, 400, "BAD_REQUEST"},
		{"unpadded base64", "POST", "/v1/statements", `{"payload":"e30"}`, post, 400, "BAD_REQUEST"},
		{"URL-safe base64", "POST", "/v1/statements", `{"payload":"_-__"}`, post, 400, "BAD_REQUEST"},
		{"base64 with a line break", "POST", "/v1/statements", `{"payload":"e3\n0="}`, post, 400, "BAD_REQUEST"},
		{"base64 with stray bits", "POST", "/v1/statements", `{"payload":"e31="}`, post, 400, "BAD_REQUEST"},
		{"bad UTF-8", "POST", "/v1/statements", "{\"payloadType\":\"\xff\"}", post, 400, "BAD_REQUEST"},
		{"integer as a number", "POST", "/v1/verify", `{"files":[{"size":1}]}`, post, 400, "BAD_REQUEST"},
		{"integer with a sign", "POST", "/v1/verify", `{"files":[{"size":"+1"}]}`, post, 400, "BAD_REQUEST"},
		{"wrapped envelope", "POST", "/v1/statements", `{"envelope":` + string(good) + `}`, post, 400, "UNKNOWN_FIELD"},
		{"two signatures", "POST", "/v1/statements", `{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQID"},{"sig":"AQID"}]}`, post, 400, "MALFORMED_ENVELOPE"},
		{"body too large", "POST", "/v1/statements", big, post, 400, "TOO_LARGE"},

		{"no media type", "POST", "/v1/statements", string(good), auth, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"form", "POST", "/v1/statements", string(good), append([]string{"Content-Type", "text/plain"}, auth...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"charset", "POST", "/v1/statements", string(good), append([]string{"Content-Type", "application/json; charset=UTF-8"}, auth...), 200, ""},
		{"another charset", "POST", "/v1/statements", string(good), append([]string{"Content-Type", "application/json; charset=latin1"}, auth...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"two media types", "POST", "/v1/statements", string(good), append([]string{"Content-Type", "text/plain"}, post...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"compressed", "POST", "/v1/statements", string(good), append([]string{"Content-Encoding", "gzip"}, post...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"GET with a body", "GET", list, `{"trial":"x"}`, post, 400, "BAD_REQUEST"},

		{"unknown query parameter", "GET", list + "?extra=1", "", auth, 400, "UNKNOWN_FIELD"},
		{"query parameter that is in the path", "GET", list + "?trial=" + w.trialB.String(), "", auth, 400, "UNKNOWN_FIELD"},
		{"query parameter twice", "GET", list + "?site=a&site=b", "", auth, 400, "DUPLICATE_FIELD"},
		{"query parameter by proto name", "GET", list + "?page_size=1", "", auth, 400, "UNKNOWN_FIELD"},
		{"query parameter by index", "GET", list + "?site[a]=b", "", auth, 400, "UNKNOWN_FIELD"},
		{"query for POST", "POST", "/v1/statements?envelope.payload=e30=", string(good), post, 400, "UNKNOWN_FIELD"},
		{"form by number", "POST", "/v1/statements?receiptForm=1", string(good), post, 400, "BAD_REQUEST"},
		{"form that does not exist", "POST", "/v1/statements?receiptForm=RECEIPT_FORM_HALF", string(good), post, 400, "BAD_REQUEST"},
		{"form", "POST", "/v1/statements?receiptForm=RECEIPT_FORM_PROOF", string(good), post, 200, ""},
		{"semicolon", "GET", list + "?site=a;kind=b", "", auth, 400, "BAD_REQUEST"},
		{"bad integer", "GET", list + "?pageSize=0x10", "", auth, 400, "BAD_REQUEST"},
		{"bad index", "GET", "/v1/timemark?below=-1", "", nil, 400, "BAD_REQUEST"},
		{"index with a leading zero", "GET", "/v1/timemark?below=01", "", nil, 400, "BAD_REQUEST"},
		{"index too large", "GET", "/v1/timemark?below=18446744073709551616", "", nil, 400, "BAD_REQUEST"},
		{"large integer", "GET", list + "?pageSize=4294967297", "", auth, 400, "BAD_REQUEST"},
		{"bad time", "GET", list + "?from=yesterday", "", auth, 400, "BAD_REQUEST"},
		{"empty query", "GET", list + "?", "", auth, 400, "BAD_REQUEST"},

		{"trailing slash", "GET", list + "/", "", auth, 404, "NO_SUCH_PATH"},
		{"double slash", "GET", strings.Replace(list, "/v1/", "/v1//", 1), "", auth, 404, "NO_SUCH_PATH"},
		{"dots", "GET", "/v1/x/../checkpoint", "", nil, 404, "NO_SUCH_PATH"},
		{"needless escape", "GET", "/v1/%63heckpoint", "", nil, 404, "NO_SUCH_PATH"},
		{"escaped slash", "GET", "/v1/statements/a%2Freceipt", "", auth, 404, "NO_SUCH_PATH"},
		{"another case of a path", "GET", "/v1/Checkpoint", "", nil, 404, "NO_SUCH_PATH"},
		{"control character", "GET", "/v1/statements/a%00", "", auth, 404, "NO_SUCH_PATH"},
		{"verb that is not there", "GET", "/v1/checkpoint:stream", "", nil, 404, "NO_SUCH_PATH"},
		{"gRPC path over HTTP", "POST", "/notary.v1.NotaryService/GetCheckpoint", "", post, 404, "NO_SUCH_PATH"},
		{"no path", "GET", "/", "", nil, 404, "NO_SUCH_PATH"},

		{"PUT", "PUT", "/v1/statements", string(good), post, 405, "METHOD_NOT_ALLOWED"},
		{"GET for POST", "GET", "/v1/statements", "", auth, 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", "DELETE", "/v1/statements/" + w.site1.String(), "", auth, 405, "METHOD_NOT_ALLOWED"},
		{"OPTIONS", "OPTIONS", list, "", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}, 405, "METHOD_NOT_ALLOWED"},
		{"POST for a page", "POST", "/docs", "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"query for a page", "GET", "/docs?x=1", "", nil, 400, "UNKNOWN_FIELD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var body []byte
			if tt.body != "" || tt.method == "POST" {
				body = []byte(tt.body)
			}
			a := w.do(web, tt.method, tt.path, body, tt.headers...)
			if a.status != tt.status || tt.reason != "" && !bytes.Contains(a.body, []byte(`"`+tt.reason+`"`)) {
				t.Fatalf("got %d %s, want %d %s", a.status, a.body, tt.status, tt.reason)
			}
			if allow := a.header.Get("Allow"); (allow != "") != (tt.status == 405) {
				t.Errorf("got Allow %q", allow)
			}
			if www := a.header.Get("WWW-Authenticate"); (www != "") != (tt.status == 401) {
				t.Errorf("got WWW-Authenticate %q", www)
			}
			checkHeaders(t, a)
		})
	}
}

// checkHeaders holds the headers of every answer.
func checkHeaders(t *testing.T, a *answer) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got Content-Security-Policy %q", a.header.Get("Content-Security-Policy"))
	}
	if len(a.header.Values(requestIDHeader)) != 1 || !saneRequestID(a.header.Get(requestIDHeader)) {
		t.Errorf("got request ids %q, want one", a.header.Values(requestIDHeader))
	}
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Grpc-") {
			t.Errorf("got header %s", name)
		}
	}
}

// TestForwardedFor records the address of the connection, whatever a header
// says.
func TestForwardedFor(t *testing.T) {
	w := newWorld(t)
	a := w.do(w.web(), "GET", "/v1/trials/"+w.trialB.String()+"/statements", nil, append(w.as("sponsor"),
		"X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Real-Ip", "203.0.113.9", "X-Forwarded-Host", "evil.example",
		"Grpc-Metadata-X-Forwarded-For", "203.0.113.9", "X-Request-Id", "from-outside")...)
	if a.status != 404 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	all := w.recorded()
	if len(all) != 1 || all[0].RequestID != "from-outside" || all[0].User != "sponsor" || all[0].Reason != reasonNotPermitted {
		t.Fatalf("got refusals %+v", all)
	}
	if host, _, err := net.SplitHostPort(all[0].Address); err != nil || host != "127.0.0.1" {
		t.Errorf("got address %q, want the connection's", all[0].Address)
	}
	for _, entry := range w.logs.All() {
		if text := fmt.Sprint(entry.ContextMap()); strings.Contains(text, "203.0.113.9") || strings.Contains(text, "evil") {
			t.Errorf("got log line %s", text)
		}
	}
}

// TestReservedMetadata refuses the handover key from outside over gRPC, and a
// call on the in-process listener without the process's secret.
func TestReservedMetadata(t *testing.T) {
	w := newWorld(t)
	h := handover{Secret: []byte("guess"), Address: "203.0.113.9:1", Cert: "cert-sponsor"}
	for _, value := range []string{"", "e30", h.encode()} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), handoverKey, value)
		_, err := w.grpc().GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{})
		if st := status.Convert(err); st.Code() != codes.InvalidArgument || reasonIn(st) != "RESERVED_METADATA" {
			t.Errorf("%q: got %v", value, err)
		}
		_, err = w.srv.client.GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{})
		if st := status.Convert(err); st.Code() != codes.Internal {
			t.Errorf("in process with %q: got %v, want Internal", value, err)
		}
	}
	if _, err := w.srv.client.GetCheckpoint(context.Background(), &notaryv1.GetCheckpointRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("in process without handover: got %v, want Internal", err)
	}
}

// TestGRPCStrict refuses over gRPC what HTTP refuses.
func TestGRPCStrict(t *testing.T) {
	w := newWorld(t)
	ctx := metadata.AppendToOutgoingContext(context.Background(), authorizationKey, "Bearer "+w.tokens["sponsor"])
	req := &notaryv1.GetStatementRequest{StatementId: w.protocol.String()}
	req.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 0x01}) // field 127
	if _, err := w.grpc().GetStatement(ctx, req); reasonIn(status.Convert(err)) != "UNKNOWN_FIELD" {
		t.Errorf("got %v, want UNKNOWN_FIELD", err)
	}
	twice := metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+w.tokens["sponsor"])
	if _, err := w.grpc().GetCheckpoint(twice, &notaryv1.GetCheckpointRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want Unauthenticated for two authorizations", err)
	}
	large := &notaryv1.VerifyRequest{Trial: w.trialA.String(), Receipt: strings.Repeat("x", 5<<20)}
	if _, err := w.grpc().Verify(ctx, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want ResourceExhausted", err)
	}
}

// recorded waits until the refusals so far are written.
func (w *world) recorded() []Refused {
	w.srv.refusals.close()
	w.refusals.mu.Lock()
	defer w.refusals.mu.Unlock()
	return w.refusals.all
}
