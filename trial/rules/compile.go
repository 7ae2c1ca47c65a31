package rules

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"

	"github.com/trialnotary/trialnotary/trial"
)

// Limits of cost, in the units of CEL: about one an operation.
const (
	// maxEstimate is the most that an expression may come to by the estimate.
	maxEstimate = 5_000_000
	// eventCost and elementCost are what all expressions together may cost at an
	// event: so much, and more for each site of the charter and each element of the
	// lists in the facts, as far as maxCost. It is less than the estimates allow,
	// which take every list for as long as it can be. So what a log costs grows with
	// what is in it, whatever a charter's rules do.
	eventCost   = 50_000
	elementCost = 100
	maxCost     = 1_250_000
	// smallCost is where one expression ends at an event that may cost no more, and
	// maxCost where it ends at others.
	smallCost = 100_000
	// smallEstimate is what needs no watching when it runs, where it walks through
	// no list.
	smallEstimate = 1_000

	// What package trial allows.
	maxMembers   = 10_000 // of a lock: the longest list of the facts
	maxDecisions = 1000   // versions that become effective at once
	maxRoles     = 100
	maxName      = 1024 // of what is no reason: three names of 256 make a series
)

// Program is a pack and a charter's own rules, compiled. It is immutable and may
// be used by many engines at once.
type Program struct {
	Pack  *Pack // nil: own rules only
	rules []*compiled
	// params are the parameters that an expression names.
	params map[string]bool
}

// compiled is a rule and its expressions.
type compiled struct {
	Rule
	when       *expression // nil: always
	expression *expression
	cases      []compiledCase
	message    message
}

type compiledCase struct {
	when     *expression
	severity trial.Severity
	message  message
}

// message is text and expressions in turn: text first.
type message struct {
	text  []string
	parts []*expression
}

// AuthorityRule is the id of the one rule that stands in no pack, so that no
// charter can leave it out: who signed a statement had the authority for it when it
// was logged. No rule of a pack and no own rule may have this id.
const AuthorityRule = "NO-EFFECT"

var authority = &compiled{Rule: Rule{ID: AuthorityRule, Title: "Signers have authority", Severity: trial.SeverityMajor}}

