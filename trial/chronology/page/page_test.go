package page

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

var update = flag.Bool("update", false, "write testdata anew")

// demo is the worked example beside the repository, folded.
func demo(t *testing.T) *chronology.Report {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "demo")
	text, err := os.ReadFile(filepath.Join(dir, "timeline.json"))
	if err != nil {
		dir = filepath.Join("..", dir)
		if text, err = os.ReadFile(filepath.Join(dir, "timeline.json")); err != nil {
			t.Skip("no ../shared/data/demo/timeline.json here")
		}
	}
	tl, err := timeline.Parse(text)
	must(t, err)
	steps, err := timeline.Write(tl, timeline.Options{Pack: rules.Default().Digest, Read: func(p string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
	}})
	must(t, err)
	charter := timeline.Charter(steps)
	program, err := rules.NewPacks().Program(charter.Statement.Predicate.Body.(*trial.CharterBody))
	must(t, err)
	c, err := chronology.New(charter, program)
	must(t, err)
	must(t, timeline.Log(steps, c.Engine().State(), func(l trial.Logged, _ int) error {
		_, err := c.Apply(l)
		return err
	}))
	return c.Report()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func id(n int) trial.ID { return trial.ID{byte(n >> 8), byte(n), 1} }

var begin = time.Date(2024, 3, 1, 9, 0, 0, 0, time.UTC)

// made is an event of a made-up trial.
func made(n int, day float64, kind trial.Kind, site, title string) chronology.Event {
	at := begin.Add(time.Duration(day * float64(24*time.Hour)))
	return chronology.Event{
		Index: uint64(n), Time: at, Type: trial.EventLogged, Status: trial.StatusEffective, Statement: id(n), Logged: uint64(n), Kind: kind,
		Site: site, Title: title, Declared: trial.NewInstant(at, "Europe/Berlin"),
		Signer: trial.Signer{Name: "Dr. Ada Müller", Role: "data-manager", Organisation: "Example & Sons"},
	}
}

// madeUp is a small trial with everything that a page can show.
func madeUp() *chronology.Report {
	const hostile = `<script>alert("1")</script><img src=x onerror=alert(2)> "quoted" 'single' & </title></svg>`
	r := &chronology.Report{
		Trial: id(1), Numbers: []string{"NCT04573309"}, Sponsor: "Example & Sons", Position: 12, Time: begin.AddDate(0, 3, 0),
		Sites:    []trial.Site{{ID: "701", Name: "Charité Berlin"}, {ID: "704", Name: `"><script>site</script>`}},
		RulePack: strings.Repeat("5a", 32), Statements: 11, Origin: "log2026.notary.example", Size: 40, Root: [32]byte{1, 2, 3},
		Withheld: new(uint64(3)), Notes: []string{"A note with <b>markup</b>."},
		Events: []chronology.Event{
			made(1, 0, trial.KindCharter, "", "Charter of Example & Sons"),
			made(2, 0, trial.KindProtocol, "", "Protocol 1.0"),
			made(3, 10, trial.KindFirstParticipant, "701", "First participant"),
			made(4, 20, trial.KindDataset, "701", hostile),
			made(5, 20, trial.KindDataset, "704", "Dataset AE (routine)"),
			made(6, 30, trial.KindDatabaseLock, "", "Database lock L1 (final), 2 members"),
			made(7, 44, trial.KindDatabaseUnlock, "", "Unlock of entry 6"),
			made(8, 45, trial.KindDataset, "704", "Dataset AE (lock)"),
			made(9, 60, trial.KindDatabaseLock, "", "Database lock L2 (final), 2 members"),
			made(10, 61, trial.KindUnblinding, "", "Unblinding of the trial"),
			made(11, 90, trial.KindFindingResponse, "", "Answer to a finding: R10 on entry 8"),
			made(12, 90, "an-unknown-kind", "", "an-unknown-kind"),
		},
		Findings: []rules.Finding{
			{
				Rule: "R10", Title: "Data respect the lock", Clauses: []string{"21 CFR 11.10(e)"}, Severity: trial.SeverityMajor, Statement: id(8),
				Site: "704", Index: 8, Time: begin.AddDate(0, 0, 45), Why: "Data were sent while they were locked: " + hostile,
				Response: &rules.Response{Statement: id(11), Index: 11},
			},
			{Rule: "OWN-RULE-1", Title: hostile, Severity: trial.SeverityCritical, Own: true, Statement: id(10), Index: 10, Why: "Too early."},
		},
		Windows: []chronology.Window{
			{Statement: id(6), Label: "L1", Type: trial.LockFinal, Begin: 6, End: 9, From: begin.AddDate(0, 0, 30), To: begin.AddDate(0, 0, 60), Ended: true, Members: 2},
			{
				Statement: id(7), Unlock: true, Label: "L1", Type: trial.LockFinal, Begin: 7, End: 9, From: begin.AddDate(0, 0, 44),
				To: begin.AddDate(0, 0, 60), Ended: true, Reason: hostile, Scope: trial.DataScope{Sites: []string{"704"}, Datasets: []string{"AE"}},
			},
			{Statement: id(9), Label: "L2", Type: trial.LockFinal, Begin: 9, From: begin.AddDate(0, 0, 60), Members: 2},
		},
	}
	r.Events[7].Opened = []chronology.Ref{{Rule: "R10", Statement: id(8), Severity: trial.SeverityMajor}}
	r.Events[9].Opened = []chronology.Ref{{Rule: "OWN-RULE-1", Statement: id(10), Severity: trial.SeverityCritical}}
	r.Events[10].Answered = r.Events[7].Opened
	return r
}

func written(t *testing.T, r *chronology.Report) string {
	t.Helper()
	var b bytes.Buffer
	must(t, Write(&b, r))
	return b.String()
}

