package rpc

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestGetTrialFits keeps an answer below what a client of gRPC takes, with the newest
// of each list, and names what was cut.
func TestGetTrialFits(t *testing.T) {
	m := &notaryv1.GetTrialResponse{Truncated: []string{"series"}, Heads: []*notaryv1.DocumentHead{{Document: "only"}}}
	sites := make([]string, 2000)
	for i := range sites {
		sites[i] = fmt.Sprintf("site-%d", i)
	}
	for i := range 1000 {
		m.Enrolments = append(m.Enrolments, &notaryv1.TrialEnrolment{Holder: fmt.Sprint(i), Sites: sites})
	}
	for i := range 10_000 {
		m.Series = append(m.Series, &notaryv1.DataSeries{Site: fmt.Sprint(i), Dataset: strings.Repeat("d", 256)})
	}
	fit(m, maxPageBytes)
	if n := proto.Size(m); n > maxPageBytes || n < maxPageBytes/4 {
		t.Errorf("got %d bytes, want at most %d and not much less", n, maxPageBytes)
	}
	if want := []string{"series", "enrolments"}; !slices.Equal(m.GetTruncated(), want) {
		t.Errorf("got the truncated lists %v, want %v", m.GetTruncated(), want)
	}
	if len(m.GetHeads()) != 1 || len(m.GetSeries()) == 0 || len(m.GetEnrolments()) == 0 {
		t.Fatalf("got %d heads, %d series and %d enrolments", len(m.GetHeads()), len(m.GetSeries()), len(m.GetEnrolments()))
	}
	if last := m.GetEnrolments()[len(m.GetEnrolments())-1]; last.GetHolder() != "999" {
		t.Errorf("got %s as the last enrolment, want 999", last.GetHolder())
	}
	before := proto.Clone(m)
	if fit(m, maxPageBytes); !proto.Equal(m, before) {
		t.Error("what fits was cut")
	}
	huge := &notaryv1.GetTrialResponse{Enrolments: []*notaryv1.TrialEnrolment{{Sites: sites}}}
	if fit(huge, 100); len(huge.GetEnrolments()) != 0 || !slices.Equal(huge.GetTruncated(), []string{"enrolments"}) {
		t.Errorf("got %v, want no enrolment where one is too large", huge)
	}
}

// TestSitesFit never holds more sites than the answer has: a baseline's versions are
// effective at all of them.
func TestSitesFit(t *testing.T) {
	versions := make([]trial.EffectiveVersion, 5000)
	for i := range versions {
		versions[i].Document = fmt.Sprintf("document-%d", i)
	}
	sites := func(n int) iter.Seq[trial.SiteState] {
		return func(yield func(trial.SiteState) bool) {
			for i := range n {
				if !yield(trial.SiteState{Site: trial.Site{ID: fmt.Sprint(i)}, Effective: versions}) {
					return
				}
			}
		}
	}
	var cut int
	got := siteMessages(sites(200), maxPageBytes, func() { cut++ })
	if size := proto.Size(&notaryv1.GetTrialResponse{Sites: got}); size > maxPageBytes+maxPageBytes/10 || len(got) < 2 || cut != 1 {
		t.Errorf("got %d sites of %d bytes, cut %d times", len(got), size, cut)
	}
	if last := got[len(got)-1]; last.GetSite() != "199" || len(last.GetEffective()) != len(versions) {
		t.Errorf("got %s as the last site, with %d versions", last.GetSite(), len(last.GetEffective()))
	}
	if got := siteMessages(sites(2), maxPageBytes, func() { cut++ }); len(got) != 2 || cut != 1 {
		t.Errorf("got %d of 2 sites, cut %d times", len(got), cut)
	}
}
