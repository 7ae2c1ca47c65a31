package rpc

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// both submits over both transports and demands the same answer.
func (w *world) both(t *testing.T, user string, env *trial.Envelope) (*notaryv1.Receipt, *status.Status) {
	t.Helper()
	m := envelopeMessage(env)
	ctx := metadata.AppendToOutgoingContext(w.asCtx(user), requestIDKey, "same-id")
	resp, err := w.grpc().Submit(ctx, &notaryv1.SubmitRequest{Envelope: m})
	a := w.do(w.web(), "POST", "/v1/statements", env.Marshal(), append(w.as(user), "Content-Type", "application/json", "X-Request-Id", "same-id")...)
	if err != nil {
		sameStatus(t, status.Convert(err), a)
		return nil, status.Convert(err)
	}
	over := new(notaryv1.SubmitResponse)
	if err := protojson.Unmarshal(a.body, over); err != nil || a.status != 200 {
		t.Fatalf("got %d %s over HTTP, want a receipt", a.status, a.body)
	}
	one, two := resp.GetReceipt(), over.GetReceipt()
	if one.GetStatementId() != two.GetStatementId() || one.GetLogIndex() != two.GetLogIndex() {
		t.Fatalf("got %v over gRPC and %v over HTTP", one, two)
	}
	return one, nil
}

// realStudy is a trial of the sponsor with a data manager, an investigator at
// each site and datasets of both.
type realStudy struct {
	*world
	*study
	t               *testing.T
	db              *store.Store
	manager, inv1   *holder
	mine, elsewhere *notaryv1.Receipt // datasets of DE-01 and DE-02
}

func newRealStudy(t *testing.T, change ...func(*Config)) *realStudy {
	t.Helper()
	w, db := newRealWorld(t, change...)
	r := &realStudy{world: w, study: newStudy(t, "Acme", trial.Registry{"nct": "NCT01234567"}), t: t, db: db}
	w.realUser(db, "sponsor", store.Grant{Role: store.RoleSponsor, Organisation: "Acme"})
	w.realUser(db, "other", store.Grant{Role: store.RoleSponsor, Organisation: "Other"})
	w.realUser(db, "operator", store.Grant{Role: store.RoleOperator})
	r.logged("sponsor", r.charter)
	w.realUser(db, "site", store.Grant{Role: store.RoleSite, Trial: r.id, Sites: []string{"DE-01"}})
	w.realUser(db, "auditor", store.Grant{Role: store.RoleAuditor, Trial: r.id})
	var manager, inv1 *trial.Envelope
	r.manager, manager = r.enrol("dm", trial.RoleDataManager, trial.OrganisationSponsor)
	r.inv1, inv1 = r.enrol("inv1", trial.RoleInvestigator, trial.OrganisationSite, "DE-01")
	r.logged("sponsor", manager)
	r.logged("sponsor", inv1)
	r.mine = r.logged("site", r.dataset(r.inv1, "DE-01", "ae.json"))
	r.elsewhere = r.logged("sponsor", r.dataset(r.manager, "DE-02", "ae.json"))
	return r
}

// enrolled is an enrolment of a key that another trial has enrolled, with the
// key's own proof for this trial.
func (r *realStudy) enrolled(h *holder) *trial.EnrolmentBody {
	r.t.Helper()
	body := *h.body
	var err error
	body.Proof, err = trial.SignPossession(h.key, r.id, &body)
	must(r.t, err)
	return &body
}

func (r *realStudy) logged(user string, env *trial.Envelope) *notaryv1.Receipt {
	r.t.Helper()
	got, st := r.both(r.t, user, env)
	if st != nil {
		r.t.Fatalf("got %v, want a receipt", st)
	}
	return got
}