func TestGolden(t *testing.T) {
	got := written(t, madeUp())
	path := filepath.Join("testdata", "page.html")
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("the page is another than %s; look at it and run go test -update", path)
	}
}

// Nothing that a statement says becomes markup, and nothing is fetched or run.
func TestEscapes(t *testing.T) {
	got := written(t, madeUp())
	for _, bad := range []string{"<script", "<img", "<b>markup", "onerror=alert(2)>", "javascript:", "http://", "https://", " style=", "@import", "url(\""} {
		if strings.Contains(strings.ReplaceAll(got, `xmlns="http://www.w3.org/2000/svg"`, ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{
		"&lt;script&gt;alert(", "Example &amp; Sons", `content="default-src &#39;none&#39;; style-src &#39;sha256-`, "3: their effect is missing here",
		"Dr. Ada Müller", `id="f1"`, `href="#f2"`, "OW…", "the sponsor's own", "answered at entry <a href=\"#e11\">11</a>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Every link leads somewhere, and no place has a name twice.
func TestLinks(t *testing.T) {
	for name, r := range map[string]*chronology.Report{"made up": madeUp(), "crowded": crowded(300)} {
		got := written(t, r)
		ids := map[string]bool{}
		for _, part := range strings.Split(got, ` id="`)[1:] {
			at, _, _ := strings.Cut(part, `"`)
			if ids[at] {
				t.Errorf("%s: the place %s is there twice", name, at)
			}
			ids[at] = true
		}
		for _, part := range strings.Split(got, `href="#`)[1:] {
			if at, _, _ := strings.Cut(part, `"`); !ids[at] {
				t.Errorf("%s: a link leads to %q, which is not there", name, at)
			}
		}
	}
}

// crowded is a trial of n events in a few days, each of them with a finding.
func crowded(n int) *chronology.Report {
	r := madeUp()
	r.Findings, r.Windows, r.Events = nil, nil, nil
	for i := range n {
		e := made(i, 10*float64(i)/float64(n), trial.KindDataset, []string{"", "701", "704"}[i%3], fmt.Sprintf("Dataset %d", i))
		e.Opened = []chronology.Ref{{Rule: "R12", Statement: id(i), Severity: trial.SeverityMajor}}
		r.Findings = append(r.Findings, rules.Finding{Rule: "R12", Severity: trial.SeverityMajor, Statement: id(i), Index: uint64(i), Time: e.Time, Why: "Late."})
		r.Events = append(r.Events, e)
	}
	return r
}

// The drawing does not grow with the number of events, and every event stands in
// the table.
func TestCrowded(t *testing.T) {
	const n = 5000
	r := crowded(n)
	got := written(t, r)
	if out := os.Getenv("PAGE_OUT"); out != "" {
		must(t, os.WriteFile(out, []byte(got), 0o600))
	}
	if rows := strings.Count(got, `<tr id="e`); rows != n {
		t.Errorf("got %d rows, want %d", rows, n)
	}
	_, drawing, _ := strings.Cut(got, "<figure>")
	drawing, _, _ = strings.Cut(drawing, "</figure>")
	if len(drawing) > 500_000 {
		t.Errorf("the drawing has %d bytes", len(drawing))
	}
	counted := 0
	f := newView(r).Figure
	for _, l := range f.Lanes {
		for _, m := range l.Marks {
			counted += max(m.Count, 1)
		}
	}
	if counted != n || !f.Crowded {
		t.Errorf("the marks stand for %d events, want %d", counted, n)
	}
	flags := 0
	for _, l := range f.Lanes {
		for _, g := range l.Flags {
			var more int
			if _, err := fmt.Sscanf(g.Text, "+%d", &more); err != nil {
				more = 1
			}
			flags += more
		}
	}
	if flags != n {
		t.Errorf("the flags stand for %d findings, want %d", flags, n)
	}
}

func TestEmpty(t *testing.T) {
	r := madeUp()
	r.Events, r.Findings, r.Windows, r.Withheld = r.Events[:1], nil, nil, nil
	r.Events[0].Time = time.Time{}
	got := written(t, r)
	if strings.Contains(got, "<figure>") || !strings.Contains(got, "No finding") || !strings.Contains(got, "not known") {
		t.Error("a trial without times has a drawing, or its page does not say what is missing")
	}
}

func TestDemo(t *testing.T) {
	r := demo(t)
	got := written(t, r)
	if n := strings.Count(got, `<tr id="f`); n != 5 {
		t.Errorf("got %d findings, want 5", n)
	}
	if n := len(newView(r).Figure.Bands); n != 3 {
		t.Errorf("got %d bands, want two locks and an unlock", n)
	}
	if out := os.Getenv("PAGE_OUT"); out != "" {
		must(t, os.WriteFile(out, []byte(got), 0o600))
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		length time.Duration
		first  string
		most   int
	}{
		{0, "08:59", 4}, {time.Hour, "09:00", 14}, {20 * time.Hour, "09:00", 14}, {10 * oneDay, "2 Mar", 12}, {60 * oneDay, "4 Mar", 14},
		{300 * oneDay, "Mar 2024", 14}, {3 * 365 * oneDay, "Apr 2024", 14}, {25 * 365 * oneDay, "2024", 14}, {90 * 365 * oneDay, "2030", 14},
	} {
		a := newAxis(begin, begin.Add(tt.length), 100, 1000)
		got := a.ticks()
		if len(got) < 2 || len(got) > tt.most {
			t.Errorf("%s: got %d ticks, want 2 to %d: %v", tt.length, len(got), tt.most, got)
			continue
		}
		if got[0].Label != tt.first && tt.length > 0 {
			t.Errorf("%s: got the first tick %q, want %q", tt.length, got[0].Label, tt.first)
		}
	}
}
