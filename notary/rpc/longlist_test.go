package rpc

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// about is a dataset of many files, the first of which every one has.
func (r *realStudy) about(name string, files int) *trial.Envelope {
	r.t.Helper()
	st, err := trial.ParseStatement(r.dataset(r.inv1, "DE-01", "shared.json").Payload)
	must(r.t, err)
	for i := range files - 1 {
		file := fmt.Sprintf("%s-%04d.json", name, i)
		st.Subjects = append(st.Subjects, trial.Subject{Name: file, Digests: trial.SHA256(sha256.Sum256([]byte(file)))})
	}
	st.ID, st.Payload = trial.ID{}, nil
	payload, err := trial.MarshalStatement(st)
	must(r.t, err)
	env, err := trial.Sign(r.inv1.key, payload)
	must(r.t, err)
	return env
}

// walked are the pages of a list.
type walked struct {
	indexes    []uint64
	unreadable []string
	pages      int
}

func (l *walked) add(t *testing.T, statements []*notaryv1.Statement, limit int) {
	t.Helper()
	l.pages++
	if len(statements) == 0 || len(statements) > limit {
		t.Fatalf("got a page of %d statements, want 1 to %d", len(statements), limit)
	}
	for _, s := range statements {
		l.indexes = append(l.indexes, s.GetLogIndex())
		if s.GetUnreadable() {
			l.unreadable = append(l.unreadable, s.GetStatementId())
		}
		if s.GetUnreadable() != (len(s.GetSubjects()) == 0) {
			t.Errorf("statement %s: got %d subjects, unreadable: %t", s.GetStatementId(), len(s.GetSubjects()), s.GetUnreadable())
		}
	}
}

// walk reads a trial's list page by page over both transports.
func (r *realStudy) walk(limit int32) (l walked) {
	r.t.Helper()
	client, web := r.grpc(), r.web()
	for token := ""; ; {
		req := &notaryv1.ListStatementsRequest{Trial: r.id.String(), PageSize: limit, PageToken: token}
		resp, err := client.ListStatements(r.asCtx("sponsor"), req)
		must(r.t, err)
		l.add(r.t, resp.GetStatements(), int(limit))
		path := fmt.Sprintf("/v1/trials/%s/statements?pageSize=%d", r.id, limit)
		if token != "" {
			path += "&pageToken=" + token
		}
		compare(r.t, "sponsor", resp, nil, r.do(web, "GET", path, nil, r.as("sponsor")...), new(notaryv1.ListStatementsResponse))
		if token = resp.GetNextPageToken(); token == "" {
			return l
		}
	}
}

