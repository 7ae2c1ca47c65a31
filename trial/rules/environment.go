package rules

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// object is a value whose fields an expression can read, and nothing else.
type object struct {
	typ   *cel.Type
	value any
}

func (o object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("converting a %s to %v: not supported", o.typ, t)
}

func (o object) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("converting a %s to %s: not supported", o.typ, t.TypeName())
}

func (o object) Equal(other ref.Val) ref.Val {
	p, ok := other.(object)
	return types.Bool(ok && p.value == o.value)
}

func (o object) Type() ref.Type { return o.typ }
func (o object) Value() any     { return o.value }

// provider gives the checker and the evaluator the fields of the vocabulary.
type provider struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if f, ok := p.fields[name]; ok {
		names := make([]string, 0, len(f))
		for n := range f {
			names = append(names, n)
		}
		return names, true
	}
	return p.Registry.FindStructFieldNames(name)
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if f, ok := p.fields[name]; ok {
		t, ok := f[field]
		return t, ok
	}
	return p.Registry.FindStructFieldType(name, field)
}

// NewValue refuses: an expression makes no objects.
func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("making a %s: not supported", name)
}

func fieldTypes[T any](words map[string]field[T]) map[string]*types.FieldType {
	out := make(map[string]*types.FieldType, len(words))
	for name, w := range words {
		out[name] = &types.FieldType{
			Type:  w.typ,
			IsSet: func(any) bool { return true },
			GetFrom: func(v any) (any, error) {
				t, ok := v.(T)
				if !ok {
					return nil, fmt.Errorf("reading %s: got a %T", name, v)
				}
				return w.get(t), nil
			},
		}
	}
	return out
}

// paramWords are params.NAME, for the parameters that a trial has.
func paramWords(params map[string]int64) map[string]field[map[string]int64] {
	out := make(map[string]field[map[string]int64], len(params))
	for name := range params {
		out[name] = integer(func(m map[string]int64) int64 { return m[name] })
	}
	return out
}

// functions are what an expression may use of CEL's standard functions. What is
// absent: times and durations (their zones come from a database that changes),
// regular expressions, bytes and floating point.
var functions = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
	operators.Index, operators.In, "size", "contains", "startsWith", "endsWith", "string",
}

// Limits of one expression.
const (
	maxDepth = 40
	maxNodes = 500 // macros take a time that grows with their square
)

func newEnvironment(params map[string]int64) (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("making a CEL registry: %w", err)
	}
	p := &provider{registry, map[string]map[string]*types.FieldType{
		factsType.TypeName(): fieldTypes(factsWords), decisionType.TypeName(): fieldTypes(decisionWords),
		actType.TypeName(): fieldTypes(actWords), charterType.TypeName(): fieldTypes(charterWords),
		paramsType.TypeName(): fieldTypes(paramWords(params)),
	}}
	subset := env.NewLibrarySubset()
	for _, name := range functions {
		subset.AddIncludedFunctions(env.NewFunction(name))
	}
	e, err := cel.NewCustomEnv(
		cel.CustomTypeProvider(p), cel.CustomTypeAdapter(registry), cel.StdLib(cel.StdLibSubset(subset)),
		cel.Variable("facts", factsType), cel.Variable("act", actType), cel.Variable("charter", charterType),
		cel.Variable("params", paramsType), cel.Variable("event", cel.StringType), cel.Variable("deadline", cel.StringType),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(maxText), cel.ExpressionNodeLimit(maxNodes),
	)
	if err != nil {
		return nil, fmt.Errorf("making a CEL environment: %w", err)
	}
	return e, nil
}
