package rpc

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ctx is a context of a user's call.
func (w *world) ctx(user string) context.Context {
	return metadata.AppendToOutgoingContext(w.t.Context(), authorizationKey, "Bearer "+w.tokens[user])
}

func protoUint(n uint64) protoreflect.Value { return protoreflect.ValueOfUint64(n) }

type rawJSON = json.RawMessage

func unmarshalJSON(text []byte, to any) error { return json.Unmarshal(text, to) }
