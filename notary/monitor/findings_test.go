package monitor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// TestExampleTrialIsFollowed tells the worked example to a real notary and lets the
// monitor find the same as the notary at every look, deadlines and all.
func TestExampleTrialIsFollowed(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "demo", "timeline.json")
	for _, dir := range []string{path, filepath.Join("..", path)} {
		if _, err := os.Stat(dir); err == nil {
			path = dir
			break
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skip("no ../shared/data/demo/timeline.json here")
	}
	story, err := timeline.Parse(text)
	must(t, err)
	steps, err := timeline.Write(story, timeline.Options{Pack: rules.Default().Digest, Read: func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(name)))
	}})
	must(t, err)
	w := newWorld(t)
	w.user("every", store.Grant{Role: store.RoleSponsor, Organisation: charterOf(t, steps).SponsorOrganisation})
	c := w.dial("every", filepath.Join(t.TempDir(), "state"))
	w.clock.Set(steps[0].At)
	_, w.trust, err = c.CreateTrial(t.Context(), steps[0].Envelope)
	must(t, err)
	m := w.monitor(t.TempDir(), "every")
	for i, s := range steps[1:] {
		w.clock.Set(s.At)
		_, err := c.Submit(t.Context(), w.trust, s.Envelope)
		if _, refused := asRefused(err); refused && s.Act && story.Events[s.Event].Expect == "reject" {
			continue
		}
		must(t, err)
		if i%40 == 39 {
			wantSame(t, look1(t, m))
		}
	}
	w.clock.Add(24 * time.Hour)
	r := look1(t, m)
	wantSame(t, r)
	list, ok := m.Findings()
	if !ok || len(list) != 5 {
		t.Fatalf("got %d findings, want 5: %+v", len(list), list)
	}
	if r.Statements < len(steps)-5 {
		t.Errorf("got %d statements, want nearly %d", r.Statements, len(steps))
	}
}

func wantSame(t *testing.T, r *Report) {
	t.Helper()
	wantAlarms(t, r)
	if r.Compared == nil || !r.Compared.Agrees {
		t.Fatalf("got %+v, want the notary's findings", r.Compared)
	}
}

// TestCharterWithoutAPack agrees with the notary that there is none.
func TestCharterWithoutAPack(t *testing.T) {
	w := newWorld(t)
	mia := w.openBy("")
	w.dataset(mia, "701")
	wantSame(t, look1(t, w.monitor(t.TempDir(), "sponsor")))
}

// TestFindingsThatDiffer compares lists of findings that differ in one thing.
func TestFindingsThatDiffer(t *testing.T) {
	closed := uint64(9)
	own := []rules.Finding{
		{Rule: "R01", Severity: "major", Statement: [32]byte{1}, Index: 3, Time: start, Why: "because"},
		{Rule: "R14", Severity: "major", Statement: [32]byte{2}, Index: 5, Time: start, Why: "late", Closed: &closed},
	}
	same := func() []line { return []line{ownLine(&own[0]), ownLine(&own[1])} }
	if detail := compareLines(same(), own); detail != "" {
		t.Errorf("got %s, want no difference", detail)
	}
	for name, change := range map[string]func(l []line) []line{
		"one less":          func(l []line) []line { return l[:1] },
		"none":              func([]line) []line { return nil },
		"one more":          func(l []line) []line { return append(l, line{rule: "R02", statement: "x"}) },
		"twice":             func(l []line) []line { return append(l, l[0]) },
		"another index":     func(l []line) []line { l[0].index = 4; return l },
		"another severity":  func(l []line) []line { l[0].severity = "minor"; return l },
		"other words":       func(l []line) []line { l[0].why = "x"; return l },
		"an answer":         func(l []line) []line { l[0].response = "x"; return l },
		"another time":      func(l []line) []line { l[0].at++; return l },
		"not closed":        func(l []line) []line { l[1].isClosed, l[1].closed = false, 0; return l },
		"another statement": func(l []line) []line { l[1].statement = "x"; return l },
	} {
		if detail := compareLines(change(same()), own); detail == "" {
			t.Errorf("%s: got no difference", name)
		}
	}
}

func asRefused(err error) (*client.Refused, bool) {
	return errors.AsType[*client.Refused](err)
}

func charterOf(t *testing.T, steps []timeline.Step) *trial.CharterBody {
	t.Helper()
	b, ok := steps[0].Statement.Predicate.Body.(*trial.CharterBody)
	if !ok {
		t.Fatal("the first step is no charter")
	}
	return b
}
