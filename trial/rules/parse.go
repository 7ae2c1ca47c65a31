package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/trialnotary/trialnotary/trial"
)

// Parse reads a pack. It is strict: every field is known and of its type, no
// field is there twice, and there are no anchors, aliases, tags or further
// documents. What expressions say is checked by [Compile]. An error is an *Error.
func Parse(text []byte) (*Pack, error) {
	n, err := root(text)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	p := r.pack(n)
	if r.err != nil {
		return nil, r.err
	}
	p.Digest = Digest(text)
	return p, nil
}

// root reads one YAML document and returns what it holds.
func root(text []byte) (*yaml.Node, error) {
	if len(text) > MaxPack {
		return nil, &Error{Reason: fmt.Sprintf("got %d bytes, want at most %d", len(text), MaxPack)}
	}
	if !utf8.Valid(text) {
		return nil, &Error{Reason: "not UTF-8"}
	}
	var docs []yaml.Node
	if err := yaml.Load(text, &docs, yaml.WithAllDocuments()); err != nil {
		return nil, syntax(err)
	}
	if len(docs) != 1 || len(docs[0].Content) != 1 {
		return nil, &Error{Reason: fmt.Sprintf("got %d YAML documents, want one", len(docs))}
	}
	return docs[0].Content[0], nil
}

// syntax keeps the position of what the YAML parser says.
func syntax(err error) *Error {
	e := &Error{Reason: "not YAML: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	var at *yaml.LoadErrors
	if errors.As(err, &at) && len(at.Errors) > 0 {
		e.Line, e.Column = at.Errors[0].Mark.Line, at.Errors[0].Mark.Column
	}
	return e
}

// reader reads nodes. The first error stays.
type reader struct {
	rule string
	err  *Error
}

func (r *reader) failf(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Rule: r.rule, Line: n.Line, Column: n.Column, Reason: fmt.Sprintf(format, args...)}
	}
}

// fields reads a mapping: each field by its reader, once.
func (r *reader) fields(n *yaml.Node, known map[string]func(*yaml.Node), required ...string) {
	if !r.plain(n, yaml.MappingNode, "a mapping") {
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && r.err == nil; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := r.line(key)
		read, ok := known[name]
		switch {
		case r.err != nil:
		case !ok:
			r.failf(key, "unknown field %q", name)
		case seen[name]:
			r.failf(key, "field %q is there twice", name)
		default:
			seen[name] = true
			read(value)
		}
	}
	for _, name := range required {
		if !seen[name] {
			r.failf(n, "field %q is missing", name)
		}
	}
}

// plain wants a node of a kind, without anchor or tag.
func (r *reader) plain(n *yaml.Node, kind yaml.Kind, what string) bool {
	switch {
	case r.err != nil:
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.failf(n, "anchors and aliases are not allowed")
	case n.Kind != kind:
		r.failf(n, "want %s", what)
	case n.Style&yaml.TaggedStyle != 0:
		r.failf(n, "tags are not allowed")
	}
	return r.err == nil
}

// text reads a string.
func (r *reader) text(n *yaml.Node) Text {
	if !r.plain(n, yaml.ScalarNode, "a text") {
		return Text{}
	}
	v := strings.TrimRight(n.Value, "\n")
	switch {
	case n.ShortTag() != "!!str":
		r.failf(n, "want a text: put it in quotes")
	case strings.TrimSpace(v) == "":
		r.failf(n, "the text is empty")
	case utf8.RuneCountInString(v) > maxText:
		r.failf(n, "the text has more than %d characters", maxText)
	case strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }):
		r.failf(n, "the text has a control character")
	}
	return Text{v, n.Line, n.Column}
}

// line reads a short text of one line.
func (r *reader) line(n *yaml.Node) string {
	t := r.text(n)
	if r.err == nil && (strings.Contains(t.Value, "\n") || utf8.RuneCountInString(t.Value) > maxLine) {
		r.failf(n, "want one line of at most %d characters", maxLine)
	}
	return t.Value
}