// TestLongList: a page is no larger than a message that a client of gRPC takes, which
// this one was told nothing about, and no statement is left out.
func TestLongList(t *testing.T) {
	r := newRealStudy(t)
	const count = 12
	for i := range count {
		env := r.about(fmt.Sprint("a name that is neither short nor very long ", i), 3000)
		_, err := r.grpc().Submit(r.asCtx("site"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(env)})
		must(t, err)
	}
	for _, limit := range []int32{1, 1000} {
		l := r.walk(limit)
		if len(l.indexes) != count+5 || !slices.IsSorted(l.indexes) || len(slices.Compact(l.indexes)) != count+5 || l.pages < 2 {
			t.Errorf("page size %d: got indexes %v on %d pages, want %d", limit, l.indexes, l.pages, count+5)
		}
	}
	all, largest := 0, 0
	for token := ""; ; {
		resp, err := r.grpc().FindSubject(r.asCtx("site"), &notaryv1.FindSubjectRequest{Sha256: sha("shared.json"), PageSize: 1000, PageToken: token})
		must(t, err)
		all, largest = all+len(resp.GetStatements()), max(largest, proto.Size(resp))
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if all != count || largest < 2<<20 || largest > 4<<20 {
		t.Errorf("by a file: got %d statements on pages of up to %d bytes, want %d on pages of some 3 MiB", all, largest, count)
	}
}

// TestUnreadableInAList: a damaged statement keeps no other one out of a list, and is
// named. What is made of its content is refused, and once it is restored all is as
// before.
func TestUnreadableInAList(t *testing.T) {
	r := newRealStudy(t)
	large := r.logged("site", r.about("large", 300))
	last := r.logged("site", r.dataset(r.inv1, "DE-01", "last.json"))
	small := r.mine.GetStatementId()

	name := r.db.Path() + "-payloads"
	content, err := os.ReadFile(name)
	must(t, err)
	at := bytes.Index(content, []byte("large-0123.json"))
	content[at] ^= 1
	must(t, os.WriteFile(name, content, 0o600))
	r.foreign("UPDATE statements SET payload = CAST(replace(CAST(payload AS TEXT), 'ae.json', 'be.json') AS BLOB) WHERE lower(hex(id)) = '" + small + "'")

	for _, limit := range []int32{1, 2, 7, 1000} {
		l := r.walk(limit)
		if want := []string{small, large.GetStatementId()}; len(l.indexes) != 7 || !slices.Equal(l.unreadable, want) {
			t.Errorf("page size %d: got indexes %v and %q as unreadable, want 7 and %q", limit, l.indexes, l.unreadable, want)
		}
	}
	if n := r.logs.FilterMessage("a statement cannot be read").Len(); n == 0 {
		t.Error("the operator is told nothing")
	}
	client := r.grpc()
	_, receiptErr := client.GetReceipt(r.asCtx("site"), &notaryv1.GetReceiptRequest{StatementId: large.GetStatementId()})
	_, statementErr := client.GetStatement(r.asCtx("site"), &notaryv1.GetStatementRequest{StatementId: small})
	_, findErr := client.FindSubject(r.asCtx("site"), &notaryv1.FindSubjectRequest{Sha256: sha("large-0007.json")})
	_, trialErr := client.GetTrial(r.asCtx("sponsor"), &notaryv1.GetTrialRequest{Trial: r.id.String()})
	if trialErr == nil {
		t.Error("the trial's state was computed without the damaged statements")
	}
	_, theirs := client.GetStatement(r.asCtx("other"), &notaryv1.GetStatementRequest{StatementId: small})
	_, stranger := client.GetReceipt(r.asCtx(""), &notaryv1.GetReceiptRequest{StatementId: small})
	if status.Code(theirs) != codes.NotFound || status.Code(stranger) != codes.Unauthenticated {
		t.Errorf("who does not see the trial: got %v and %v, want NOT_FOUND and UNAUTHENTICATED", theirs, stranger)
	}
	for what, err := range map[string]error{"its receipt": receiptErr, "the small one itself": statementErr, "the statements about its file": findErr} {
		if reasonIn(status.Convert(err)) != "STATEMENT_UNREADABLE" || !strings.Contains(err.Error(), small) && !strings.Contains(err.Error(), large.GetStatementId()) {
			t.Errorf("%s: got %v, want STATEMENT_UNREADABLE with the statement's id", what, err)
		}
	}
	if _, err := client.GetReceipt(r.asCtx("site"), &notaryv1.GetReceiptRequest{StatementId: last.GetStatementId()}); err != nil {
		t.Errorf("the receipt of one in order: %v", err)
	}
	r.logged("site", r.about("next", 300))

	content, err = os.ReadFile(name) // with what was added
	must(t, err)
	content[at] ^= 1
	must(t, os.WriteFile(name, content, 0o600))
	r.foreign("UPDATE statements SET payload = CAST(replace(CAST(payload AS TEXT), 'be.json', 'ae.json') AS BLOB) WHERE lower(hex(id)) = '" + small + "'")
	if l := r.walk(1000); len(l.indexes) != 8 || len(l.unreadable) > 0 {
		t.Errorf("after it was restored: got indexes %v and %q as unreadable, want 8 and none", l.indexes, l.unreadable)
	}
	if _, err := client.GetTrial(r.asCtx("sponsor"), &notaryv1.GetTrialRequest{Trial: r.id.String()}); err != nil {
		t.Errorf("after it was restored: the trial: %v", err)
	}
	a := r.do(r.web(), "GET", "/v1/subjects/"+sha("large-0007.json")+"/statements", nil, r.as("site")...)
	found := new(notaryv1.FindSubjectResponse)
	if err := protojson.Unmarshal(a.body, found); err != nil || len(found.GetStatements()) != 1 {
		t.Errorf("after it was restored: got %s, want one statement", a.body)
	}
}

// foreign changes the database as another program would.
func (r *realStudy) foreign(query string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", r.db.Path())
	must(r.t, err)
	_, err = db.Exec(query)
	must(r.t, err)
	must(r.t, db.Close())
}
