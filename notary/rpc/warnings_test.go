package rpc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestParticipantWarnings submits files whose names look like a participant's
// id: they are logged, the caller is told where, and the log line never says
// what.
func TestParticipantWarnings(t *testing.T) {
	r := newRealStudy(t)
	const name = "subject-1015-visit.csv"
	got := r.logged("site", r.dataset(r.inv1, "DE-01", name))
	if want := []string{"subject[0].name"}; !slices.Equal(got.GetWarnings(), want) {
		t.Errorf("got warnings %q, want %q", got.GetWarnings(), want)
	}
	if plain := r.logged("site", r.dataset(r.inv1, "DE-01", "vs.json")); len(plain.GetWarnings()) != 0 {
		t.Errorf("got warnings %q for a plain name, want none", plain.GetWarnings())
	}
	told := false
	for _, line := range r.logs.All() {
		told = told || line.Message == "a statement may name a participant"
		if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "1015") {
			t.Errorf("a log line names the participant: %s", text)
		}
	}
	if !told {
		t.Error("no log line tells the operator")
	}
}
