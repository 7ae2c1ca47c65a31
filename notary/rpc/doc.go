// Package rpc is the notary's front door: the gRPC API, the same API as
// HTTP and JSON, the log's C2SP paths, health and the API's description.
//
// It owns transport, authentication, authorisation and the mapping of errors to
// status codes. It promises that every call, over whichever transport, passes
// the same interceptors; that what is not the caller's looks exactly like what
// does not exist; that every refusal is recorded; and that no log line carries
// content of a trial. It knows package notary only through the interfaces that
// it declares itself, and must never import a database or log driver.
package rpc
