package timeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// demo reads the worked example beside the repository and returns its folder.
func demo(t *testing.T) (*Timeline, string) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "demo")
	for _, d := range []string{dir, filepath.Join("..", dir)} {
		text, err := os.ReadFile(filepath.Join(d, "timeline.json"))
		if err != nil {
			continue
		}
		tl, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return tl, d
	}
	t.Skip("no ../shared/data/demo/timeline.json here")
	return nil, ""
}

func TestDemo(t *testing.T) {
	tl, dir := demo(t)
	b := &trial.CharterBody{RulePack: rules.Default().Digest}
	program, err := rules.NewPacks().Program(b)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Write(tl, Options{Pack: b.RulePack, Read: func(p string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(tl, steps, program)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Unexpected {
		t.Errorf("unexpected: %s on event %d, opened by %d: %s", f.Rule, f.Event, f.By, f.Why)
	}
	for _, m := range r.Missing {
		t.Errorf("missing: %s on event %d", m.Rule, m.Event)
	}
	var got []string
	for _, f := range r.Found {
		got = append(got, f.Rule)
		by := f.Event
		if f.Rule == "R14" {
			by = 130
		}
		if f.By != by {
			t.Errorf("%s on event %d opened by %d, want %d", f.Rule, f.Event, f.By, by)
		}
	}
	if s := strings.Join(got, " "); s != "R05 R12 R13 R14 R10" {
		t.Errorf("got %s", s)
	}
}

// small is a story of two events.
const small = `{"trial":"T","sites":{"701":"2022-07-22"},
"policy":{"cadence_days":28,"gap_grace_days":7,"backdating_days":{"default":30},"max_future_skew_s":300},
"events":[
{"seq":0,"log_time":"2022-03-14T09:12:00Z","declared_time":"2022-03-14T09:12:00Z","type":"FIRST_PARTICIPANT","actor":"P1","role":"site-coordinator","site":"701","expect":"flag","findings":["R01"]},
{"seq":1,"log_time":"2022-03-15T09:12:00Z","declared_time":"2022-03-15T09:12:00Z","type":"CLOSEOUT","actor":"P2","role":"monitor","site":null,"expect":"accept"}]}`

func TestRun(t *testing.T) {
	tl, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	program, err := rules.Compile(rules.Default(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Write(tl, Options{Pack: rules.Default().Digest})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(tl, steps, program)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Unexpected {
		got = append(got, f.Rule)
	}
	// The first participant has no registration, consent form and seal either, and
	// the closeout comes without a protocol too.
	if s := strings.Join(got, " "); s != "R02 R06 R07 R01" || len(r.Missing) != 0 {
		t.Errorf("unexpected: got %s; missing: %v", s, r.Missing)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"no JSON":            {`{"trial"`, `{"trial`, "line 1"},
		"an unknown field":   {`"trial":"T"`, `"trail":"T"`, "trail"},
		"a field twice":      {`"trial":"T"`, `"trial":"T","trial":"U"`, "duplicate"},
		"no sites":           {`{"701":"2022-07-22"}`, `{}`, "sites"},
		"a wrong number":     {`"seq":1`, `"seq":2`, "seq: got 2"},
		"an unknown type":    {`CLOSEOUT`, `PARTY`, `unknown type "PARTY"`},
		"an unknown site":    {`"site":"701"`, `"site":"702"`, `unknown site "702"`},
		"an unknown verdict": {`"expect":"flag"`, `"expect":"maybe"`, "expect"},
		"time backwards":     {`"log_time":"2022-03-15`, `"log_time":"2022-03-13`, "before"},
		"no actor":           {`"actor":"P1"`, `"actor":""`, "actor"},
		"no object":          {`FIRST_PARTICIPANT`, `DATASET`, "object is missing"},
		"another signer":     {`"expect":"flag"`, `"expect":"flag","signers":[{"person":"P9","role":"qa"}]`, "signers"},
	} {
		if _, err := Parse([]byte(strings.Replace(small, c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

func FuzzTimeline(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"events":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		tl, err := Parse(text)
		if err != nil || len(tl.Events) > 20 {
			return
		}
		steps, err := Write(tl, Options{})
		if err == nil && len(steps) < len(tl.Events) {
			t.Fatalf("got %d steps for %d events", len(steps), len(tl.Events))
		}
	})
}
