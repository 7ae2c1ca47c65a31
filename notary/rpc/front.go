package rpc

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/trial"
)

// maxEnvelopeBody is the largest DSSE envelope as JSON, in bytes.
const maxEnvelopeBody = trial.MaxEnvelope

// front is the HTTP side: everything that a request must pass before the
// gateway sees it, and what is no RPC.
type front struct {
	*Server
	gateway http.Handler
	routes  []*route
	pages   map[string]asset
}

// ServeHTTP answers every request. What is wrong with a request as such is
// refused here, in the same form and through the same record as an RPC's
// refusal.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c := &call{
		id: requestID(r.Header.Values(requestIDHeader)), method: "HTTP", address: r.RemoteAddr, http: true, began: began,
	}
	if values := r.Header.Values(traceparentHeader); len(values) == 1 {
		c.traceparent = values[0]
	}
	ctx := withCall(r.Context(), c)
	r = r.WithContext(ctx)
	f.headers(w, r, c.id)
	logged := &statusWriter{ResponseWriter: w}
	defer func() {
		if p := recover(); p != nil {
			f.logPanic(c.id, c.method, p)
			f.refuseHTTP(logged, r, errPanic)
		}
		if !logged.forwarded { // the interceptor has logged and observed it
			f.end(ctx, c, logged.outcome(), time.Since(began))
			if line, _ := f.limiter.logs(logged.reason()); !line {
				return
			}
			f.log.Info("answered by HTTP alone", zap.String("request_id", c.id), zap.String("method", c.method),
				zap.String("address", c.address), zap.String("user", c.name()), zap.Int("status", logged.code()),
				zap.Duration("took", time.Since(began)))
		}
	}()
	if err := f.serve(logged, r); err != nil {
		f.refuseHTTP(logged, r, err)
	}
}

// statusWriter remembers what the log line needs.
type statusWriter struct {
	http.ResponseWriter
	status    int
	forwarded bool
	refused   *status.Status // nil unless the answer is a refusal
}

func (w *statusWriter) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// reason is that of a refusal, or "".
func (w *statusWriter) reason() trial.Reason {
	if w.refused == nil {
		return ""
	}
	return trial.Reason(reasonIn(w.refused))
}

