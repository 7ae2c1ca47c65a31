package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// reader is somebody with a view of the trial, as it is at the end.
type reader struct {
	user, site string // no site: the whole trial
	view       []trial.Logged
}

// below returns what is below a size of the log.
func below(all []trial.Logged, size uint64) []trial.Logged {
	n, _ := slices.BinarySearchFunc(all, size, func(l trial.Logged, size uint64) int {
		if l.Index < size {
			return -1
		}
		return 1
	})
	return all[:n]
}

// replica folds a view by itself, a part at a time.
type replica struct {
	reader *reader
	engine *rules.Engine
	rest   []trial.Logged
}

// replicaOf begins with the charter; what is below a size of the log is to follow.
func replicaOf(v *reader, marks []trial.Logged, size uint64) (*replica, error) {
	engine, err := fold(v.site, v.view, marks, 0)
	if err != nil {
		return nil, err
	}
	return &replica{v, engine, logOrder(below(v.view, size)[1:], below(marks, size), v.view[0].Index)}, nil
}

// feed folds the next entries, at most so many.
func (r *replica) feed(n int) error {
	n = min(n, len(r.rest))
	for _, l := range r.rest[:n] {
		if _, err := r.engine.Apply(l); err != nil {
			return fmt.Errorf("entry %d: %w", l.Index, err)
		}
	}
	r.rest = r.rest[n:]
	return nil
}

// asked is what the server said of a view, at the position that it names.
type asked struct {
	user     string
	state    *notaryv1.GetTrialResponse
	findings []*notaryv1.Finding
}

// testing.TB and rapid.T have these.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// ask asks the server for state and findings at a size of the log; 0 is the newest.
func (r *retold) ask(t failer, user string, size uint64) *asked {
	t.Helper()
	by := r.callers[user]
	state, err := by.api.GetTrial(by.ctx(), &notaryv1.GetTrialRequest{Trial: r.charter.String(), LogSize: size})
	if err != nil {
		t.Fatalf("the trial as %s sees it at %d: %v", user, size, err)
	}
	a := &asked{user: user, state: state}
	req := &notaryv1.ListFindingsRequest{Trial: r.charter.String(), LogSize: state.GetView().GetLogSize(), PageSize: 2}
	for {
		resp, err := by.api.ListFindings(by.ctx(), req)
		if err != nil {
			t.Fatalf("its findings as %s sees them at %d: %v", user, size, err)
		}
		if !proto.Equal(resp.GetView(), state.GetView()) {
			t.Fatalf("got findings of the view %v, and the state of %v", resp.GetView(), state.GetView())
		}
		a.findings = append(a.findings, resp.GetFindings()...)
		next := resp.GetNextPageToken()
		if next == "" {
			return a
		}
		req.PageToken = next
	}
}

