package rules

import (
	"errors"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// view returns the view of a story's engine.
func (y *story) view(site string, withheld uint64) View {
	y.Helper()
	v, err := y.engine.View(site, y.next, withheld)
	if err != nil {
		y.Fatal(err)
	}
	return v
}

func TestView(t *testing.T) {
	y := tell(t)
	y.running()
	v := y.view("", 0)
	if v.Charter != y.charter.Statement.ID || v.Pack != Default().Digest || v.Size != y.next || v.Statements != y.next-10 || v.Findings != 0 {
		t.Errorf("got %+v", v)
	}
	if _, err := y.engine.View("", y.next-1, 0); err == nil {
		t.Error("a view of less than was folded")
	}
	late := y.write("edc", "701", trial.KindDataset, extract("AE"), declared(begin.Add(-20*day)))
	y.feed("late data", late)
	opened := y.view("", 0)
	if opened.Findings != 1 || opened.Open != 1 || opened.Digest == v.Digest || opened.Folded == v.Folded {
		t.Errorf("got %+v", opened)
	}
	y.add("answer", "dm", "", trial.KindFindingResponse, &trial.FindingResponseBody{Rule: "R13", Statement: late.ID, Cause: "holidays"},
		subject("statement", trial.SHA256(late.ID)))
	answered := y.view("", 0)
	if answered.Findings != 1 || answered.Open != 0 || answered.Digest == opened.Digest {
		t.Errorf("got %+v", answered)
	}
	digest, err := DigestFindings(y.engine.Findings())
	if err != nil || digest != answered.Digest {
		t.Errorf("got %x (%v), want %x", digest, err, answered.Digest)
	}
}

func TestAgrees(t *testing.T) {
	y := tell(t)
	y.running()
	v := y.view("701", 3)
	if err := v.Agrees(&v); err != nil {
		t.Errorf("with itself: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*View)
		want   error
	}{
		"another trial":    {func(v *View) { v.Charter[0]++ }, ErrOtherView},
		"another pack":     {func(v *View) { v.Pack = "" }, ErrOtherView},
		"the whole trial":  {func(v *View) { v.Site = "" }, ErrOtherView},
		"a longer log":     {func(v *View) { v.Size++ }, ErrOtherView},
		"fewer withheld":   {func(v *View) { v.Withheld-- }, ErrOtherView},
		"other statements": {func(v *View) { v.Folded[0]++ }, ErrStatementsDiffer},
		"other findings":   {func(v *View) { v.Digest[0]++ }, ErrFindingsDiffer},
	} {
		o := v
		c.change(&o)
		if err := v.Agrees(&o); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// A site's view does not take a lock's member that it may not see for one that is
// not notarized, and still knows which of those that it sees is no data or old.
func TestWithheldMembers(t *testing.T) {
	y := tell(t)
	p, _, _ := y.running()
	old := y.data("data 701", "701", "AE", 1)
	y.data("data 701 b", "701", "AE", 2)
	theirs := y.data("data 704", "704", "AE", 3)
	never := y.write("edc", "704", trial.KindDataset, extract("DM"))
	y.names[never.ID.String()] = "data that nobody logged"
	y.lock("lock 1", trial.DataScope{}, never, theirs, p, old)
	const missing = "R17 major on lock 1 by stat's signature: Members of this lock that are not notarized as data: "
	y.want(missing + "2; that are not the current version: 1. The first: data that nobody logged.")

	e, err := NewEngine(y.charter, y.program)
	if err != nil {
		t.Fatal(err)
	}
	e.Withhold()
	for _, l := range y.log {
		if l.Statement.Predicate.Site == "704" {
			continue
		}
		if _, err := e.Apply(l); err != nil {
			t.Fatal(err)
		}
	}
	y.engine = e
	y.want(missing + "1; that are not the current version: 1. The first: protocol 1.")
}
