package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// rpcCase is one call in both transports.
type rpcCase struct {
	name   string
	call   func(context.Context, notaryv1.NotaryServiceClient) (proto.Message, error)
	method string
	path   string
	body   proto.Message // of POST
	answer proto.Message // an empty one of the answer's type
	// want is the code for each caller; "" is an anonymous one. Who is not
	// named gets want["*"].
	want map[string]codes.Code
	// reason is the reason of every refusal that is not about the caller's
	// credential or role.
	reason trial.Reason
}

const (
	ok       = codes.OK
	notFound = codes.NotFound
	denied   = codes.PermissionDenied
	noAuth   = codes.Unauthenticated
	badArg   = codes.InvalidArgument
)

// readersOf is who gets what of a read: those named see it, other readers do
// not find it, operators and users without a grant may not call it.
func readersOf(seen ...string) map[string]codes.Code {
	m := map[string]codes.Code{"*": notFound, "": noAuth, "operator": denied, "ungranted": denied}
	for _, u := range seen {
		m[u] = ok
	}
	return m
}

func getStatement(name string, id string, want map[string]codes.Code) []rpcCase {
	req := &notaryv1.GetStatementRequest{StatementId: id}
	rec := &notaryv1.GetReceiptRequest{StatementId: id}
	return []rpcCase{
		{
			name: "GetStatement " + name, method: "GET", path: "/v1/statements/" + id, answer: &notaryv1.GetStatementResponse{}, want: want, reason: reasonNotFound,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetStatement(ctx, req)
			},
		},
		{
			name: "GetReceipt " + name, method: "GET", path: "/v1/statements/" + id + "/receipt", answer: &notaryv1.GetReceiptResponse{}, want: want, reason: reasonNotFound,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetReceipt(ctx, rec)
			},
		},
	}
}

func submitCase(name string, p fakePayload, want map[string]codes.Code, reason trial.Reason) rpcCase {
	env := envelopeMessage(p.envelope())
	return rpcCase{
		name: "Submit " + name, method: "POST", path: "/v1/statements", body: env, answer: &notaryv1.SubmitResponse{}, want: want, reason: reason,
		call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
			return c.Submit(ctx, &notaryv1.SubmitRequest{Envelope: env})
		},
	}
}

func listCase(name, query string, req *notaryv1.ListStatementsRequest, want map[string]codes.Code, reason trial.Reason) rpcCase {
	return rpcCase{
		name: "ListStatements " + name, method: "GET", path: "/v1/trials/" + req.GetTrial() + "/statements" + query,
		answer: &notaryv1.ListStatementsResponse{}, want: want, reason: reason,
		call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
			return c.ListStatements(ctx, req)
		},
	}
}

func verifyCase(name string, req *notaryv1.VerifyRequest, want map[string]codes.Code, reason trial.Reason) rpcCase {
	return rpcCase{
		name: "Verify " + name, method: "POST", path: "/v1/verify", body: req, answer: &notaryv1.VerifyResponse{}, want: want, reason: reason,
		call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
			return c.Verify(ctx, req)
		},
	}
}

// writersOf is who may submit: those named; others of the trial may not, and
// others do not find the trial.
func writersOf(allowed ...string) map[string]codes.Code {
	m := map[string]codes.Code{"*": notFound, "": noAuth, "operator": denied, "ungranted": denied, "auditor": denied, "site": denied}
	for _, u := range allowed {
		m[u] = ok
	}
	return m
}