// outcome is what the Observer is told. An answer that is no refusal and still
// bad is that of a notary that is not ready.
func (w *statusWriter) outcome() *status.Status {
	switch {
	case w.refused != nil:
		return w.refused
	case w.code() >= http.StatusBadRequest:
		return status.New(codes.Unavailable, "")
	}
	return status.New(codes.OK, "")
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// headers sets what every answer carries. There is no CORS header: no page of
// another origin reads anything here.
func (f *front) headers(w http.ResponseWriter, r *http.Request, id string) {
	h := w.Header()
	h.Set(requestIDHeader, id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// serve checks what concerns every request and finds who answers it.
func (f *front) serve(w *statusWriter, r *http.Request) error {
	if err := checkRequest(r); err != nil {
		return err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		name(r, "HTTP gRPC")
		return f.notHere(w, r)
	}
	var err error
	if callOf(r.Context()).cert, err = certName(r.TLS, f.now()); err != nil {
		return err
	}
	switch p := r.URL.Path; {
	case p == "/healthz" || p == "/readyz":
		name(r, "HTTP "+p)
		return f.health(w, r)
	case p == "/checkpoint" || strings.HasPrefix(p, "/tile/"):
		name(r, "HTTP tiles")
		return f.counted(w, r, f.tiles)
	case strings.HasPrefix(p, "/v1/"):
		return f.rpc(w, r)
	default:
		name(r, "HTTP page")
		return f.counted(w, r, f.page)
	}
}

// notHere tells a gRPC client, in the form that it reads, that it dialled the
// wrong port.
func (f *front) notHere(w *statusWriter, r *http.Request) error {
	st := f.refuse(r.Context(), &trial.Refusal{Reason: reasonNoSuchPath, Detail: "this is the HTTP port: gRPC is served on another one"})
	details, err := proto.Marshal(st.Proto())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", st.Message())
	h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	w.refused = st
	w.WriteHeader(http.StatusOK)
	return nil
}

// name gives the call the name that logs and records know it by: a fixed one,
// never the path, which names trials.
func name(r *http.Request, name string) { callOf(r.Context()).method = name }

// checkRequest refuses what makes a request ambiguous: more than one spelling of
// a path, more than one authorization, the reserved key.
func checkRequest(r *http.Request) error {
	if headerForgesHandover(r.Header) {
		return &trial.Refusal{Reason: reasonReservedMetadata, Path: handoverKey, Detail: detailReserved}
	}
	// RawPath is set where the path was not in its one usual spelling.
	p := r.URL.Path
	if r.URL.RawPath != "" || p == "" || p[0] != '/' || path.Clean(p) != p || !printable(p) {
		return noSuchPath()
	}
	switch values := r.Header.Values(authorizationHeader); {
	case len(values) > 1:
		return unauthenticated(detailTwice)
	case len(values) == 1 && !printable(values[0]):
		// The gateway would drop it, and the caller would be anonymous.
		return unauthenticated(detailCredentials)
	}
	return nil
}

func noSuchPath() error {
	return &trial.Refusal{Reason: reasonNoSuchPath, Detail: "no such path; paths have one spelling, without needless escapes, dots or slashes"}
}

// printable tells whether a string is printable ASCII.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// onlyGet refuses every method but GET and HEAD, whose answer net/http sends
// without its body, and a request that says more than its path.
func onlyGet(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &methodError{allow: "GET, HEAD"}
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return &trial.Refusal{Reason: trial.ReasonUnknownField, Detail: "this path has no query parameters"}
	}
	return noBody(r)
}

func noBody(r *http.Request) error {
	if r.ContentLength != 0 {
		return badRequest("", "this request has a body; it takes none")
	}
	return nil
}

// methodError refuses an HTTP method.
type methodError struct{ allow string }

func (e *methodError) Error() string { return "got another method, want " + e.allow }

// contentType refuses every media type but one, and compressed bodies.
func contentType(r *http.Request, want string) error {
	values := r.Header.Values("Content-Type")
	if len(values) == 1 {
		got, params, err := mime.ParseMediaType(values[0])
		charset, has := params["charset"]
		delete(params, "charset")
		if err == nil && got == want && len(params) == 0 && (!has || strings.EqualFold(charset, "utf-8")) {
			if r.Header.Get("Content-Encoding") == "" {
				return nil
			}
		}
	}
	return &trial.Refusal{Reason: reasonMediaType, Path: "Content-Type", Detail: "want one Content-Type, " + want + ", and no Content-Encoding"}
}

// readBody reads a whole body of at most so many bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(unwrapped(w), r.Body, limit))
	if err != nil {
		return nil, bodyError(err, limit)
	}
	return body, nil
}

// counted answers what is no RPC and counts it while it lasts. A credential that
// is presented must be right, here as everywhere.
func (f *front) counted(w *statusWriter, r *http.Request, answer func(*statusWriter, *http.Request) error) error {
	if _, err := f.frontCaller(r); err != nil {
		return err
	}
	leave, err := f.limiter.enter(callOf(r.Context()), classRead)
	if err != nil {
		return err
	}
	defer leave()
	return answer(w, r)
}

// frontCaller authenticates the caller of what is no RPC, by the same function
// as the interceptors.
func (f *front) frontCaller(r *http.Request) (*User, error) {
	c := callOf(r.Context())
	md := metadata.MD{}
	if values := r.Header.Values(authorizationHeader); len(values) > 0 {
		md.Set(authorizationKey, values...)
	}
	u, err := f.authenticate(metadata.NewIncomingContext(r.Context(), md), c.cert)
	c.user = u
	return u, err
}

// refuseHTTP answers with a refusal of the front's own.
func (f *front) refuseHTTP(w *statusWriter, r *http.Request, err error) {
	if m := new(methodError); errors.As(err, &m) {
		w.Header().Set("Allow", m.allow)
		err = &trial.Refusal{Reason: reasonMethod, Detail: "this path takes " + m.allow + " only"}
	}
	f.writeStatus(w, f.refuse(r.Context(), err))
}

// writeStatus writes a status as google.rpc.Status in JSON.
func (f *front) writeStatus(w *statusWriter, st *status.Status) {
	if w.status != 0 {
		return // too late: the answer has begun
	}
	w.refused = st
	body, err := protojson.Marshal(st.Proto())
	if err != nil {
		body = []byte(`{"code":13,"message":"internal error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if st.Code() == codes.Unauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="trialnotary"`)
	}
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			seconds := (retry.GetRetryDelay().AsDuration() + time.Second - 1) / time.Second
			h.Set("Retry-After", strconv.Itoa(max(1, int(seconds))))
		}
	}
	w.WriteHeader(httpStatus(trial.Reason(reasonIn(st)), st.Code()))
	_, _ = w.Write(append(body, '\n')) // a caller that went away cannot be told
}

// outgoing is the metadata of a call to the in-process listener.
func (f *front) outgoing(ctx context.Context) metadata.MD {
	c := callOf(ctx)
	h := handover{Secret: f.secret, Address: c.address, Cert: c.cert, Began: c.began, Traceparent: c.traceparent}
	return metadata.Pairs(requestIDKey, c.id, handoverKey, h.encode())
}