// TestRealRefusals gets the same refusal over both transports for what the real
// service refuses, and NOT_FOUND for another's trial whatever is wrong besides.
func TestRealRefusals(t *testing.T) {
	r := newRealStudy(t)
	other := newStudy(t, "Other", trial.Registry{"nct": "NCT07654321"})
	r.logged("other", other.charter)
	stranger, _ := r.enrol("stranger", trial.RoleDataManager, trial.OrganisationSponsor) // never logged
	revoked, enrolment := r.enrol("gone", trial.RoleDataManager, trial.OrganisationSponsor)
	r.logged("sponsor", enrolment)
	r.logged("sponsor", r.revoke(revoked))
	waiting, enrolment := r.enrol("crc", trial.RoleSiteCoordinator, trial.OrganisationSite, "DE-01")
	r.logged("sponsor", enrolment)
	unsigned := r.dataset(r.inv1, "DE-01", "x.json")
	unsigned.Sig = r.dataset(r.inv1, "DE-01", "y.json").Sig
	wrong := *unsigned
	wrong.Payload = []byte(`{"_type":1}`)
	absent := newStudy(t, "Acme", nil)
	second := newStudy(t, "Acme", trial.Registry{"nct": "NCT07654322"}) // the same sponsor's
	r.logged("sponsor", second.charter)
	elsewhere, enrolment := second.enrol("dm2", trial.RoleDataManager, trial.OrganisationSponsor)
	r.logged("sponsor", enrolment)
	tests := []struct {
		name, user string
		env        *trial.Envelope
		code       codes.Code
		reason     string
	}{
		{"unknown key", "sponsor", r.dataset(stranger, "DE-01", "x.json"), codes.PermissionDenied, "UNKNOWN_KEY"},
		{"key of another trial of the caller", "sponsor", r.dataset(elsewhere, "DE-01", "x.json"), codes.FailedPrecondition, "OTHER_TRIAL"},
		{"the same for a caller who does not see that trial", "site", r.dataset(elsewhere, "DE-01", "x.json"), codes.PermissionDenied, "UNKNOWN_KEY"},
		{"enrolment of another trial's key", "sponsor", r.sign(r.sponsor, trial.KindKeyEnrolment, trial.RoleSponsor, "", "", r.enrolled(elsewhere)), codes.FailedPrecondition, "KEY_IN_USE"},
		{"revoked key", "sponsor", r.dataset(revoked, "DE-01", "x.json"), codes.PermissionDenied, "KEY_REVOKED"},
		{"key that is not active", "site", r.dataset(waiting, "DE-01", "x.json"), codes.PermissionDenied, "KEY_NOT_ACTIVE"},
		{"key of another site", "sponsor", r.dataset(r.inv1, "DE-02", "x.json"), codes.PermissionDenied, "KEY_OTHER_SITE"},
		{"caller of another site", "site", r.dataset(r.manager, "DE-02", "x.json"), codes.PermissionDenied, "NOT_PERMITTED"},
		{"bad signature", "site", unsigned, codes.InvalidArgument, "BAD_SIGNATURE"},
		{"malformed", "site", &wrong, codes.InvalidArgument, ""},
		{"a site's delegation", "site", r.delegate(nil), codes.PermissionDenied, "NOT_PERMITTED"},
		{"delegation to a key that is not enrolled", "sponsor", r.delegate(stranger), codes.PermissionDenied, "UNKNOWN_KEY"},
		{"enrolment by who is no delegate", "sponsor", r.enrolBy(r.manager), codes.PermissionDenied, "KIND_NOT_ALLOWED"},
		{"a site's charter", "site", newStudy(t, "Acme", nil).charter, codes.PermissionDenied, "NOT_PERMITTED"},
		{"charter of another organisation", "sponsor", newStudy(t, "Else", nil).charter, codes.PermissionDenied, "NOT_PERMITTED"},
		{"another's trial", "sponsor", other.revoke(r.manager), codes.NotFound, "NOT_FOUND"},
		{"no trial", "sponsor", absent.revoke(r.manager), codes.NotFound, "NOT_FOUND"},
		{"auditor", "auditor", r.dataset(r.manager, "DE-01", "x.json"), codes.PermissionDenied, "NOT_PERMITTED"},
		{"operator", "operator", r.dataset(r.manager, "DE-01", "x.json"), codes.PermissionDenied, "NOT_PERMITTED"},
		{"anonymous", "", r.dataset(r.manager, "DE-01", "x.json"), codes.Unauthenticated, "UNAUTHENTICATED"},
	}
	for _, tt := range tests {
		_, st := r.both(t, tt.user, tt.env)
		if st.Code() != tt.code || tt.reason != "" && reasonIn(st) != tt.reason {
			t.Errorf("%s: got %v %s, want %v %s", tt.name, st, reasonIn(st), tt.code, tt.reason)
		}
	}
	r.srv.refusals.close()
	kept, err := r.db.Refusals(t.Context(), 1000)
	if err != nil || len(kept) != 2*len(tests) {
		t.Errorf("got %d refusals (%v), want %d", len(kept), err, 2*len(tests))
	}
}

