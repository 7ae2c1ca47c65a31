package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// The metadata key and the HTTP header of the request id, in and out.
const (
	requestIDKey    = "x-request-id"
	requestIDHeader = "X-Request-ID"
)

// requestID returns the caller's id if it can be put into any log as it is,
// else a new one.
func requestID(given []string) string {
	if len(given) == 1 && saneRequestID(given[0]) {
		return given[0]
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// saneRequestID accepts 1 to 64 letters, digits, dots, hyphens and underscores.
func saneRequestID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// call is what is known of the call that a context belongs to.
type call struct {
	id      string
	method  string
	address string
	cert    string // common name of the verified client certificate
	user    *User  // nil until authenticated, and for anonymous callers

	http        bool // it came over HTTP
	began       time.Time
	traceparent string          // what the caller sent
	trace       string          // id of the call's trace, "" without one
	traced      context.Context // that the Observer gave; nil before
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf returns the context's call; the interceptors put one into every
// context that a handler sees.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil {
		return &call{}
	}
	return c
}
