package rules

import (
	"go.yaml.in/yaml/v4"

	"github.com/trialnotary/trialnotary/trial"
)

// maxOwnRules is how many own rules package trial allows in a charter.
const maxOwnRules = 100

// Own is a file of a sponsor's own rules, for a charter.
type Own struct {
	Rules []trial.OwnRule
	// lines holds where the parts of each rule begin, by id and name.
	lines map[string]map[string]int
}

// ParseOwn reads a file of own rules: YAML with one field, rules, whose elements
// have the fields of a pack's rule but for trigger.events, trigger.except, cases
// and closedBy. It is as strict as [Parse]. An error is an *Error.
func ParseOwn(text []byte) (*Own, error) {
	n, err := root(text)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	o := &Own{lines: map[string]map[string]int{}}
	r.fields(n, map[string]func(*yaml.Node){
		"rules": func(n *yaml.Node) {
			o.Rules = list(r, n, maxOwnRules, func(n *yaml.Node) trial.OwnRule {
				rule, lines := r.ownRule(n)
				if r.err == nil && o.lines[rule.ID] != nil {
					r.failf(n, "another rule has the id %s", rule.ID)
				}
				o.lines[rule.ID] = lines
				return rule
			})
		},
	}, "rules")
	if r.err != nil {
		return nil, r.err
	}
	return o, nil
}

func (r *reader) ownRule(n *yaml.Node) (o trial.OwnRule, lines map[string]int) {
	lines = map[string]int{"": n.Line}
	expression := func(part string, to *string) func(*yaml.Node) {
		return func(n *yaml.Node) { *to, lines[part] = r.text(n).Value, n.Line }
	}
	r.fields(n, map[string]func(*yaml.Node){
		"id":       func(n *yaml.Node) { o.ID = r.id(n); r.rule = o.ID },
		"title":    func(n *yaml.Node) { o.Title = r.line(n) },
		"clauses":  func(n *yaml.Node) { o.Clauses = list(r, n, maxClauses, r.line) },
		"severity": func(n *yaml.Node) { o.Severity = word(r, n, "severity", severities) },
		"trigger": func(n *yaml.Node) {
			r.fields(n, map[string]func(*yaml.Node){
				"kinds": func(n *yaml.Node) { o.Trigger = set(r, n, "kind", triggerKinds()) },
			}, "kinds")
		},
		"when":       expression("when", &o.When),
		"expression": expression("expression", &o.Expression),
		"message":    expression("message", &o.Message),
	}, "id", "title", "severity", "trigger", "expression", "message")
	r.rule = ""
	return o, lines
}

// Locate adds the line of the file to an error about one of its rules.
func (o *Own) Locate(e *Error) {
	if e.PackLine == 0 {
		e.PackLine = o.lines[e.Rule][e.Part]
	}
}