// TestRealCharters refuses what a charter says about rules, over both transports,
// with the place in the charter.
func TestRealCharters(t *testing.T) {
	r := newRealStudy(t)
	own := func(expression string) func(*trial.CharterBody) {
		return func(b *trial.CharterBody) {
			b.Rules = []trial.OwnRule{{
				ID: "S1", Title: "t", Severity: trial.SeverityMinor, Trigger: []trial.Kind{trial.KindSAP}, Expression: expression, Message: "m",
			}}
		}
	}
	for _, tt := range []struct {
		change func(*trial.CharterBody)
		code   codes.Code
		reason trial.Reason
		path   string
		says   string
	}{
		{func(b *trial.CharterBody) { b.RulePack = strings.Repeat("0", 64) }, codes.FailedPrecondition, trial.ReasonUnknownRulePack, "rulePack", "the default pack's is"},
		{own("act.version ==\n  colour"), codes.InvalidArgument, trial.ReasonBadRule, "rules[0].expression", "S1: expression 2:3: undeclared reference"},
		{func(b *trial.CharterBody) { b.Parameters = map[string]int64{"gracDays": 7} }, codes.InvalidArgument, trial.ReasonUnknownParameter, "parameters.gracDays", "graceDays"},
		{func(b *trial.CharterBody) { b.Parameters = map[string]int64{"graceDays": -7} }, codes.InvalidArgument, trial.ReasonBadValue, "parameters.graceDays", "want 0 to 3660"},
	} {
		_, st := r.both(t, "sponsor", newStudy(t, "Acme", nil, tt.change).charter)
		if st.Code() != tt.code || reasonIn(st) != string(tt.reason) {
			t.Errorf("%s: got %v %s, want %v %s", tt.path, st, reasonIn(st), tt.code, tt.reason)
			continue
		}
		v := violation(st)
		if path := "predicate.body." + tt.path; v.GetField() != path || errorInfo(st).GetMetadata()["path"] != path || v.GetReason() != string(tt.reason) || !strings.Contains(v.GetDescription(), tt.says) {
			t.Errorf("got %v, want a violation of %s that says %q", v, path, tt.says)
		}
	}
	good := own("act.version != '' && params.mine > 1")
	r.logged("sponsor", newStudy(t, "Acme", nil, good, func(b *trial.CharterBody) {
		b.RulePack, b.Parameters = rules.Default().Digest, map[string]int64{"mine": 2}
	}).charter)
}

// violation returns the one field violation of a status, or nil.
func violation(st *status.Status) *errdetails.BadRequest_FieldViolation {
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) == 1 {
			return bad.GetFieldViolations()[0]
		}
	}
	return nil
}

