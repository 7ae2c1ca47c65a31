package rpc

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trialnotary/trialnotary/trial"
)

// checkQuery refuses a query that the gateway would accept in part or not at
// all: unknown and repeated parameters, other spellings of a name, and values of
// another type.
func (r *route) checkQuery(raw string) error {
	if raw == "" {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return badRequest("", "the query cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field, ok := r.query[name]
		if !ok {
			return &trial.Refusal{
				Reason: trial.ReasonUnknownField, Path: clip(strconv.QuoteToASCII(name)),
				Detail: "no such query parameter" + oneOf(slices.Sorted(maps.Keys(r.query))),
			}
		}
		if n := len(values[name]); n != 1 {
			return &trial.Refusal{Reason: trial.ReasonDuplicateField, Path: name, Detail: "the query parameter is given more than once"}
		}
		if err := checkParameter(field, name, values[name][0]); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "; this path has none"
	}
	return "; there are " + strings.Join(names, ", ")
}

// checkParameter refuses a value that its field cannot take. The types are those
// that the API's queries have; another one is refused until it is added here.
func checkParameter(field protoreflect.FieldDescriptor, name, value string) error {
	switch {
	case field.IsList() || field.IsMap():
	case field.Kind() == protoreflect.StringKind:
		return nil
	case field.Kind() == protoreflect.EnumKind:
		return checkEnum(field, name, value)
	case field.Kind() == protoreflect.Int32Kind:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || strconv.FormatInt(n, 10) != value {
			return badRequest(name, "want an integer in decimal digits")
		}
		return nil
	case field.Kind() == protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || strconv.FormatUint(n, 10) != value {
			return badRequest(name, "want a number in decimal digits")
		}
		return nil
	case field.Message() != nil && field.Message().FullName() == "google.protobuf.Timestamp":
		if err := protojson.Unmarshal([]byte(strconv.Quote(value)), new(timestamppb.Timestamp)); err != nil {
			return badRequest(name, `want a time in RFC 3339, such as 2026-01-02T03:04:05Z`)
		}
		return nil
	}
	return badRequest(name, "this field cannot be a query parameter")
}

// clip bounds what is repeated to a caller of what it sent.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