// overHTTP asks again over HTTP.
func (r *retold) overHTTP(t failer, user string, size uint64) *asked {
	t.Helper()
	state, findings := new(notaryv1.GetTrialResponse), new(notaryv1.ListFindingsResponse)
	for path, into := range map[string]proto.Message{"": state, "/findings": findings} {
		by := r.callers[user]
		req, err := http.NewRequestWithContext(by.t.Context(), http.MethodGet, fmt.Sprintf("%s/v1/trials/%s%s?logSize=%d", by.base, r.charter, path, size), nil)
		if err != nil {
			t.Fatalf("%v", err)
		}
		req.Header.Set("Authorization", by.auth)
		resp, err := by.web.Do(req)
		if err != nil {
			t.Fatalf("%v", err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			err = protojson.Unmarshal(body, into)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s at %d over HTTP: got %s %s, %v", user, size, resp.Status, body, err)
		}
	}
	return &asked{user, state, findings.GetFindings()}
}

func (a *asked) size() uint64 { return a.state.GetView().GetLogSize() }

// same tells whether the server said the same.
func (a *asked) same(b *asked) bool {
	return proto.Equal(a.state, b.state) &&
		slices.EqualFunc(a.findings, b.findings, func(a, b *notaryv1.Finding) bool { return proto.Equal(a, b) })
}

// differs says how what the server said differs from what a replica holds, whose
// reader sees so many statements less than there are.
func (a *asked) differs(of *replica, withheld uint64) error {
	said := a.state.GetView()
	view, err := of.engine.View(of.reader.site, a.size(), withheld)
	if err != nil {
		return err
	}
	sites := []string{of.reader.site}
	if of.reader.site == "" {
		sites = nil
	}
	switch {
	case said.GetStatements() != view.Statements || said.GetWithheld() != view.Withheld:
		return fmt.Errorf("the server says %d statements and %d withheld, want %d and %d", said.GetStatements(), said.GetWithheld(), view.Statements, view.Withheld)
	case said.GetWhole() != (sites == nil) || !slices.Equal(said.GetSites(), sites):
		return fmt.Errorf("the server says a view of %v, want %v", said, sites)
	case said.GetRulePack() != view.Pack || said.GetRulesUnknown() != "":
		return fmt.Errorf("the server says the pack %q (%s), want %q", said.GetRulePack(), said.GetRulesUnknown(), view.Pack)
	case a.state.GetStatementsDigest() != hex.EncodeToString(view.Folded[:]):
		return fmt.Errorf("the server folded %s, want %x", a.state.GetStatementsDigest(), view.Folded)
	case a.state.GetFindingsDigest() != hex.EncodeToString(view.Digest[:]):
		return fmt.Errorf("the server found %s, want %x", a.state.GetFindingsDigest(), view.Digest)
	case !slices.EqualFunc(a.findings, of.engine.Findings(), sameFinding):
		return fmt.Errorf("the server found %v, want %v", a.findings, of.engine.Findings())
	case len(a.state.GetPending()) != len(of.engine.State().Pending()) || len(a.state.GetLocks()) != len(of.engine.State().Locks()):
		return fmt.Errorf("the server says %d acts pending and %d locks, want %d and %d",
			len(a.state.GetPending()), len(a.state.GetLocks()), len(of.engine.State().Pending()), len(of.engine.State().Locks()))
	}
	return nil
}

func sameFinding(a *notaryv1.Finding, b rules.Finding) bool {
	return a.GetRule() == b.Rule && a.GetTitle() == b.Title && slices.Equal(a.GetClauses(), b.Clauses) && a.GetSeverity() == string(b.Severity) &&
		a.GetStatementId() == b.Statement.String() && a.GetSite() == b.Site && a.GetLogIndex() == b.Index && a.GetLogTime().AsTime().Equal(b.Time) &&
		a.GetWhy() == b.Why && (a.GetStatus() == "open") == b.Open()
}

// checkServer holds the findings that the server gives, to each reader and over both
// transports, against those of the file and of whoever folds the same statements.
func (r *retold) checkServer(t *testing.T, readers []*reader, marks []trial.Logged) {
	t.Helper()
	for _, v := range readers {
		a := r.ask(t, v.user, 0)
		if web := r.overHTTP(t, v.user, 0); !a.same(web) {
			t.Errorf("%s: got %v over HTTP and %v over gRPC", v.user, web, a)
		}
		own, err := replicaOf(v, marks, a.size())
		if err == nil {
			err = own.feed(len(own.rest))
		}
		if err == nil {
			err = a.differs(own, uint64(len(readers[0].view)-len(v.view)))
		}
		if err != nil {
			t.Errorf("%s: %v", v.user, err)
		}
		if v.site != "" {
			continue
		}
		var got []expected
		for _, f := range a.findings {
			id, err := trial.ParseID(f.GetStatementId())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, expected{f.GetRule(), id, f.GetLogIndex()})
		}
		if want := r.expect(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// checkReplicas demands that whoever folds the same view agrees at each position: the
// server as it went along, the server asked later and after a restart, in any order,
// and replicas that were fed in parts of any size.
func (r *retold) checkReplicas(t *testing.T, readers []*reader, marks []trial.Logged, along []*asked) {
	t.Helper()
	whole := readers[0].view
	of := map[string]*reader{}
	for _, v := range readers {
		of[v.user] = v
	}
	if len(along) < 30 {
		t.Errorf("the server was asked %d times on the way, want more", len(along))
	}
	r.restart()
	for _, then := range slices.Backward(along) {
		if now := r.ask(t, then.user, then.size()); !now.same(then) {
			t.Errorf("%s at %d: got %v as it went along, and later %v", then.user, then.size(), then, now)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var now *asked
		if rapid.IntRange(0, 4).Draw(t, "as it went along") > 0 {
			now = along[rapid.IntRange(0, len(along)-1).Draw(t, "which")]
		} else {
			size := rapid.Uint64Range(whole[0].Index+1, whole[len(whole)-1].Index+1).Draw(t, "size")
			now = r.ask(t, readers[rapid.IntRange(0, len(readers)-1).Draw(t, "reader")].user, size)
		}
		v := of[now.user]
		own, err := replicaOf(v, marks, now.size())
		for err == nil && len(own.rest) > 0 {
			err = own.feed(rapid.IntRange(1, 60).Draw(t, "part"))
			// Reading in between changes nothing.
			_, _, _ = own.engine.Findings(), own.engine.State().Overview(), own.engine.State().Pending()
		}
		if err == nil {
			err = now.differs(own, uint64(len(below(whole, now.size()))-len(below(v.view, now.size()))))
		}
		if err != nil {
			t.Fatalf("%s at %d: %v", now.user, now.size(), err)
		}
	})
}