// TestRealReads compares what each role reads over both transports.
func TestRealReads(t *testing.T) {
	r := newRealStudy(t)
	client, web := r.grpc(), r.web()
	count := map[string]int{"sponsor": 5, "auditor": 5, "site": 4}
	for _, user := range []string{"sponsor", "auditor", "site", "other", "operator", ""} {
		for _, name := range []string{r.id.String(), "NCT01234567"} {
			resp, err := client.ListStatements(r.asCtx(user), &notaryv1.ListStatementsRequest{Trial: name})
			a := r.do(web, "GET", "/v1/trials/"+name+"/statements", nil, r.as(user)...)
			compare(t, user, resp, err, a, new(notaryv1.ListStatementsResponse))
			if n := len(resp.GetStatements()); n != count[user] {
				t.Errorf("%s: got %d statements, want %d", user, n, count[user])
			}
			trust, err := client.GetTrustMaterial(r.asCtx(user), &notaryv1.GetTrustMaterialRequest{Trial: name})
			a = r.do(web, "GET", "/v1/trials/"+name+"/trust", nil, r.as(user)...)
			compare(t, user, withoutAsOf(trust), err, a, new(notaryv1.GetTrustMaterialResponse))
			if (err == nil) != (count[user] > 0) {
				t.Errorf("%s: got trust %v, %v", user, trust, err)
			}
		}
		found, err := client.FindSubject(r.asCtx(user), &notaryv1.FindSubjectRequest{Sha256: sha("ae.json")})
		a := r.do(web, "GET", "/v1/subjects/"+sha("ae.json")+"/statements", nil, r.as(user)...)
		compare(t, user, found, err, a, new(notaryv1.FindSubjectResponse))
		if n, want := len(found.GetStatements()), max(0, count[user]-3); n != want {
			t.Errorf("%s: found %d statements, want %d", user, n, want)
		}
		for _, rec := range []*notaryv1.Receipt{r.mine, r.elsewhere} {
			got, err := client.GetStatement(r.asCtx(user), &notaryv1.GetStatementRequest{StatementId: rec.GetStatementId()})
			a := r.do(web, "GET", "/v1/statements/"+rec.GetStatementId(), nil, r.as(user)...)
			compare(t, user, got, err, a, new(notaryv1.GetStatementResponse))
			if sees := count[user] == 5 || count[user] == 4 && rec == r.mine; sees != (err == nil) {
				t.Errorf("%s: got %v for a dataset of %v", user, err, rec)
			}
		}
	}
}

// withoutAsOf drops the as-of list, which is signed anew for each answer.
func withoutAsOf(m *notaryv1.GetTrustMaterialResponse) *notaryv1.GetTrustMaterialResponse {
	if m == nil {
		return nil
	}
	out := proto.Clone(m).(*notaryv1.GetTrustMaterialResponse)
	out.Files = nil
	for _, f := range m.GetFiles() {
		if !strings.Contains(f.GetPath(), "as-of") {
			out.Files = append(out.Files, f)
		}
	}
	return out
}

func compare(t *testing.T, user string, got proto.Message, err error, a *answer, into proto.Message) {
	t.Helper()
	if err != nil {
		sameStatus(t, status.Convert(err), a)
		return
	}
	if err := protojson.Unmarshal(a.body, into); err != nil || a.status != 200 {
		t.Fatalf("%s: got %d %s (%v)", user, a.status, a.body, err)
	}
	if trust, ok := into.(*notaryv1.GetTrustMaterialResponse); ok {
		into = withoutAsOf(trust)
	}
	if !proto.Equal(got, into) {
		t.Errorf("%s: got\n%v over gRPC and\n%v over HTTP", user, got, into)
	}
}

