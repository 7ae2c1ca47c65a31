package rpc

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestPages walks a list page by page while the log grows: the list stays that
// of its first page.
func TestPages(t *testing.T) {
	w := newWorld(t)
	client := w.grpc()
	for i := range 5 {
		w.service.put(mustStatement(t, fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: string(rune('a' + i))}))
	}
	for _, size := range []int32{1, 2, 3, 100} {
		var got []uint64
		req := &notaryv1.ListStatementsRequest{Trial: "NCT00000001", PageSize: size}
		for first := true; first || req.GetPageToken() != ""; first = false {
			resp, err := client.ListStatements(w.asCtx("site"), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range resp.GetStatements() {
				got = append(got, s.GetLogIndex())
			}
			if n := len(resp.GetStatements()); n > int(size) || n == 0 {
				t.Errorf("got a page of %d, want 1 to %d", n, size)
			}
			req.PageToken = resp.GetNextPageToken()
			if req.GetPageToken() != "" {
				w.service.put(mustStatement(t, fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: req.GetPageToken()}))
			}
		}
		if !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) || size == 1 && len(got) != 9 {
			t.Errorf("page size %d: got indexes %v", size, got)
		}
	}
}

func mustStatement(tb testing.TB, p fakePayload) (*trial.Statement, *trial.Envelope) {
	tb.Helper()
	st, err := fakeStatement(p.bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return st, p.envelope()
}

// TestPageTokenBinds refuses a token with another query or caller, and after the
// caller's grants changed.
func TestPageTokenBinds(t *testing.T) {
	w := newWorld(t)
	client := w.grpc()
	first := &notaryv1.ListStatementsRequest{Trial: w.trialA.String(), PageSize: 1, From: mustTime("2026-01-01T00:00:00Z")}
	resp, err := client.ListStatements(w.asCtx("sponsor"), first)
	if err != nil || resp.GetNextPageToken() == "" {
		t.Fatalf("got %v (%v), want a page token", resp, err)
	}
	token := resp.GetNextPageToken()
	change := func(f func(*notaryv1.ListStatementsRequest)) *notaryv1.ListStatementsRequest {
		r := &notaryv1.ListStatementsRequest{Trial: w.trialA.String(), PageSize: 2, From: mustTime("2026-01-01T00:00:00Z"), PageToken: token}
		f(r)
		return r
	}
	tests := map[string]struct {
		user string
		req  *notaryv1.ListStatementsRequest
		want string
	}{
		"the same query":       {"sponsor", change(func(*notaryv1.ListStatementsRequest) {}), ""},
		"the trial by number":  {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.Trial = "NCT00000001" }), ""},
		"another site":         {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.Site = "DE-01" }), "BAD_PAGE_TOKEN"},
		"another kind":         {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.Kind = "dataset" }), "BAD_PAGE_TOKEN"},
		"another time":         {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.From = mustTime("2026-01-01T00:00:01Z") }), "BAD_PAGE_TOKEN"},
		"no time":              {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.From = nil }), "BAD_PAGE_TOKEN"},
		"until instead of it":  {"sponsor", change(func(r *notaryv1.ListStatementsRequest) { r.From, r.Until = nil, r.GetFrom() }), "BAD_PAGE_TOKEN"},
		"another caller":       {"auditor", change(func(*notaryv1.ListStatementsRequest) {}), "BAD_PAGE_TOKEN"},
		"a caller of the site": {"site", change(func(*notaryv1.ListStatementsRequest) {}), "BAD_PAGE_TOKEN"},
	}
	for name, tt := range tests {
		if _, err := client.ListStatements(w.asCtx(tt.user), tt.req); reasonIn(status.Convert(err)) != tt.want {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if _, err := client.FindSubject(w.asCtx("sponsor"), &notaryv1.FindSubjectRequest{Sha256: fileDigest, PageToken: token}); reasonIn(status.Convert(err)) != "BAD_PAGE_TOKEN" {
		t.Errorf("another call: got %v", err)
	}
	if err := w.srv.cfg.Users.GrantTrial(t.Context(), "sponsor", w.trialB); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ListStatements(w.asCtx("sponsor"), change(func(*notaryv1.ListStatementsRequest) {})); reasonIn(status.Convert(err)) != "BAD_PAGE_TOKEN" {
		t.Errorf("other grants: got %v", err)
	}
}

func TestPageTokenForm(t *testing.T) {
	key, bound := newSecret(), bind("rpc", &notary.Query{}, "user")
	token := page{size: 7, after: 3}.encode(key, bound)
	if p, further, err := parsePage(key, bound, token); err != nil || !further || p.size != 7 || p.after != 3 {
		t.Fatalf("got %v %v %v", p, further, err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1
		if _, _, err := parsePage(key, bound, base64.RawURLEncoding.EncodeToString(bad)); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
	}
	for _, bad := range []string{token + "A", token[1:], " " + token, strings.Repeat("A", len(token)), token[:20] + "\n" + token[21:]} {
		if _, _, err := parsePage(key, bound, bad); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
	if _, _, err := parsePage(newSecret(), bound, token); err == nil {
		t.Error("another key: accepted")
	}
}

// TestBind keeps fields apart that only a separator would.
func TestBind(t *testing.T) {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	id := trial.ID{1}
	queries := []notary.Query{
		{}, {Site: "ab"}, {Kind: "ab"}, {Site: "a", Kind: "b"}, {Digest: "ab"}, {From: at}, {Until: at}, {Charter: &id},
		{Visible: &notary.Visible{Grants: []notary.VisibleGrant{{Charter: id, Sites: []string{"a", "b"}}}}},
		{Visible: &notary.Visible{Grants: []notary.VisibleGrant{{Charter: id, Sites: []string{"ab"}}}}},
		{Visible: &notary.Visible{Grants: []notary.VisibleGrant{{Charter: id, AllSites: true}}}},
	}
	seen := make(map[string]int)
	for i := range queries {
		for _, user := range []string{"x", "y"} {
			b := string(bind("rpc", &queries[i], user))
			if j, ok := seen[b]; ok {
				t.Errorf("queries %d and %d are bound alike", i, j)
			}
			seen[b] = i
		}
	}
	one := notary.Visible{Grants: []notary.VisibleGrant{{Charter: id, Sites: []string{"a", "b"}}, {Charter: trial.ID{2}, AllSites: true}}}
	two := notary.Visible{Grants: []notary.VisibleGrant{{Charter: trial.ID{2}, AllSites: true}, {Charter: id, Sites: []string{"b", "a"}}}}
	if string(bind("rpc", &notary.Query{Visible: &one}, "x")) != string(bind("rpc", &notary.Query{Visible: &two}, "x")) {
		t.Error("the order of grants matters")
	}
}
