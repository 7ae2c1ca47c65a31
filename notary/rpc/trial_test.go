package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// folds tells which calls fold a trial.
func folds(method string) bool {
	return slices.Contains([]string{"GetTrial", "ListFindings", "GetChronology", "WatchTrial"}, method)
}

// trialCases are the calls that fold a trial and answer once.
func trialCases(name, in, query string, edit func(proto.Message), want map[string]codes.Code) []rpcCase {
	get := &notaryv1.GetTrialRequest{Trial: in}
	findings := &notaryv1.ListFindingsRequest{Trial: in}
	chronology := &notaryv1.GetChronologyRequest{Trial: in}
	cases := []rpcCase{
		{
			name: "GetTrial " + name, path: "/v1/trials/" + in + query, answer: &notaryv1.GetTrialResponse{}, body: get,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetTrial(ctx, get)
			},
		},
		{
			name: "ListFindings " + name, path: "/v1/trials/" + in + "/findings" + query, answer: &notaryv1.ListFindingsResponse{}, body: findings,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.ListFindings(ctx, findings)
			},
		},
		{
			name: "GetChronology " + name, path: "/v1/trials/" + in + "/chronology" + query, answer: &notaryv1.GetChronologyResponse{}, body: chronology,
			call: func(ctx context.Context, c notaryv1.NotaryServiceClient) (proto.Message, error) {
				return c.GetChronology(ctx, chronology)
			},
		},
	}
	for i := range cases {
		if edit != nil {
			edit(cases[i].body)
		}
		cases[i].body, cases[i].method, cases[i].want, cases[i].reason = nil, "GET", want, reasonNotFound
	}
	return cases
}

// TestTrialParity runs the calls that fold a trial as every caller over both
// transports.
func TestTrialParity(t *testing.T) {
	r := newRealStudy(t)
	r.realUser(r.db, "ungranted")
	nobody := strings.Repeat("0", 64)
	members := readersOf("sponsor", "site", "auditor")
	bad := map[string]codes.Code{"*": badArg, "other": notFound, "": noAuth, "operator": denied, "ungranted": denied}
	size := r.srv.cfg.Service.LogSize()
	at := func(n uint64) func(proto.Message) {
		return func(m proto.Message) {
			m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName("log_size"), protoUint(n))
		}
	}
	cases := slices.Concat(
		trialCases("now", r.id.String(), "", nil, members),
		trialCases("by registry number", "NCT01234567", "", nil, members),
		trialCases("before", r.id.String(), fmt.Sprintf("?logSize=%d", size-1), at(size-1), members),
		trialCases("of another trial", nobody, "", nil, readersOf()),
		trialCases("beyond the log", r.id.String(), fmt.Sprintf("?logSize=%d", size+1), at(size+1), bad),
		trialCases("far beyond the log", r.id.String(), "?logSize=18446744073709551615", at(1<<64-1), bad),
		trialCases("before the charter", r.id.String(), "?logSize=1", at(1), bad),
	)
	client, web := r.grpc(), r.web()
	for _, c := range cases {
		for _, user := range []string{"", "sponsor", "site", "auditor", "other", "operator", "ungranted"} {
			want, named := c.want[user]
			if !named {
				want = c.want["*"]
			}
			t.Run(c.name+"/"+user, func(t *testing.T) { r.parity(t, c, user, want, client, web) })
		}
	}
}

// TestTrialViews gives each caller what its statements come to, and says what it
// withholds.
func TestTrialViews(t *testing.T) {
	r := newRealStudy(t)
	r.realUser(r.db, "both", store.Grant{Role: store.RoleSite, Trial: r.id, Sites: []string{"DE-02"}},
		store.Grant{Role: store.RoleSite, Trial: r.id, Sites: []string{"DE-01"}})
	c := r.grpc()
	for _, want := range []struct {
		user                 string
		whole                bool
		sites                []string
		statements, withheld uint64
		findings             []string // the sites of R01
	}{
		{"sponsor", true, nil, 5, 0, []string{"DE-01", "DE-02"}},
		{"auditor", true, nil, 5, 0, []string{"DE-01", "DE-02"}},
		{"site", false, []string{"DE-01"}, 4, 1, []string{"DE-01"}},
		{"both", false, []string{"DE-01", "DE-02"}, 5, 0, []string{"DE-01", "DE-02"}},
	} {
		ctx := r.ctx(want.user)
		got, err := c.GetTrial(ctx, &notaryv1.GetTrialRequest{Trial: r.id.String()})
		must(t, err)
		v := got.GetView()
		if v.GetWhole() != want.whole || !slices.Equal(v.GetSites(), want.sites) || v.GetStatements() != want.statements || v.GetWithheld() != want.withheld {
			t.Errorf("%s: got the view %v, want %+v", want.user, v, want)
		}
		found, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: r.id.String(), Rule: "R01"})
		must(t, err)
		if !proto.Equal(found.GetView(), v) {
			t.Errorf("%s: got the view %v with the findings, want %v", want.user, found.GetView(), v)
		}
		var sites []string
		for _, f := range found.GetFindings() {
			if f.GetRule() != "R01" || f.GetStatus() != "open" || f.GetWhy() == "" || f.GetStatementIndex() != f.GetLogIndex() || f.GetKind() != "dataset" {
				t.Errorf("%s: got the finding %v", want.user, f)
			}
			sites = append(sites, f.GetSite())
		}
		if !slices.Equal(sites, want.findings) || counted(got.GetFindings(), "major").GetOpen() != uint64(len(sites)) {
			t.Errorf("%s: got findings at %v and counts %v, want %v", want.user, sites, got.GetFindings(), want.findings)
		}
		told, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: r.id.String()})
		must(t, err)
		if len(told.GetEvents()) != int(want.statements) || told.GetEvents()[0].GetKind() != "charter" {
			t.Errorf("%s: got the events %v", want.user, told.GetEvents())
		}
		for _, e := range told.GetEvents() {
			if !want.whole && want.withheld > 0 && e.GetSite() == "DE-02" {
				t.Errorf("%s: got the event %v of another site", want.user, e)
			}
		}
		if text := got.String() + told.String(); strings.Contains(text, "Name of") {
			t.Errorf("%s: got a person's name in %s", want.user, text)
		}
	}
}