// TestRealVerify verifies a receipt offline from the trust folder, and asks the
// notary about it: both agree, also when a file differs.
func TestRealVerify(t *testing.T) {
	r := newRealStudy(t)
	client, web := r.grpc(), r.web()
	got, err := client.GetReceipt(r.asCtx("site"), &notaryv1.GetReceiptRequest{StatementId: r.mine.GetStatementId()})
	must(t, err)
	material, err := client.GetTrustMaterial(r.asCtx("site"), &notaryv1.GetTrustMaterialRequest{Trial: "NCT01234567"})
	must(t, err)
	files := make(map[string][]byte)
	for _, f := range material.GetFiles() {
		files[f.GetPath()] = f.GetContent()
	}
	trust, err := receipt.ParseTrust(files)
	must(t, err)
	if trust.Fingerprint() != material.GetFingerprint() {
		t.Errorf("got fingerprint %s, want %s", material.GetFingerprint(), trust.Fingerprint())
	}
	parsed, err := receipt.Parse([]byte(got.GetReceipt().GetBundle()))
	must(t, err)
	evidence, err := receipt.ParseEvidence([]byte(got.GetReceipt().GetEvidence()))
	must(t, err)
	for content, want := range map[string]bool{"ae.json": true, "altered": false} {
		offline := receipt.Verify(parsed, evidence, trust, []receipt.File{{Name: "ae.json", SHA256: mustID(t, sha(content))}})
		req := &notaryv1.VerifyRequest{
			Trial: r.id.String(), Receipt: got.GetReceipt().GetBundle(), Evidence: got.GetReceipt().GetEvidence(),
			Files: []*notaryv1.FileDigest{{Name: "ae.json", Sha256: sha(content)}},
		}
		resp, err := client.Verify(r.asCtx("auditor"), req)
		must(t, err)
		body, _ := protojson.Marshal(req)
		a := r.do(web, "POST", "/v1/verify", body, append(r.as("auditor"), "Content-Type", "application/json")...)
		compare(t, "auditor", resp, nil, a, new(notaryv1.VerifyResponse))
		if resp.GetVerified() != want || offline.Verified != want || len(resp.GetChecks()) != len(offline.Checks) {
			t.Errorf("%s: got %v, offline %v, want %v", content, resp, offline, want)
		}
		if want && (resp.GetSigner().GetName() != "Name of inv1" || resp.GetStatementId() != r.mine.GetStatementId()) {
			t.Errorf("got signer %v", resp.GetSigner())
		}
	}
	// The evidence may be left out: the notary's own trust folder has the rest.
	bare, err := client.Verify(r.asCtx("auditor"), &notaryv1.VerifyRequest{Trial: r.id.String(), Receipt: got.GetReceipt().GetBundle()})
	if err != nil || !bare.GetVerified() {
		t.Errorf("without evidence: got %v, %v", bare, err)
	}
	for name, bad := range map[string]string{"no JSON": "x", "another document": "{}"} {
		_, err := client.Verify(r.asCtx("site"), &notaryv1.VerifyRequest{Trial: r.id.String(), Receipt: bad})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v, want InvalidArgument", name, err)
		}
	}
}

func mustID(t *testing.T, s string) trial.ID {
	t.Helper()
	id, err := trial.ParseID(s)
	must(t, err)
	return id
}

// TestRealTiles serves the published log.
func TestRealTiles(t *testing.T) {
	r := newRealStudy(t)
	cp, err := r.grpc().GetCheckpoint(context.Background(), &notaryv1.GetCheckpointRequest{})
	must(t, err)
	web := r.web()
	if a := r.do(web, "GET", "/checkpoint", nil); a.status != 200 || !bytes.HasPrefix(a.body, []byte("notary.test\n")) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for _, path := range []string{"/tile/0/000.p/%d", "/tile/entries/000.p/%d"} {
		if a := r.do(web, "GET", fmt.Sprintf(path, cp.GetSize()), nil); a.status != 200 || len(a.body) == 0 {
			t.Errorf("%s: got %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/tile/0/001", "/tile/0/000.p/256", "/tile/0/x", "/tile/a/000", "/tile/64/000", "/tile/0/00", "/tile/00/000", "/tile/0/x000/000", "/tile/entries", "/tile/0/000.p/0"} {
		if a := r.do(web, "GET", path, nil); a.status != 404 {
			t.Errorf("%s: got %d %s, want 404", path, a.status, a.body)
		}
	}
}

// TestRealNoContentInLogs submits real statements full of marks.
func TestRealNoContentInLogs(t *testing.T) {
	r := newRealStudy(t)
	const mark = "Marker7f3a"
	marked := func(p *trial.Predicate) { p.Version = mark; p.Reason = mark; p.Signer.Role = trial.RoleDataManager }
	r.both(t, "sponsor", r.dataset(r.manager, "DE-01", mark+".json", marked))
	for _, change := range []func(*trial.Predicate){
		func(p *trial.Predicate) { p.Site = mark },
		func(p *trial.Predicate) { p.Signer.Name = mark },
		func(p *trial.Predicate) { p.Supersedes = trial.ID{1}; p.Reason = mark },
	} {
		for _, user := range []string{"sponsor", "site", "auditor"} {
			r.both(t, user, r.dataset(r.manager, "DE-01", mark+".json", marked, change))
		}
	}
	for _, entry := range r.logs.All() {
		if text := entry.Message + fmt.Sprint(entry.ContextMap()); strings.Contains(text, mark) || strings.Contains(text, "NCT0") || strings.Contains(text, r.id.String()) {
			t.Errorf("got log line %s", text)
		}
	}
	if r.logs.Len() < 30 {
		t.Errorf("got %d log lines, want more", r.logs.Len())
	}
}
