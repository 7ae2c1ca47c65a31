package rpc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

// handoverKey is the metadata key under which the HTTP front tells the
// in-process gRPC listener who called: bufconn loses the peer's certificate and
// address. Only that listener reads it, and only with the process's secret;
// anywhere else its mere presence is refused, so that nobody can rely on it.
const handoverKey = "x-trialnotary-handover"

// handover is what the HTTP front knows of a caller. The bearer token is not
// part of it: it travels as it came and is checked by the same interceptor.
type handover struct {
	Secret  []byte `json:"secret"`
	Address string `json:"address"`
	Cert    string `json:"cert"` // common name of the verified client certificate, "" is none

	Began       time.Time `json:"began"`                 // when the request came
	Traceparent string    `json:"traceparent,omitempty"` // as the caller sent it
}

// newSecret returns the process's secret.
func newSecret() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}

func (h *handover) encode() string {
	b, _ := json.Marshal(h) //nolint:gosec,errchkjson // the secret travels through memory alone; three strings cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

var errHandover = errors.New("invalid handover from the HTTP front")

// readHandover returns the handover of a call on the in-process listener.
func readHandover(ctx context.Context, secret []byte) (*handover, error) {
	values := metadata.ValueFromIncomingContext(ctx, handoverKey)
	if len(values) != 1 {
		return nil, errHandover
	}
	b, err := base64.RawURLEncoding.DecodeString(values[0])
	if err != nil {
		return nil, errHandover
	}
	var h handover
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, errHandover
	}
	if len(secret) == 0 || subtle.ConstantTimeCompare(h.Secret, secret) != 1 {
		return nil, errHandover
	}
	return &h, nil
}

// headerForgesHandover tells whether an HTTP request carries the reserved key in
// any header that a gateway could turn into it.
func headerForgesHandover(h http.Header) bool {
	for name := range h {
		if strings.HasSuffix(strings.ToLower(name), handoverKey) {
			return true
		}
	}
	return false
}