func (w *world) cases() []rpcCase {
	nobody := strings.Repeat("0", 64)
	a, b := w.trialA.String(), w.trialB.String()
	members := []string{"sponsor", "site", "auditor"}
	everyReader := readersOf("sponsor", "site", "auditor", "creator", "stranger")
	bad := maps.Clone(everyReader)
	for u, c := range bad {
		if c == ok || c == notFound {
			bad[u] = badArg
		}
	}
	marks := map[string]codes.Code{"*": ok, "operator": denied, "ungranted": denied}
	kind := func(k trial.Kind) string { return string(k) }
	cases := slices.Concat(
		getStatement("of the trial", w.protocol.String(), readersOf(members...)),
		getStatement("of the site", w.site1.String(), readersOf(members...)),
		getStatement("of another site", w.site2.String(), readersOf("sponsor", "auditor")),
		getStatement("of authority", w.enrolment.String(), readersOf(members...)),
		getStatement("of another trial", w.b.String(), readersOf("stranger")),
		getStatement("that is not there", nobody, readersOf()),
		getStatement("time mark", w.mark.String(), marks),
	)
	for _, badID := range []string{"abc", strings.ToUpper(w.b.String())} {
		cases = append(cases, rpcCase{
			name: "GetStatement bad id " + badID[:3], method: "GET", path: "/v1/statements/" + badID, answer: &notaryv1.GetStatementResponse{},
			want: map[string]codes.Code{"*": badArg, "operator": denied, "ungranted": denied}, reason: reasonBadRequest,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetStatement(ctx, &notaryv1.GetStatementRequest{StatementId: badID})
			},
		})
	}
	dataset := fakePayload{Charter: a, Kind: kind(trial.KindDataset), Site: "DE-01", Nonce: "new"}
	elsewhere, wide, authority := dataset, dataset, dataset
	elsewhere.Site, wide.Site, authority.Kind = "DE-02", "", kind(trial.KindKeyEnrolment)
	endorse := fakePayload{Charter: a, Kind: kind(trial.KindEndorsement), Nonce: "e"}
	return append(cases,
		submitCase("for the site", dataset, writersOf("sponsor", "site"), reasonNotFound),
		submitCase("for another site", elsewhere, writersOf("sponsor"), reasonNotFound),
		submitCase("trial-wide", wide, writersOf("sponsor"), reasonNotFound),
		submitCase("endorsement", endorse, writersOf("sponsor", "site"), reasonNotFound),
		submitCase("authority", authority, writersOf("sponsor"), reasonNotFound),
		submitCase("to another trial", fakePayload{Charter: b, Kind: "dataset", Site: "DE-01", Nonce: "x"},
			map[string]codes.Code{"*": notFound, "stranger": ok, "": noAuth, "operator": denied, "ungranted": denied, "auditor": denied}, reasonNotFound),
		submitCase("to no trial", fakePayload{Charter: nobody, Kind: "dataset", Nonce: "x"},
			map[string]codes.Code{"*": notFound, "": noAuth, "operator": denied, "ungranted": denied, "auditor": denied}, reasonNotFound),
		submitCase("charter", fakePayload{Kind: "charter", Organisation: "Acme", Nonce: "C"},
			map[string]codes.Code{"*": denied, "creator": ok, "": noAuth}, reasonNotPermitted),
		submitCase("charter of another organisation", fakePayload{Kind: "charter", Organisation: "Else", Nonce: "C"},
			map[string]codes.Code{"*": denied, "": noAuth}, reasonNotPermitted),
		listCase("all", "", &notaryv1.ListStatementsRequest{Trial: a}, readersOf(members...), reasonNotFound),
		listCase("by number", "?site=DE-01&kind=dataset&from=2026-01-01T00:00:00Z&pageSize=1",
			&notaryv1.ListStatementsRequest{Trial: "NCT00000001", Site: "DE-01", Kind: "dataset", PageSize: 1, From: mustTime("2026-01-01T00:00:00Z")},
			readersOf(members...), reasonNotFound),
		listCase("of no trial", "", &notaryv1.ListStatementsRequest{Trial: "NCT99999999"}, readersOf(), reasonNotFound),
		listCase("of another trial", "", &notaryv1.ListStatementsRequest{Trial: b}, readersOf("stranger"), reasonNotFound),
		listCase("page too large", "?pageSize=1001", &notaryv1.ListStatementsRequest{Trial: a, PageSize: 1001},
			map[string]codes.Code{"*": notFound, "sponsor": badArg, "site": badArg, "auditor": badArg, "": noAuth, "operator": denied, "ungranted": denied}, ""),
		listCase("bad page token", "?pageToken=AAAA", &notaryv1.ListStatementsRequest{Trial: a, PageToken: "AAAA"},
			map[string]codes.Code{"*": notFound, "sponsor": badArg, "site": badArg, "auditor": badArg, "": noAuth, "operator": denied, "ungranted": denied}, ""),
		rpcCase{
			name: "FindSubject", method: "GET", path: "/v1/subjects/" + fileDigest + "/statements", answer: &notaryv1.FindSubjectResponse{}, want: everyReader,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.FindSubject(ctx, &notaryv1.FindSubjectRequest{Sha256: fileDigest})
			},
		},
		rpcCase{
			name: "GetCheckpoint", method: "GET", path: "/v1/checkpoint", answer: &notaryv1.GetCheckpointResponse{}, want: map[string]codes.Code{"*": ok},
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{})
			},
		},
		rpcCase{
			name: "GetTimeMark the newest", method: "GET", path: "/v1/timemark", answer: &notaryv1.GetTimeMarkResponse{}, want: map[string]codes.Code{"*": ok},
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetTimeMark(ctx, &notaryv1.GetTimeMarkRequest{})
			},
		},
		rpcCase{
			name: "GetTimeMark before an index", method: "GET", path: "/v1/timemark?below=3", answer: &notaryv1.GetTimeMarkResponse{}, want: map[string]codes.Code{"*": ok},
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetTimeMark(ctx, &notaryv1.GetTimeMarkRequest{Below: 3})
			},
		},
		rpcCase{
			name: "GetTrustMaterial of another trial", method: "GET", path: "/v1/trials/" + nobody + "/trust", answer: &notaryv1.GetTrustMaterialResponse{}, want: readersOf(), reason: reasonNotFound,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetTrustMaterial(ctx, &notaryv1.GetTrustMaterialRequest{Trial: nobody})
			},
		},
		verifyCase("a bad receipt", &notaryv1.VerifyRequest{Trial: a, Receipt: "{}", Files: []*notaryv1.FileDigest{{Name: "f", Sha256: fileDigest, Size: 7}}}, readersOf(members...), reasonNotFound),
		verifyCase("in another trial", &notaryv1.VerifyRequest{Trial: b, Receipt: "{}"}, readersOf("stranger"), reasonNotFound),
		verifyCase("no receipt", &notaryv1.VerifyRequest{Trial: a, Receipt: "nonsense"},
			map[string]codes.Code{"*": notFound, "sponsor": badArg, "site": badArg, "auditor": badArg, "": noAuth, "operator": denied, "ungranted": denied}, ""),
		verifyCase("bad digest", &notaryv1.VerifyRequest{Trial: a, Receipt: "{}", Files: []*notaryv1.FileDigest{{Name: "f", Sha256: "AB"}}}, bad, reasonBadRequest),
	)
}