func counted(all []*notaryv1.FindingCount, severity string) *notaryv1.FindingCount {
	for _, c := range all {
		if c.GetSeverity() == severity {
			return c
		}
	}
	return nil
}

// TestTrialPages walks findings and events page by page while the trial goes on,
// and refuses tokens of another query, caller or position.
func TestTrialPages(t *testing.T) {
	r := newRealStudy(t)
	c := r.grpc()
	ctx, in := r.ctx("sponsor"), r.id.String()
	var walked []*notaryv1.TrialEvent
	first, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in, PageSize: 2})
	must(t, err)
	for page := first; ; {
		walked = append(walked, page.GetEvents()...)
		if page.GetView().GetLogSize() != first.GetView().GetLogSize() {
			t.Errorf("got a page at %d, want %d", page.GetView().GetLogSize(), first.GetView().GetLogSize())
		}
		if page.GetNextPageToken() == "" {
			break
		}
		r.logged("sponsor", r.dataset(r.manager, "DE-02", fmt.Sprintf("more-%d.json", len(walked))))
		page, err = c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in, PageSize: 2, PageToken: page.GetNextPageToken()})
		must(t, err)
	}
	if len(walked) != 5 {
		t.Errorf("got %d events in all pages, want the 5 of the first page's position", len(walked))
	}
	atOnce, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in, LogSize: first.GetView().GetLogSize()})
	must(t, err)
	for i, e := range atOnce.GetEvents() {
		if i >= len(walked) || !proto.Equal(e, walked[i]) {
			t.Errorf("event %d: got %v at once, want what the pages have", i, e)
		}
	}
	findings, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, PageSize: 1, Rule: "R01"})
	must(t, err)
	token := findings.GetNextPageToken()
	if token == "" {
		t.Fatal("got no token after the first of several findings")
	}
	for name, call := range map[string]func() error{
		"another call": func() error {
			_, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in, PageSize: 1, PageToken: token})
			return err
		},
		"another rule": func() error {
			_, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, PageToken: token, Rule: "R02"})
			return err
		},
		"another position": func() error {
			_, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, PageToken: token, Rule: "R01", LogSize: first.GetView().GetLogSize()})
			return err
		},
		"another caller": func() error {
			_, err := c.ListFindings(r.ctx("auditor"), &notaryv1.ListFindingsRequest{Trial: in, PageToken: token, Rule: "R01"})
			return err
		},
		"nonsense": func() error {
			_, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, PageToken: "nonsense", Rule: "R01"})
			return err
		},
	} {
		if err := call(); reasonIn(status.Convert(err)) != string(reasonBadPageToken) {
			t.Errorf("%s: got %v, want %s", name, err, reasonBadPageToken)
		}
	}
}

