package rules

import (
	"errors"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

func ownText(change ...string) string {
	return strings.NewReplacer(change...).Replace(`rules:
  - id: S1
    title: Protocols have a version
    severity: minor
    trigger:
      kinds: [protocol, protocol-amendment]
    expression: act.version != ""
    message: "No version."
`)
}

func TestParseOwn(t *testing.T) {
	o, err := ParseOwn([]byte(ownText()))
	if err != nil {
		t.Fatal(err)
	}
	r := o.Rules[0]
	if r.ID != "S1" || r.Severity != trial.SeverityMinor || len(r.Trigger) != 2 || r.Expression != `act.version != ""` || r.Message != "No version." {
		t.Errorf("got %+v", r)
	}
	if _, err := Compile(Default(), o.Rules, nil); err != nil {
		t.Error(err)
	}
}

func TestParseOwnRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"a pack":            {packText(), 1, `unknown field "pack"`},
		"no rules":          {"rules: []", 1, "0 elements"},
		"events":            {ownText("      kinds", "      events: [logged]\n      kinds"), 6, `unknown field "events"`},
		"kinds left out":    {ownText("      kinds: [protocol, protocol-amendment]", "      except: [sap]"), 6, `unknown field "except"`},
		"cases":             {ownText("    message", "    cases: []\n    message"), 8, `unknown field "cases"`},
		"no message":        {ownText("    message: \"No version.\"\n", ""), 2, `"message" is missing`},
		"an unknown kind":   {ownText("protocol-amendment", "amendment"), 6, "unknown kind"},
		"two of one id":     {ownText() + strings.TrimPrefix(ownText(), "rules:\n"), 9, "another rule"},
		"not YAML":          {"rules: [", 0, "not YAML"},
		"too many":          {"rules:\n" + strings.Repeat(strings.TrimPrefix(ownText(), "rules:\n"), maxOwnRules+1), 2, "want 1 to 100"},
		"more than it says": {strings.Repeat("#", MaxPack+1), 0, "at most"},
	} {
		_, err := ParseOwn([]byte(c.text))
		bad, ok := errors.AsType[*Error](err)
		if !ok || bad.Line != c.line && c.line != 0 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want line %d and %q", name, err, c.line, c.says)
		}
	}
}

// An error of the compiler is found in the file.
func TestLocate(t *testing.T) {
	for text, line := range map[string]int{
		ownText("act.version", "act.colour"): 7,
		ownText("No version", "{{act.no}}"):  8,
		ownText("S1", "R01"):                 2,
	} {
		o, err := ParseOwn([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compile(Default(), o.Rules, nil)
		bad, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("got %v, want an *Error", err)
		}
		if o.Locate(bad); bad.FileLine() != line {
			t.Errorf("got line %d of %v, want %d", bad.FileLine(), bad, line)
		}
	}
}

// Whatever the bytes, a file is refused by an *Error or gives rules that compile or
// are refused by one.
func FuzzParseOwn(f *testing.F) {
	f.Add([]byte(ownText()))
	f.Add([]byte(packText()))
	f.Add([]byte("rules: &a [*a]"))
	f.Add([]byte("rules:\n- {id: a, trigger: {kinds: []}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := ParseOwn(text)
		if err == nil {
			if len(o.Rules) == 0 {
				t.Fatal("got no rules and no error")
			}
			_, err = Compile(Default(), o.Rules, nil)
		}
		if _, ok := errors.AsType[*Error](err); err != nil && !ok {
			t.Fatalf("got %v, want an *Error", err)
		}
	})
}