// TestParity runs every call as every caller over both transports: the answers
// and refusals are the same, and are those that the role should get.
func TestParity(t *testing.T) {
	w := newWorld(t)
	client, web := w.grpc(), w.web()
	covered := make(map[string]bool)
	for _, c := range w.cases() {
		covered[strings.Fields(c.name)[0]] = true
		for _, user := range append([]string{""}, everyone...) {
			want, named := c.want[user]
			if !named {
				want = c.want["*"]
			}
			t.Run(fmt.Sprintf("%s/%s", c.name, user), func(t *testing.T) { w.parity(t, c, user, want, client, web) })
		}
	}
	methods := notaryv1.File_notary_v1_notary_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		// Those that fold a trial need real statements: see TestTrialParity.
		if name := string(methods.Get(i).Name()); !covered[name] && name != "SubmitStream" && !folds(name) {
			t.Errorf("%s is not covered", name)
		}
	}
}

func (w *world) parity(t *testing.T, c rpcCase, user string, want codes.Code, client notaryv1.NotaryServiceClient, web *http.Client) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(context.Background(), requestIDKey, "same-id")
	if user != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+w.tokens[user])
	}
	got, err := c.call(ctx, client)
	st := status.Convert(err)
	if st.Code() != want {
		t.Fatalf("gRPC: got %v, want %v", st, want)
	}
	if want == notFound && c.reason != "" && reasonIn(st) != string(c.reason) {
		t.Errorf("gRPC: got reason %q, want %q", reasonIn(st), c.reason)
	}
	var body []byte
	headers := append([]string{"X-Request-Id", "same-id"}, w.as(user)...)
	if c.body != nil {
		body, _ = protojson.Marshal(c.body)
		headers = append(headers, "Content-Type", "application/json")
	}
	a := w.do(web, c.method, c.path, body, headers...)
	if want == ok {
		overHTTP := proto.Clone(c.answer)
		if err := protojson.Unmarshal(a.body, overHTTP); err != nil || a.status != 200 {
			t.Fatalf("HTTP: got %d %s (%v), want 200", a.status, a.body, err)
		}
		if !proto.Equal(got, overHTTP) {
			t.Errorf("got %v over gRPC and %v over HTTP", got, overHTTP)
		}
		return
	}
	sameStatus(t, st, a)
	if (user != "" && want == noAuth) || reasonIn(st) == "" || reasonIn(st) == string(reasonInternal) {
		t.Errorf("got reason %q", reasonIn(st))
	}
}