// Compile checks the expressions of a pack and of a charter's own rules for a
// trial with these parameters, and prepares them. A nil pack is none, nil
// parameters are the default ones. An error that a rule has caused is an *Error.
func Compile(pack *Pack, ownRules []trial.OwnRule, params map[string]int64) (*Program, error) {
	if params == nil {
		params = trial.DefaultParameters()
	}
	e, err := newEnvironment(params)
	if err != nil {
		return nil, err
	}
	p := &Program{Pack: pack, params: map[string]bool{}}
	ids := map[string]bool{AuthorityRule: true}
	add := func(r Rule) error {
		if ids[r.ID] {
			return &Error{Rule: r.ID, Reason: "another rule has this id: give it one of its own"}
		}
		ids[r.ID] = true
		c, err := compile(e, r, p.params)
		if err != nil {
			return err
		}
		p.rules = append(p.rules, c)
		return nil
	}
	if pack != nil {
		for _, r := range pack.Rules {
			if err := add(r); err != nil {
				return nil, err
			}
		}
	}
	for i := range ownRules {
		if err := add(own(&ownRules[i])); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// compile prepares one rule.
func compile(e *cel.Env, r Rule, params map[string]bool) (*compiled, error) {
	x := &compiler{env: e, rule: r.ID, params: params}
	c := &compiled{Rule: r, expression: x.condition("expression", r.Expression), message: x.message("message", r.Message)}
	if r.When.Value != "" {
		c.when = x.condition("when", r.When)
	}
	for i, k := range r.Cases {
		part := fmt.Sprintf("cases[%d].", i)
		c.cases = append(c.cases, compiledCase{x.condition(part+"when", k.When), k.Severity, x.message(part+"message", k.Message)})
	}
	if x.err != nil {
		return nil, x.err
	}
	return c, nil
}

// compiler compiles the parts of a rule. The first error stays.
type compiler struct {
	env    *cel.Env
	rule   string
	params map[string]bool // that were named
	err    error
}

func (c *compiler) condition(part string, t Text) *expression {
	return c.expression(part, t, t.Value, 0, cel.BoolType)
}

// expression compiles src, which begins at an offset of a part's text.
func (c *compiler) expression(part string, t Text, src string, offset int, want *cel.Type) *expression {
	if c.err != nil {
		return nil
	}
	fail := func(line, column int, reason string) *expression {
		if line == 1 {
			column += offset - strings.LastIndex(t.Value[:offset], "\n") - 1
		}
		line += strings.Count(t.Value[:offset], "\n")
		c.err = &Error{Rule: c.rule, Part: part, Line: line, Column: column, PackLine: t.Line, Reason: reason}
		return nil
	}
	ast, iss := c.env.Compile(src)
	if iss.Err() != nil {
		first := iss.Errors()[0]
		line, column := max(first.Location.Line(), 1), max(first.Location.Column(), 0)+1
		return fail(line, column, strings.Join(strings.Fields(first.Message), " "))
	}
	if !ast.OutputType().IsExactType(want) {
		return fail(1, 1, fmt.Sprintf("got an expression of type %s, want %s", ast.OutputType(), want))
	}
	if hasKind(ast, celast.StructKind) {
		return fail(1, 1, "it makes an object: an expression can only look at what is there")
	}
	estimate, err := c.env.EstimateCost(ast, sizes{})
	if err != nil {
		return fail(1, 1, "its cost cannot be estimated: "+err.Error())
	}
	if estimate.Max > maxEstimate {
		return fail(1, 1, fmt.Sprintf("it may cost %d units, and at most %d are allowed: look at fewer lists inside each other", estimate.Max, maxEstimate))
	}
	x, err := c.programs(ast, estimate.Max > smallEstimate || hasKind(ast, celast.ComprehensionKind))
	if err != nil {
		return fail(1, 1, err.Error())
	}
	c.note(ast)
	return x
}

// programs prepares an expression to run. What is watched has a program for each
// limit, since a limit is part of a program.
func (c *compiler) programs(ast *cel.Ast, watched bool) (*expression, error) {
	program := func(limit uint64) (cel.Program, error) {
		options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
		if watched {
			options = append(options, cel.CostLimit(limit))
		}
		return c.env.Program(ast, options...)
	}
	x := &expression{}
	var err error
	if x.program, err = program(smallCost); err != nil || !watched {
		return x, err
	}
	x.wide, err = program(maxCost)
	return x, err
}

// note keeps the names of the parameters that an expression looks at.
func (c *compiler) note(a *cel.Ast) {
	native := a.NativeRep()
	celast.PostOrderVisit(native.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.SelectKind {
			return
		}
		if s := e.AsSelect(); native.GetType(s.Operand().ID()).IsExactType(paramsType) {
			c.params[s.FieldName()] = true
		}
	}))
}

// hasKind tells whether an expression has a part of a kind: a structure is an
// object that it makes, and a comprehension is what walks through a list.
func hasKind(a *cel.Ast, kind celast.ExprKind) bool {
	found := false
	celast.PostOrderVisit(a.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		found = found || e.Kind() == kind
	}))
	return found
}

// message compiles the expressions between {{ and }}.
func (c *compiler) message(part string, t Text) message {
	var m message
	rest, offset := t.Value, 0
	for c.err == nil {
		before, after, found := strings.Cut(rest, "{{")
		m.text = append(m.text, before)
		if !found {
			break
		}
		offset += len(before) + 2
		src, next, closed := strings.Cut(after, "}}")
		if !closed {
			line := 1 + strings.Count(t.Value[:offset], "\n")
			column := offset - strings.LastIndex(t.Value[:offset], "\n") - 2
			c.err = &Error{Rule: c.rule, Part: part, Line: line, Column: column, PackLine: t.Line, Reason: "{{ without }}"}
			break
		}
		m.parts = append(m.parts, c.expression(part, t, src, offset, cel.StringType))
		offset += len(src) + 2
		rest = next
	}
	return m
}

// sizes tells the estimate how long what is looked at can be.
type sizes struct{}

// listSizes are the longest lists of the facts that are not as long as a lock has
// members.
var listSizes = map[string]uint64{
	"facts.decisions": maxDecisions, "facts.missingRoles": maxRoles, "charter.unblindingExempt": maxRoles,
}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.Type() == nil {
		return nil
	}
	path := strings.Join(n.Path(), ".")
	most := uint64(maxName)
	switch {
	case path == "act.reason":
		most = maxText
	case n.Type().Kind() == cel.ListKind:
		most = maxMembers
		if m, ok := listSizes[path]; ok {
			most = m
		}
	}
	return &cost.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost knows how long a number is that is written out.
func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if function != "string" {
		return nil
	}
	return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 1}, ResultSize: &cost.SizeEstimate{Min: 0, Max: maxName}}
}
