package main

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialnotary/trialnotary/trial"
)

// newBody returns an empty body of a kind that submit takes, and nil for a kind
// that has a command of its own.
func newBody(kind trial.Kind) any {
	switch kind {
	case trial.KindCharter, trial.KindKeyEnrolment, trial.KindKeyRevocation, trial.KindKeyRecovery,
		trial.KindRegistration, trial.KindEndorsement, trial.KindTimeMark:
		return nil
	default:
		return trial.NewBody(kind)
	}
}

// submitKinds are the kinds that submit takes; others have commands of their
// own.
func submitKinds() []string {
	var names []string
	for _, k := range trial.Kinds() {
		if newBody(k) != nil {
			names = append(names, string(k))
		}
	}
	return names
}

// fileKinds are the kinds of documents and data that a key may sign if nothing is
// said. Acts such as a lock or an unblinding are enrolled by name.
var fileKinds = []trial.Kind{
	trial.KindDataset, trial.KindDerivedDataset, trial.KindEthicsDecision, trial.KindICF, trial.KindProtocol,
	trial.KindProtocolAmendment, trial.KindTMFDocument, trial.KindAuditTrail,
}

// bodyForm tells the fields of a body, by their names in JSON and in their order.
type bodyForm struct {
	names []string
	types map[string]reflect.Type
}

func formOf(body any) *bodyForm {
	f := &bodyForm{types: map[string]reflect.Type{}}
	for field := range reflect.TypeOf(body).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f.names = append(f.names, name)
		f.types[name] = field.Type
	}
	return f
}

func (f *bodyForm) wanted() string {
	if len(f.names) == 0 {
		return "none"
	}
	return "one of " + strings.Join(f.names, ", ")
}

// set lays NAME=VALUE pairs over the fields. A list takes one entry from each; a
// reference to a statement may be a receipt file.
func (f *bodyForm) set(pairs []string, fields map[string]any) error {
	lists := map[string][]any{}
	for _, p := range pairs {
		name, text, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return fmt.Errorf("invalid --set: got %q, want NAME=VALUE", p)
		}
		t, known := f.types[name]
		if !known {
			fields[name] = text // refused with the names that are wanted
			continue
		}
		list := t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
		if list {
			t = t.Elem()
		}
		v, err := fieldValue(name, t, text)
		if err != nil {
			return err
		}
		if list {
			lists[name] = append(lists[name], v)
			v = lists[name]
		}
		fields[name] = v
	}
	return nil
}

var (
	idType  = reflect.TypeFor[trial.ID]()
	keyType = reflect.TypeFor[trial.KeyID]()
	// textType is what reads a value from a text, such as a time.
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fieldValue reads one value by its type: texts as they are, numbers and whole
// objects as JSON.
func fieldValue(name string, t reflect.Type, text string) (any, error) {
	switch {
	case t == idType:
		id, err := parseRef("--set "+name, text)
		return id, err
	case t == keyType:
		id, err := readKeyID(text)
		return id, err
	case t.Kind() == reflect.String, t.Kind() == reflect.Array, t.Implements(textType), reflect.PointerTo(t).Implements(textType):
		return text, nil
	}
	v := jsontext.Value(text)
	if !v.IsValid() {
		return nil, fmt.Errorf("invalid --set: got %s=%q, want JSON such as true, 12 or {\"sites\":[\"701\"]}", name, text)
	}
	return v, nil
}