// TestTrialFilters selects, and refuses what can select nothing.
func TestTrialFilters(t *testing.T) {
	r := newRealStudy(t)
	c := r.grpc()
	ctx, in := r.ctx("auditor"), r.id.String()
	for name, want := range map[string]struct {
		req *notaryv1.ListFindingsRequest
		n   int
	}{
		"site":     {&notaryv1.ListFindingsRequest{Site: "DE-01"}, 2},
		"no site":  {&notaryv1.ListFindingsRequest{Site: "DE-99"}, 0},
		"rule":     {&notaryv1.ListFindingsRequest{Rule: "R01"}, 2},
		"severity": {&notaryv1.ListFindingsRequest{Severity: "critical"}, 0},
		"open":     {&notaryv1.ListFindingsRequest{Status: "open", Severity: "major"}, 2},
		"answered": {&notaryv1.ListFindingsRequest{Status: "answered"}, 0},
		"index":    {&notaryv1.ListFindingsRequest{FromIndex: r.elsewhere.GetLogIndex()}, 2},
	} {
		want.req.Trial = in
		got, err := c.ListFindings(ctx, want.req)
		must(t, err)
		if len(got.GetFindings()) != want.n {
			t.Errorf("%s: got %d findings, want %d", name, len(got.GetFindings()), want.n)
		}
	}
	all, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in})
	must(t, err)
	last := all.GetEvents()[len(all.GetEvents())-1]
	for name, want := range map[string]struct {
		req *notaryv1.GetChronologyRequest
		n   int
	}{
		"site":  {&notaryv1.GetChronologyRequest{Site: "DE-01"}, 1},
		"kind":  {&notaryv1.GetChronologyRequest{Kind: "dataset"}, 2},
		"from":  {&notaryv1.GetChronologyRequest{From: last.GetLogTime()}, 5},
		"until": {&notaryv1.GetChronologyRequest{Until: last.GetLogTime()}, 0},
	} {
		want.req.Trial = in
		got, err := c.GetChronology(ctx, want.req)
		must(t, err)
		if len(got.GetEvents()) != want.n {
			t.Errorf("%s: got %d events, want %d", name, len(got.GetEvents()), want.n)
		}
	}
	web := r.web()
	for _, query := range []string{
		"/findings?severity=grave", "/findings?status=gone", "/findings?pageSize=1001", "/findings?pageSize=-1", "/findings?pageSize=2147483647",
		"/findings?fromIndex=-1", "/findings?fromIndex=01", "/findings?unknown=1", "/chronology?kind=nothing", "/chronology?from=yesterday",
		"/chronology?pageSize=99999", "?logSize=one", "?logSize=1&logSize=2", "/watch?fromIndex=99999", "/watch?fromIndex=x", "/watch?logSize=1",
	} {
		if a := r.do(web, "GET", "/v1/trials/"+in+query, nil, r.as("auditor")...); a.status != 400 {
			t.Errorf("%s: got %d %s, want 400", query, a.status, a.body)
		}
	}
}

// TestFindingAnswered follows a finding from its opening to the answer, at each
// position.
func TestFindingAnswered(t *testing.T) {
	r := newRealStudy(t)
	qa, _ := r.enrol("qa", trial.RoleQA, trial.OrganisationSponsor)
	qa.body.Kinds = append(qa.body.Kinds, trial.KindFindingResponse)
	var err error
	qa.body.Proof, err = trial.SignPossession(qa.key, r.id, qa.body)
	must(t, err)
	enrolment := r.sign(r.sponsor, trial.KindKeyEnrolment, trial.RoleSponsor, "", "", qa.body)
	r.logged("sponsor", enrolment)
	about, err := trial.ParseID(r.mine.GetStatementId())
	must(t, err)
	before := r.srv.cfg.Service.LogSize()
	answer := r.logged("sponsor", r.sign(qa.key, trial.KindFindingResponse, trial.RoleQA, "DE-01", "",
		&trial.FindingResponseBody{Rule: "R01", Statement: about, Cause: "the protocol was late"},
		func(p *trial.Predicate) {
			p.Signer.Name, p.Signer.Organisation = qa.body.Name, qa.body.Organisation
			p.Declared = nil
		}))
	c := r.grpc()
	ctx, in := r.ctx("auditor"), r.id.String()
	now, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, Status: "answered"})
	must(t, err)
	if f := now.GetFindings(); len(f) != 1 || f[0].GetResponse().GetStatementId() != answer.GetStatementId() || f[0].GetStatementId() != r.mine.GetStatementId() {
		t.Errorf("got the answered findings %v, want that on %s", f, r.mine.GetStatementId())
	}
	then, err := c.ListFindings(ctx, &notaryv1.ListFindingsRequest{Trial: in, Status: "open", Rule: "R01", LogSize: before})
	must(t, err)
	if f := then.GetFindings(); len(f) != 2 || f[0].GetResponse() != nil {
		t.Errorf("got the open findings %v before the answer, want both", f)
	}
	for size, want := range map[uint64]uint64{before: 0, 0: 1} {
		got, err := c.GetTrial(ctx, &notaryv1.GetTrialRequest{Trial: in, LogSize: size})
		must(t, err)
		if n := counted(got.GetFindings(), "major").GetAnswered(); n != want {
			t.Errorf("at %d: got %d answered findings, want %d", size, n, want)
		}
	}
	told, err := c.GetChronology(ctx, &notaryv1.GetChronologyRequest{Trial: in, Kind: "finding-response"})
	must(t, err)
	if e := told.GetEvents(); len(e) != 1 || len(e[0].GetAnswered()) != 1 || e[0].GetAnswered()[0].GetRule() != "R01" {
		t.Errorf("got the events %v, want one that answers R01", told.GetEvents())
	}
}
