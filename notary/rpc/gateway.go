package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// newGateway returns the generated translation between HTTP and the in-process
// listener. It has no say in what is accepted: it sees requests that the front
// has checked and stripped.
func newGateway(f *front, conn *grpc.ClientConn) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(func(ctx context.Context, _ *http.Request) metadata.MD { return f.outgoing(ctx) }),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true},
		}),
		runtime.WithErrorHandler(f.gatewayError),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	if err := notaryv1.RegisterNotaryServiceHandler(context.Background(), mux, conn); err != nil {
		return nil, fmt.Errorf("registering gateway: %w", err)
	}
	return mux, nil
}

// gatewayError writes the status of an RPC. One without a reason of ours was
// made by the gateway itself, of something that the front should have refused.
func (f *front) gatewayError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	sw, ok := w.(*statusWriter)
	if !ok {
		sw = &statusWriter{ResponseWriter: w}
	}
	if st, ok := status.FromError(err); ok && errorInfo(st) != nil {
		f.writeStatus(sw, st)
		return
	}
	f.refuseHTTP(sw, r, err)
}

// rpc checks a request for an RPC and hands it to the gateway.
func (f *front) rpc(w *statusWriter, r *http.Request) error {
	rt, allow, err := findRoute(f.routes, r.Method, r.URL.Path)
	switch {
	case err != nil && len(allow) > 0:
		return &methodError{allow: strings.Join(allow, ", ")}
	case err != nil:
		return noSuchPath()
	}
	name(r, rt.rpc)
	if r.URL.ForceQuery && r.URL.RawQuery == "" {
		return badRequest("", "the query is empty")
	}
	if err := rt.checkQuery(r.URL.RawQuery); err != nil {
		return err
	}
	// Who may not call cannot make the server hold a body. The in-process
	// listener asks again; it counts nothing.
	c := callOf(r.Context())
	u, err := f.frontCaller(r)
	if err != nil {
		return err
	}
	if err := permit(c.method, u); err != nil {
		return err
	}
	if rt.stream {
		return f.lines(w, r)
	}
	if rt.answers {
		return f.watch(w, r, rt)
	}
	leave, err := f.limiter.enter(c, classOf(c.method))
	if err != nil {
		return err
	}
	defer leave()
	var body []byte
	if rt.body == nil {
		if err := noBody(r); err != nil {
			return err
		}
	} else {
		if err := contentType(r, "application/json"); err != nil {
			return err
		}
		limit := rt.limit
		if limit == 0 {
			limit = int64(f.cfg.Limits.MaxMessage)
		}
		if body, err = readBody(w, r, limit); err != nil {
			return err
		}
		if err := checkJSON(body, rt.body, rt.bound); err != nil {
			return err
		}
	}
	w.forwarded = true
	f.gateway.ServeHTTP(w, stripped(r, body))
	return nil
}

// stripped is the request as the gateway may see it. It has no header but the
// authorization, and neither a host nor an address, of which the gateway would
// make forwarding headers.
func stripped(r *http.Request, body []byte) *http.Request {
	s := r.Clone(r.Context())
	s.Header = make(http.Header)
	if values := r.Header.Values(authorizationHeader); len(values) > 0 {
		s.Header[authorizationHeader] = values
	}
	s.Host, s.RemoteAddr, s.TLS = "", "", nil
	s.Body = io.NopCloser(bytes.NewReader(body))
	s.ContentLength = int64(len(body))
	s.TransferEncoding = nil
	return s
}

var errPanic = errors.New("panic")

// bodyError names why a body could not be read.
func bodyError(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &trial.Refusal{Reason: trial.ReasonTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes", limit)}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("reading body: %w", context.DeadlineExceeded)
	}
	return badRequest("", "the body ended too early")
}

// unwrapped returns the server's own writer, which MaxBytesReader tells to close
// the connection.
func unwrapped(w http.ResponseWriter) http.ResponseWriter {
	if s, ok := w.(*statusWriter); ok {
		return s.ResponseWriter
	}
	return w
}