// sameStatus demands that an HTTP answer is a gRPC status.
func sameStatus(t *testing.T, st *status.Status, a *answer) {
	t.Helper()
	over := new(spb.Status)
	if err := protojson.Unmarshal(a.body, over); err != nil {
		t.Fatalf("HTTP: got %d %q: %v", a.status, a.body, err)
	}
	if !proto.Equal(over, st.Proto()) {
		t.Errorf("got %v over gRPC and %v over HTTP", st.Proto(), over)
	}
	if want := httpStatus(trial.Reason(reasonIn(st)), st.Code()); a.status != want {
		t.Errorf("got HTTP status %d, want %d", a.status, want)
	}
	if info := errorInfo(st); info == nil || info.GetDomain() != Domain {
		t.Errorf("got %v, want an ErrorInfo of %s", info, Domain)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &keys); err != nil || len(keys) != 3 || keys["code"] == nil || keys["message"] == nil || keys["details"] == nil {
		t.Errorf("got body %s, want code, message and details", a.body)
	}
	if a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got Content-Type %q", a.header.Get("Content-Type"))
	}
}

// TestNotYours holds what is not the caller's equal to what does not exist, but
// for the record of refusals.
func TestNotYours(t *testing.T) {
	w := newWorld(t)
	web := w.web()
	for _, path := range []string{"/v1/statements/%s", "/v1/statements/%s/receipt", "/v1/trials/%s/statements", "/v1/trials/%s/trust"} {
		hidden := w.do(web, "GET", fmt.Sprintf(path, w.trialB), nil, w.as("sponsor")...)
		absent := w.do(web, "GET", fmt.Sprintf(path, strings.Repeat("1", 64)), nil, w.as("sponsor")...)
		if hidden.status != 404 || !bytes.Equal(hidden.body, absent.body) {
			t.Errorf("%s: got %d %s for what is hidden and %d %s for what is not there", path, hidden.status, hidden.body, absent.status, absent.body)
		}
		for _, id := range []string{w.trialB.String(), strings.Repeat("1", 64), w.protocol.String()} {
			if a := w.do(web, "GET", fmt.Sprintf(path, id), nil); a.status != 401 {
				t.Errorf("%s: anonymous got %d, want 401 whatever is there", path, a.status)
			}
		}
	}
}

// TestAmbiguous tells only those that a number is ambiguous who see one of its
// trials.
func TestAmbiguous(t *testing.T) {
	w := newWorld(t)
	w.service.names["NCT00000001"] = []trial.ID{w.trialA, w.trialB}
	web := w.web()
	for user, want := range map[string]int{"sponsor": 400, "site": 400, "creator": 404, "stranger": 404} {
		a := w.do(web, "GET", "/v1/trials/NCT00000001/statements", nil, w.as(user)...)
		if a.status != want {
			t.Errorf("%s: got %d %s, want %d", user, a.status, a.body, want)
		}
	}
}

// TestInternal shows the caller of a fault nothing but the request id.
func TestInternal(t *testing.T) {
	w := newWorld(t)
	w.service.fail = fmt.Errorf("the secret of the inside")
	a := w.do(w.web(), "GET", "/v1/statements/"+w.protocol.String(), nil, append(w.as("sponsor"), "X-Request-Id", "find-me")...)
	if a.status != 500 || bytes.Contains(a.body, []byte("secret")) || !bytes.Contains(a.body, []byte("find-me")) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	st := toStatus(w.service.fail, "find-me")
	if _, ok := st.Details()[1].(*errdetails.RequestInfo); !ok {
		t.Errorf("got %v, want a RequestInfo", st.Details())
	}
}
