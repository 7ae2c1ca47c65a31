package main

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// expected is a finding of the example trial: at which event, and where it opens.
type expected struct {
	rule      string
	statement trial.ID
	index     uint64
}

// expect returns the findings that the timeline's file has, at the places that the
// server gave: a lock that lacks a signature is found by the lock that voids it.
func (r *retold) expect() (want []expected) {
	r.t.Helper()
	of := map[int]int{} // the step that is an event itself
	for i, s := range r.steps {
		if s.Act && s.Event >= 0 {
			of[s.Event] = i
		}
	}
	for _, e := range r.timeline.Events {
		for _, rule := range e.Findings {
			opened := of[e.Seq]
			if rule == "R14" {
				opened = of[e.Seq+1]
			}
			want = append(want, expected{rule, r.steps[of[e.Seq]].Statement.ID, r.given[opened].GetLogIndex()})
		}
	}
	if len(r.timeline.Events) != 140 || len(want) != 5 {
		r.t.Fatalf("the file has %d events and %d findings, want 140 and 5", len(r.timeline.Events), len(want))
	}
	slices.SortFunc(want, func(a, b expected) int { return cmp.Compare(a.index, b.index) })
	return want
}

func foundOf(list []rules.Finding) (got []expected) {
	for _, f := range list {
		got = append(got, expected{f.Rule, f.Statement, f.Index})
	}
	return got
}

// TestExampleTrial tells the worked example to a real server over gRPC, at the times
// that its file gives, with a restart in the middle. What is read back from the server,
// folded by whoever holds it, has exactly the findings of the file; each receipt
// verifies offline, as it was given then and as it is given at the end; and who sees a
// part of the trial finds what that part shows. The server's own findings are the same,
// over gRPC and HTTP, for each view and at each position, before and after restarts.
func TestExampleTrial(t *testing.T) {
	r := newRetold(t)
	half := len(r.steps) / 2
	r.tellAsking(0, half)
	r.restart()
	r.tellAsking(half, len(r.steps))
	sponsor := r.sponsor()
	view, receipts := r.read(sponsor)
	marks := r.marks(sponsor)
	size := r.size(sponsor)

	t.Run("the log is what was told", func(t *testing.T) { r.checkLog(t, view, marks, size) })
	t.Run("findings", func(t *testing.T) {
		engine, err := fold("", view, marks, size)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := foundOf(engine.Findings()), r.expect(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", engine.Findings(), want)
		}
	})
	t.Run("receipts", func(t *testing.T) {
		verifier := receipt.NewVerifier(r.trust(sponsor))
		for i, list := range [][]*notaryv1.Receipt{r.given, receipts} {
			for _, got := range list {
				if err := verifyOffline(verifier, got); err != nil {
					t.Errorf("round %d: the receipt at index %d: %v", i, got.GetLogIndex(), err)
				}
			}
		}
	})
	readers := []*reader{{"sponsor", "", view}}
	for _, id := range []string{"701", "704", "710"} {
		part, _ := r.read(r.site(id))
		readers = append(readers, &reader{"site-" + id, id, part})
	}
	t.Run("sites", func(t *testing.T) { r.checkSites(t, readers, marks, size) })
	t.Run("the server's findings", func(t *testing.T) { r.checkServer(t, readers, marks) })
	t.Run("replicas", func(t *testing.T) { r.checkReplicas(t, readers, marks, r.along) })
}

// checkLog demands that the log holds what was told, in its order and at its times,
// time marks, and nothing else.
func (r *retold) checkLog(t *testing.T, view, marks []trial.Logged, size uint64) {
	t.Helper()
	if len(view) != len(r.steps) || uint64(len(view)+len(marks)) != size {
		t.Fatalf("got %d statements and %d time marks in a log of %d entries, want %d statements", len(view), len(marks), size, len(r.steps))
	}
	for i, l := range view {
		s := r.steps[i]
		if l.Statement.ID != s.Statement.ID || l.Index != r.given[i].GetLogIndex() {
			t.Fatalf("entry %d: got %s, want %s, which got index %d", l.Index, l.Statement.ID, s.Statement.ID, r.given[i].GetLogIndex())
		}
		if behind := s.At.Sub(l.Time); behind < 0 || behind >= time.Minute {
			t.Errorf("entry %d: logged at %s, told at %s", l.Index, l.Time, s.At)
		}
	}
	for _, m := range marks {
		body, ok := m.Statement.Predicate.Body.(*trial.TimeMarkBody)
		if !ok || body.Size > m.Index {
			t.Errorf("the time mark at %d: got %+v", m.Index, m.Statement.Predicate.Body)
		}
	}
}

// checkSites compares what the sites see with the whole.
func (r *retold) checkSites(t *testing.T, readers []*reader, marks []trial.Logged, size uint64) {
	t.Helper()
	whole := readers[0].view
	all, err := fold("", whole, marks, size)
	if err != nil {
		t.Fatal(err)
	}
	wholeView, err := all.View("", size, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range readers[1:] {
		id, part := v.site, v.view
		want := slices.DeleteFunc(slices.Clone(whole), func(l trial.Logged) bool {
			p := &l.Statement.Predicate
			return p.Site != "" && p.Site != id && !r.authority(l.Statement)
		})
		if !slices.EqualFunc(part, want, sameEntry) {
			t.Errorf("site %s: got %d statements, want %d", id, len(part), len(want))
		}
		engine, err := fold(id, part, marks, size)
		if err != nil {
			t.Fatal(err)
		}
		withheld := uint64(len(whole) - len(part))
		view, err := engine.View(id, size, withheld)
		if err != nil {
			t.Fatal(err)
		}
		if view.Withheld == 0 || view.Statements+view.Withheld != wholeView.Statements {
			t.Errorf("site %s: got %v, want the rest of %d statements withheld", id, &view, wholeView.Statements)
		}
		if err := view.Agrees(&wholeView); !errors.Is(err, rules.ErrOtherView) {
			t.Errorf("site %s: compared with the whole trial: got %v, want ErrOtherView", id, err)
		}
		// What the site's own statements break is found in both views.
		own := func(list []rules.Finding) []expected {
			return foundOf(slices.DeleteFunc(list, func(f rules.Finding) bool { return f.Site != id }))
		}
		if got, want := own(engine.Findings()), own(all.Findings()); !slices.Equal(got, want) {
			t.Errorf("site %s: its own findings: got %v, in the whole trial %v", id, got, want)
		}
	}
}

// authority tells whether everybody in the trial sees a statement: those that say who
// may sign, and the endorsements of enrolments.
func (r *retold) authority(st *trial.Statement) bool {
	body, ok := st.Predicate.Body.(*trial.EndorsementBody)
	if !ok {
		return st.Predicate.Kind.Authority()
	}
	return slices.ContainsFunc(r.steps, func(s timeline.Step) bool {
		return s.Statement.ID == body.Statement && s.Statement.Predicate.Kind == trial.KindKeyEnrolment
	})
}

func sameEntry(a, b trial.Logged) bool {
	return a.Index == b.Index && a.Statement.ID == b.Statement.ID && a.Time.Equal(b.Time)
}
