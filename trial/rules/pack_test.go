package rules

import (
	"errors"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

func TestDefaultPack(t *testing.T) {
	p := Default()
	if len(p.Rules) != 18 {
		t.Fatalf("got %d rules, want 18", len(p.Rules))
	}
	if _, err := Compile(p, nil, nil); err != nil {
		t.Fatal(err)
	}
	if p.Digest != Digest(DefaultText()) {
		t.Error("the digest is not that of the bytes")
	}
}

// pack returns the text of a pack with one rule.
func packText(change ...string) string {
	text := `pack: test
version: "1"
title: A test
rules:
  - id: T1
    title: Sites are named
    severity: minor
    trigger:
      events: [logged]
      kinds: [dataset]
    expression: act.site != ""
    message: "No site in {{act.id}}."
`
	return strings.NewReplacer(change...).Replace(text)
}

func TestParse(t *testing.T) {
	p, err := Parse([]byte(packText()))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Rules[0]
	if p.Name != "test" || r.ID != "T1" || r.Trigger.Kinds[0] != trial.KindDataset || r.Expression.Line != 11 {
		t.Errorf("got %+v", p)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		text string
		line int
		says string
	}{
		"no YAML":              {"pack: [", 0, "not YAML"},
		"nothing":              {"", 0, "documents"},
		"two documents":        {packText() + "---\npack: x\n", 0, "documents"},
		"not UTF-8":            {"pack: \xff", 0, "UTF-8"},
		"too long":             {strings.Repeat("#", MaxPack+1), 0, "at most"},
		"a list":               {"- a\n", 1, "mapping"},
		"an unknown field":     {packText("    severity", "    colour: red\n    severity"), 7, `unknown field "colour"`},
		"a field twice":        {packText("    severity: minor", "    severity: minor\n    severity: major"), 0, "severity"},
		"a missing field":      {packText("    severity: minor\n", ""), 5, `"severity" is missing`},
		"an unknown severity":  {packText("minor", "grave"), 7, "unknown severity"},
		"an unknown event":     {packText("[logged]", "[started]"), 9, "unknown event"},
		"an unknown kind":      {packText("[dataset]", "[data]"), 10, "unknown kind"},
		"time marks":           {packText("[dataset]", "[time-mark]"), 10, "unknown kind"},
		"a kind twice":         {packText("[dataset]", "[dataset, dataset]"), 10, "twice"},
		"no kinds":             {packText("[dataset]", "[]"), 10, "0 elements"},
		"kinds and except":     {packText("kinds: [dataset]", "kinds: [dataset]\n      except: [sap]"), 9, "except"},
		"a number":             {packText(`"1"`, "1"), 2, "quotes"},
		"an anchor":            {packText("id: T1", "id: &a T1"), 5, "anchors"},
		"an alias":             {packText("id: T1", "id: &a T1", "title: Sites are named", "title: *a"), 5, "anchors"},
		"a tag":                {packText("id: T1", "id: !!str T1"), 5, "tags"},
		"a bad id":             {packText("id: T1", `id: "T 1"`), 5, "want an id"},
		"an empty expression":  {packText(`act.site != ""`, `" "`), 11, "empty"},
		"a control character":  {packText(`act.site != ""`, `"a\u0007"`), 11, "control character"},
		"a long line":          {packText("Sites are named", strings.Repeat("x", maxLine+1)), 6, "one line"},
		"a long expression":    {packText(`act.site != ""`, strings.Repeat("x", maxText+1)), 11, "more than"},
		"two rules of one id":  {packText() + strings.SplitAfterN(packText(), "rules:\n", 2)[1], 13, "another rule"},
		"closed by a deadline": {packText("    severity", "    closedBy: overdue\n    severity"), 7, "unknown event"},
	}
	for name, c := range cases {
		_, err := Parse([]byte(c.text))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || c.line != 0 && e.Line != c.line {
			t.Errorf("%s: got %q, want line %d and %q", name, err, c.line, c.says)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	list := "facts.membersStale"
	cases := map[string]struct {
		expression string
		line, col  int
		says       string
	}{
		"no CEL":                {"act.site ==", 1, 12, "Syntax error"},
		"an unknown variable":   {"act.site == sites", 1, 13, "undeclared reference"},
		"an unknown field":      {"act.colour == ''", 1, 4, "undefined field"},
		"an unknown parameter":  {"params.colour == 1", 1, 7, "undefined field"},
		"another type":          {"act.site == 1", 1, 10, "no matching overload"},
		"no condition":          {"act.site", 1, 1, "want bool"},
		"the clock":             {"now() > 1", 1, 4, "undeclared reference"},
		"times":                 {"timestamp('2026-01-02T00:00:00Z') == timestamp('2026-01-02T00:00:00Z')", 1, 10, "undeclared reference"},
		"regular expressions":   {"act.site.matches('.*')", 1, 17, "undeclared reference"},
		"objects":               {"Act{site: 'x'} == act", 0, 0, ""},
		"lists in lists":        {list + ".all(a, " + list + ".all(b, a != b))", 1, 1, "may cost"},
		"too many levels":       {strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), 1, 0, "recursion"},
		"a list of ever longer": {list + ".map(a, a + a + a + a).map(a, a + a + a + a).size() > 1", 1, 1, "may cost"},
	}
	for name, c := range cases {
		p, err := Parse([]byte(packText(`act.site != ""`, `"`+strings.ReplaceAll(c.expression, `"`, `\"`)+`"`)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = Compile(p, nil, nil)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", name, err)
			continue
		}
		if e.Rule != "T1" || e.Part != "expression" || c.line != 0 && (e.Line != c.line || c.col != 0 && e.Column != c.col) || !strings.Contains(e.Reason, c.says) {
			t.Errorf("%s: got %q, want %d:%d and %q", name, err, c.line, c.col, c.says)
		}
	}
}

func TestMessagesRefused(t *testing.T) {
	for message, want := range map[string]Error{
		"a {{act.site":                  {Line: 1, Column: 3, Reason: "{{ without }}"},
		"a {{facts.gapDays}}":           {Line: 1, Column: 5, Reason: "want string"},
		"a {{act.id}} b {{act.colour}}": {Line: 1, Column: 21, Reason: "undefined field"},
	} {
		p, err := Parse([]byte(packText(`No site in {{act.id}}.`, message)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compile(p, nil, nil)
		var e *Error
		if !errors.As(err, &e) || e.Part != "message" || e.Line != want.Line || e.Column != want.Column || !strings.Contains(e.Reason, want.Reason) {
			t.Errorf("%q: got %v, want %+v", message, err, want)
		}
	}
}

func TestOwnRules(t *testing.T) {
	own := trial.OwnRule{ID: "S1", Title: "t", Severity: trial.SeverityMinor, Trigger: []trial.Kind{trial.KindSAP},
		Expression: "act.version != '' && params.mine > 1", Message: "m"}
	params := trial.DefaultParameters()
	params["mine"] = 2
	if _, err := Compile(Default(), []trial.OwnRule{own}, params); err != nil {
		t.Error(err)
	}
	var e *Error
	if _, err := Compile(Default(), []trial.OwnRule{own}, nil); !errors.As(err, &e) || e.Rule != "S1" || e.Line != 1 || e.Column != 28 || e.PackLine != 0 {
		t.Errorf("without the parameter: got %v", err)
	}
	own.ID = "R01"
	if _, err := Compile(Default(), []trial.OwnRule{own}, params); !errors.As(err, &e) || e.Rule != "R01" {
		t.Errorf("the id of another rule: got %v", err)
	}
}

func TestPacks(t *testing.T) {
	other, err := Parse([]byte(packText()))
	if err != nil {
		t.Fatal(err)
	}
	s := NewPacks(other)
	for _, digest := range []string{Default().Digest, other.Digest, ""} {
		b := &trial.CharterBody{RulePack: digest}
		p, err := s.Program(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Program(b); err != nil || again != p {
			t.Errorf("compiled twice: %v", err)
		}
	}
	if _, err := s.Program(&trial.CharterBody{RulePack: strings.Repeat("0", 64)}); !errors.Is(err, ErrUnknownPack) {
		t.Errorf("got %v, want %v", err, ErrUnknownPack)
	}
}
