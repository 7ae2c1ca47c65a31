package rpc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/trialnotary/trialnotary/trial"
)

// checkJSON refuses a body that protojson would accept in more than one
// spelling or in part: unknown, repeated and null fields, proto instead of JSON
// names, unpadded or URL-safe base64, numbers for 64-bit integers, and anything
// after the value. The fields in bound are set by the path and refused here.
//
// What passes has exactly one meaning, and protojson reads it.
func checkJSON(body []byte, m protoreflect.MessageDescriptor, bound map[protoreflect.Name]bool) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	c := &jsonChecker{dec: dec}
	if err := c.object(m, bound, ""); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return badRequest("", "there is more after the JSON value")
	}
	return nil
}

type jsonChecker struct{ dec *jsontext.Decoder }

// syntax names what the JSON reader refused, without repeating any of it.
func (c *jsonChecker) syntax(path string, err error) error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &trial.Refusal{Reason: trial.ReasonDuplicateField, Path: path, Detail: "a field is given more than once"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest(path, "the JSON ends too early")
	case errors.As(err, &syntactic):
		return badRequest(path, "invalid JSON at byte %d", syntactic.ByteOffset)
	}
	return badRequest(path, "invalid JSON")
}

// next reads a token of the wanted kind.
func (c *jsonChecker) next(path string, want jsontext.Kind) (jsontext.Token, error) {
	tok, err := c.dec.ReadToken()
	if err != nil {
		return tok, c.syntax(path, err)
	}
	if tok.Kind() != want {
		return tok, badRequest(path, "got %s, want %s", kindName(tok.Kind()), kindName(want))
	}
	return tok, nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "a list"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	default:
		return "the end"
	}
}

func (c *jsonChecker) object(m protoreflect.MessageDescriptor, bound map[protoreflect.Name]bool, path string) error {
	if _, err := c.next(path, jsontext.KindBeginObject); err != nil {
		return err
	}
	for {
		tok, err := c.dec.ReadToken()
		if err != nil {
			return c.syntax(path, err)
		}
		if tok.Kind() == jsontext.KindEndObject {
			return nil
		}
		name := tok.String()
		field := m.Fields().ByJSONName(name)
		if field == nil || bound[field.Name()] {
			return &trial.Refusal{
				Reason: trial.ReasonUnknownField, Path: join(path, clip(strconv.QuoteToASCII(name))), Detail: "no such field",
			}
		}
		if err := c.field(field, join(path, name)); err != nil {
			return err
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (c *jsonChecker) field(f protoreflect.FieldDescriptor, path string) error {
	switch {
	case f.IsMap():
		return badRequest(path, "this field cannot be sent")
	case !f.IsList():
		return c.value(f, path)
	}
	if _, err := c.next(path, jsontext.KindBeginArray); err != nil {
		return err
	}
	for i := 0; c.dec.PeekKind() != jsontext.KindEndArray; i++ {
		if c.dec.PeekKind() == jsontext.KindInvalid {
			_, err := c.dec.ReadToken()
			return c.syntax(path, err)
		}
		if err := c.value(f, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	_, err := c.next(path, jsontext.KindEndArray)
	return err
}

// value checks one value. The kinds are those that the API's bodies have;
// another one is refused until it is added here.
func (c *jsonChecker) value(f protoreflect.FieldDescriptor, path string) error {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return c.object(f.Message(), nil, path)
	case protoreflect.StringKind:
		_, err := c.next(path, jsontext.KindString)
		return err
	case protoreflect.EnumKind:
		tok, err := c.next(path, jsontext.KindString)
		if err != nil {
			return err
		}
		return checkEnum(f, path, tok.String())
	case protoreflect.BytesKind:
		tok, err := c.next(path, jsontext.KindString)
		if err != nil {
			return err
		}
		return checkBase64(tok.String(), path)
	case protoreflect.Uint64Kind:
		tok, err := c.next(path, jsontext.KindString)
		if err != nil {
			return err
		}
		if n, err := strconv.ParseUint(tok.String(), 10, 64); err != nil || strconv.FormatUint(n, 10) != tok.String() {
			return badRequest(path, "want an integer in decimal digits, as a string")
		}
		return nil
	default:
		return badRequest(path, "this field cannot be sent")
	}
}

// checkEnum demands the name of a value: protojson would also take its number.
func checkEnum(f protoreflect.FieldDescriptor, path, value string) error {
	values := f.Enum().Values()
	if values.ByName(protoreflect.Name(value)) != nil {
		return nil
	}
	var names []string
	for i := range values.Len() {
		names = append(names, string(values.Get(i).Name()))
	}
	return badRequest(path, "want one of %s", strings.Join(names, ", "))
}

func checkBase64(s, path string) error {
	// The decoder skips line breaks; here they would be a second spelling.
	if strings.ContainsAny(s, "\r\n") {
		return badRequest(path, "want padded standard base64 without line breaks")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(s); err != nil {
		return badRequest(path, "want padded standard base64")
	}
	return nil
}

// unmarshalStrict reads a body that checkJSON accepts.
func unmarshalStrict(body []byte, into protoreflect.ProtoMessage) error {
	if err := checkJSON(body, into.ProtoReflect().Descriptor(), nil); err != nil {
		return err
	}
	if err := protojson.Unmarshal(body, into); err != nil {
		return badRequest("", "invalid JSON") // not repeated: protojson quotes what it was sent
	}
	return nil
}

// hasUnknown tells whether a message from the wire holds fields that this
// version does not know. They are refused as in JSON: a filter that is ignored
// gives a wrong answer.
func hasUnknown(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	for _, f := range nestedIn(m.Descriptor()) {
		switch {
		case !m.Has(f):
		case f.IsList():
			list := m.Get(f).List()
			for i := range list.Len() {
				if hasUnknown(list.Get(i).Message()) {
					return true
				}
			}
		case hasUnknown(m.Get(f).Message()):
			return true
		}
	}
	return false
}

// nested remembers what nestedIn found: every call asks.
var nested sync.Map // protoreflect.MessageDescriptor to []protoreflect.FieldDescriptor

// nestedIn returns the fields that hold messages. Maps of ours hold none.
func nestedIn(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if found, ok := nested.Load(d); ok {
		return found.([]protoreflect.FieldDescriptor) //nolint:forcetypeassert // nothing else is stored
	}
	var fields []protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); f.Message() != nil && !f.IsMap() {
			fields = append(fields, f)
		}
	}
	nested.Store(d, fields)
	return fields
}
