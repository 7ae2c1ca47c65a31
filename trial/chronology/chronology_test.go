package chronology

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// told is a story, folded, with its statements.
type told struct {
	*Chronology

	logged map[trial.ID]trial.Logged
}

// story tells a timeline, folded.
func story(t *testing.T, text []byte, dir string) *told {
	t.Helper()
	tl, err := timeline.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := timeline.Write(tl, timeline.Options{Pack: rules.Default().Digest, Read: func(p string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
	}})
	if err != nil {
		t.Fatal(err)
	}
	charter := timeline.Charter(steps)
	program, err := rules.NewPacks().Program(charter.Statement.Predicate.Body.(*trial.CharterBody))
	if err != nil {
		t.Fatal(err)
	}
	folded, err := New(charter, program)
	if err != nil {
		t.Fatal(err)
	}
	c := &told{folded, map[trial.ID]trial.Logged{}}
	err = timeline.Log(steps, c.Engine().State(), func(l trial.Logged, _ int) error {
		fresh, err := c.Apply(l)
		c.logged[l.Statement.ID] = l
		for _, e := range fresh {
			if e.Index != l.Index {
				t.Errorf("applying entry %d: got an event at %d", l.Index, e.Index)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// demo is the worked example beside the repository.
func demo(t *testing.T) *told {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "data", "demo")
	for _, d := range []string{dir, filepath.Join("..", dir)} {
		if text, err := os.ReadFile(filepath.Join(d, "timeline.json")); err == nil {
			return story(t, text, d)
		}
	}
	t.Skip("no ../shared/data/demo/timeline.json here")
	return nil
}

func TestDemo(t *testing.T) {
	c := demo(t)
	opened, lines := 0, map[string]bool{}
	for i, e := range c.Events() {
		if i > 0 && e.Index < c.Events()[i-1].Index {
			t.Fatalf("event %d goes back to entry %d", i, e.Index)
		}
		opened += len(e.Opened)
		lines[line(&e)] = true
	}
	for _, want := range []string{
		`104 2023-03-10 logged/effective 710 "Version effective with Protocol amendment 2.0 (substantial), Consent form 2.0":  [site-coordinator] opened R05`,
		`142 2023-08-14 logged/effective 710 "Unblinding of one participant, an emergency": emergency: treating physician needs allocation [investigator]`,
		`285 2025-02-24 logged/pending  "Database lock 1 (final), 3 members": Waits for biostatistician [data-manager]`,
		`285 2025-02-24 voided/void  "Database lock 1 (final), 3 members": Void while it waited: replaced by a later one [data-manager] opened R14`,
		`286 2025-02-24 effect/effective  "Database lock 1 (final), 3 members": Takes effect, endorsed by data-manager, biostatistician [data-manager]`,
		`268 2024-12-30 logged/effective  "Last visit of the last participant":  [monitor]`,
		`301 2025-03-10 logged/effective  "Randomisation list opened: entry 34 (Randomisation list sealed 1)":  [unblinded-statistician]`,
	} {
		if !lines[want] {
			t.Errorf("no event %s", want)
		}
	}
	if opened != 5 || len(c.Engine().Findings()) != 5 {
		t.Errorf("got %d findings in the events, want 5", opened)
	}
}

func line(e *Event) string {
	var marks []string
	for _, l := range []struct {
		word string
		refs []Ref
	}{{"opened", e.Opened}, {"closed", e.Closed}, {"answered", e.Answered}} {
		for _, r := range l.refs {
			marks = append(marks, l.word+" "+r.Rule)
		}
	}
	slices.Sort(marks)
	return strings.TrimRight(fmt.Sprintf("%d %s %s/%s %s %q: %s [%s] %s", e.Index, e.Time.Format("2006-01-02"), e.Type, e.Status, e.Site, e.Title, e.Detail, e.Signer.Role, strings.Join(marks, ", ")), " ")
}

// In the worked example one dataset changed between the locks, and the unlock of it
// says why.
func TestCompareLocks(t *testing.T) {
	c := demo(t)
	state := c.Engine().State()
	old, next, ok := LocksToCompare(state)
	if !ok || old.EffectIndex >= next.EffectIndex {
		t.Fatalf("got the locks %v and %v, %t", old, next, ok)
	}
	find := func(id trial.ID) (trial.Logged, bool) {
		l, ok := c.logged[id]
		return l, ok
	}
	d := CompareLocks(state, find, old, next)
	if len(d.Members) != 3 || len(d.Unlocks) != 1 || d.Unexplained() != 0 {
		t.Fatalf("got %d members, %d unlocks, %d not explained; want 3, 1 and 0", len(d.Members), len(d.Unlocks), d.Unexplained())
	}
	for _, m := range d.Members {
		want := Unchanged
		if m.Site == "704" {
			want = Changed
		}
		if m.Change != want || (len(m.ExplainedBy) > 0) != (m.Site == "704") {
			t.Errorf("site %s: got %s, explained by %d", m.Site, m.Change, len(m.ExplainedBy))
		}
	}
	// The other way round nothing was opened, and the change is not explained.
	d = CompareLocks(state, find, next, old)
	if d.Unexplained() != 1 || len(d.Absent) != 0 {
		t.Errorf("got %d not explained, want 1", d.Unexplained())
	}
	// What is not at hand is named and not guessed at.
	d = CompareLocks(state, func(trial.ID) (trial.Logged, bool) { return trial.Logged{}, false }, old, next)
	if len(d.Members) != 0 || len(d.Absent) != 6 {
		t.Errorf("got %d members and %d absent, want 0 and 6", len(d.Members), len(d.Absent))
	}
}