var identifier = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9][A-Za-z0-9._-]{0,%d}$`, maxIdentifier-1))

func (r *reader) id(n *yaml.Node) string {
	s := r.line(n)
	if r.err == nil && !identifier.MatchString(s) {
		r.failf(n, "want an id: at most %d letters, digits and . _ -, and a letter or digit first", maxIdentifier)
	}
	return s
}

func list[T any](r *reader, n *yaml.Node, most int, read func(*yaml.Node) T) []T {
	if !r.plain(n, yaml.SequenceNode, "a list") {
		return nil
	}
	if len(n.Content) == 0 || len(n.Content) > most {
		r.failf(n, "got %d elements, want 1 to %d", len(n.Content), most)
	}
	var out []T
	for _, c := range n.Content {
		if r.err != nil {
			return nil
		}
		out = append(out, read(c))
	}
	return out
}

// set reads a list of different words of a closed list.
func set[T ~string](r *reader, n *yaml.Node, what string, known []T) []T {
	var out []T
	list(r, n, len(known), func(n *yaml.Node) bool {
		w := word(r, n, what, known)
		if r.err == nil && slices.Contains(out, w) {
			r.failf(n, "%q is there twice", w)
		}
		out = append(out, w)
		return true
	})
	return out
}

func word[T ~string](r *reader, n *yaml.Node, what string, known []T) T {
	w := T(r.line(n))
	if r.err == nil && !slices.Contains(known, w) {
		r.failf(n, "unknown %s %q: want one of %v", what, w, known)
	}
	return w
}

func (r *reader) pack(n *yaml.Node) *Pack {
	p := &Pack{}
	r.fields(n, map[string]func(*yaml.Node){
		"pack":    func(n *yaml.Node) { p.Name = r.id(n) },
		"version": func(n *yaml.Node) { p.Version = r.line(n) },
		"title":   func(n *yaml.Node) { p.Title = r.line(n) },
		"rules": func(n *yaml.Node) {
			ids := map[string]bool{}
			p.Rules = list(r, n, maxRules, func(n *yaml.Node) Rule {
				rule := r.ruleOf(n)
				if r.err == nil && ids[rule.ID] {
					r.failf(n, "another rule has the id %s", rule.ID)
				}
				ids[rule.ID] = true
				return rule
			})
		},
	}, "pack", "version", "title", "rules")
	return p
}

func (r *reader) ruleOf(n *yaml.Node) Rule {
	var o Rule
	r.fields(n, map[string]func(*yaml.Node){
		"id":         func(n *yaml.Node) { o.ID = r.id(n); r.rule = o.ID },
		"title":      func(n *yaml.Node) { o.Title = r.line(n) },
		"clauses":    func(n *yaml.Node) { o.Clauses = list(r, n, maxClauses, r.line) },
		"severity":   func(n *yaml.Node) { o.Severity = word(r, n, "severity", severities) },
		"trigger":    func(n *yaml.Node) { o.Trigger = r.trigger(n) },
		"when":       func(n *yaml.Node) { o.When = r.text(n) },
		"expression": func(n *yaml.Node) { o.Expression = r.text(n) },
		"cases":      func(n *yaml.Node) { o.Cases = list(r, n, maxCases, r.caseOf) },
		"message":    func(n *yaml.Node) { o.Message = r.text(n) },
		"closedBy":   func(n *yaml.Node) { o.ClosedBy = word(r, n, "event", []trial.EventType{trial.EventEffect}) },
	}, "id", "title", "severity", "trigger", "expression", "message")
	r.rule = ""
	return o
}

func (r *reader) trigger(n *yaml.Node) Trigger {
	var t Trigger
	kinds := triggerKinds()
	r.fields(n, map[string]func(*yaml.Node){
		"events": func(n *yaml.Node) { t.Events = set(r, n, "event", events) },
		"kinds":  func(n *yaml.Node) { t.Kinds = set(r, n, "kind", kinds) },
		"except": func(n *yaml.Node) { t.Except = set(r, n, "kind", kinds) },
	}, "events")
	if len(t.Kinds) > 0 && len(t.Except) > 0 {
		r.failf(n, "kinds and except are both there: want one of them, or none")
	}
	return t
}

// triggerKinds are the kinds of acts that a rule can look at.
func triggerKinds() []trial.Kind {
	return slices.DeleteFunc(trial.Kinds(), func(k trial.Kind) bool { return k == trial.KindTimeMark })
}

func (r *reader) caseOf(n *yaml.Node) Case {
	var c Case
	r.fields(n, map[string]func(*yaml.Node){
		"when":     func(n *yaml.Node) { c.When = r.text(n) },
		"severity": func(n *yaml.Node) { c.Severity = word(r, n, "severity", severities) },
		"message":  func(n *yaml.Node) { c.Message = r.text(n) },
	}, "when", "severity", "message")
	return c
}
