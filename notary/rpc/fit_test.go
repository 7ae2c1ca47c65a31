package rpc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
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
