package chronology

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// tell folds the charter and what follows below a log size.
func tell(t *testing.T, program *rules.Program, charter trial.Logged, rest []trial.Logged, size uint64) *History {
	t.Helper()
	h, err := NewHistory(charter, program)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range rest {
		if l.Index >= size {
			break
		}
		if _, err := h.Apply(l); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// TestHistory answers for every earlier position as a fold does that ends there.
func TestHistory(t *testing.T) {
	charter, rest := logged(t)
	program, err := rules.NewPacks().Program(charter.Statement.Predicate.Body.(*trial.CharterBody))
	if err != nil {
		t.Fatal(err)
	}
	all := tell(t, program, charter, rest, 1<<63)
	last := rest[len(rest)-1].Index + 1
	for size := uint64(1); size <= last; size += min(3, max(1, last-size)) {
		then := tell(t, program, charter, rest, size)
		if got, want := all.EventsBelow(size), then.Events(); !slices.EqualFunc(got, want, func(a, b Event) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("at %d: got %d events, want the %d that there were", size, len(got), len(want))
		}
		want := then.Engine().Findings()
		if got := all.FindingsBelow(size); got != len(want) {
			t.Fatalf("at %d: got %d findings, want %d", size, got, len(want))
		}
		for i := range want {
			f := all.Found(i, size)
			if !reflect.DeepEqual(f.Finding, want[i]) {
				t.Errorf("at %d: got the finding\n%+v, want\n%+v", size, f.Finding, want[i])
			}
			if n, ok := all.Number(Ref{Rule: f.Rule, Statement: f.Statement}); !ok || n != i {
				t.Errorf("at %d: got the number %d of finding %d", size, n, i)
			}
		}
		if view, err := then.Engine().View("", size, 0); err != nil || all.StatementsBelow(size) != int(view.Statements) {
			t.Errorf("at %d: got %d statements, want %d (%v)", size, all.StatementsBelow(size), view.Statements, err)
		}
	}
	if all.StatementsBelow(0) != 0 || len(all.EventsBelow(0)) != 0 || all.FindingsBelow(0) != 0 {
		t.Error("got something below the first index")
	}
	if all.Bytes() < int64(len(rest))*1000 {
		t.Errorf("got %d bytes for %d statements", all.Bytes(), len(rest))
	}
	if _, ok := all.Number(Ref{Rule: "R01"}); ok || all.Title(trial.ID{}) != "" {
		t.Error("got a finding or a title of a statement that there is not")
	}
	if all.Title(charter.Statement.ID) == "" {
		t.Error("got no title of the charter")
	}
	before := len(all.Events())
	if _, err := all.Apply(rest[0]); err == nil || len(all.Events()) != before {
		t.Errorf("applying an earlier entry again: got %v and %d events, want an error and %d", err, len(all.Events()), before)
	}
}

// shortStory is a story that is told where the worked example is not at hand.
const shortStory = `{"trial":"T","sites":{"701":"2022-07-22"},
"policy":{"cadence_days":28,"gap_grace_days":7,"backdating_days":{"default":30},"max_future_skew_s":300},
"events":[
{"seq":0,"log_time":"2022-03-14T09:12:00Z","declared_time":"2022-03-14T09:12:00Z","type":"FIRST_PARTICIPANT","actor":"P1","role":"site-coordinator","site":"701","expect":"flag","findings":["R01"]},
{"seq":1,"log_time":"2022-03-15T09:12:00Z","declared_time":"2022-03-15T09:12:00Z","type":"CLOSEOUT","actor":"P2","role":"monitor","site":null,"expect":"accept"}]}`

// logged returns the worked example as a notary logs it, or the short story.
func logged(t *testing.T) (charter trial.Logged, rest []trial.Logged) {
	t.Helper()
	text, dir := []byte(shortStory), "."
	for _, d := range []string{"../../../shared/data/demo", "../../../../shared/data/demo"} {
		if b, err := os.ReadFile(filepath.Join(filepath.FromSlash(d), "timeline.json")); err == nil {
			text, dir = b, filepath.FromSlash(d)
			break
		}
	}
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
	charter = timeline.Charter(steps)
	state, err := trial.NewState(charter)
	if err != nil {
		t.Fatal(err)
	}
	err = timeline.Log(steps, state, func(l trial.Logged, _ int) error {
		rest = append(rest, l)
		return state.Apply(l, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	return charter, rest
}
