package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// route is the HTTP form of an RPC, read from the same annotations that the
// gateway's code was generated from. The front checks a request against it
// before the gateway, which is lenient by design, sees it.
type route struct {
	method   string   // HTTP method
	template string   // such as /v1/trials/{trial}/statements, with JSON names
	segments []string // of the template
	rpc      string   // full method name
	stream   bool     // of requests
	answers  bool     // a stream of answers to one request
	// query are the fields that query parameters may set, by JSON name.
	query map[string]protoreflect.FieldDescriptor
	// body is the message that the body holds, nil without one; bound are its
	// fields that the path sets, which the body must not.
	body  protoreflect.MessageDescriptor
	bound map[protoreflect.Name]bool
	limit int64 // of the body, in bytes; 0 is the server's
}

// routes returns the HTTP forms of a service's methods.
func routes(service protoreflect.ServiceDescriptor) ([]*route, error) {
	var out []*route
	methods := service.Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		r, err := newRoute(m, rule)
		if err != nil {
			return nil, fmt.Errorf("reading HTTP rule of %s: %w", m.FullName(), err)
		}
		out = append(out, r)
	}
	return out, nil
}

func newRoute(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*route, error) {
	r := &route{
		rpc:    fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()),
		stream: m.IsStreamingClient(), answers: m.IsStreamingServer() && !m.IsStreamingClient(),
		bound: make(map[protoreflect.Name]bool),
		query: make(map[string]protoreflect.FieldDescriptor),
	}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.method, r.template = "GET", pattern.Get
	case *annotations.HttpRule_Post:
		r.method, r.template = "POST", pattern.Post
	default:
		return nil, fmt.Errorf("invalid pattern: got %T, want get or post", pattern)
	}
	r.segments = strings.Split(r.template[1:], "/")
	fields := m.Input().Fields()
	for _, s := range r.segments {
		if name, ok := parameter(s); ok {
			f := fields.ByName(protoreflect.Name(name))
			if f == nil {
				return nil, fmt.Errorf("invalid path: no field %s", name)
			}
			r.bound[f.Name()] = true
			r.template = strings.ReplaceAll(r.template, s, "{"+f.JSONName()+"}")
		}
	}
	switch body := rule.GetBody(); body {
	case "":
		r.allow(fields, "")
	case "*":
		r.body = m.Input()
	default:
		r.allow(fields, protoreflect.Name(body))
		f := fields.ByName(protoreflect.Name(body))
		if f == nil || f.Message() == nil {
			return nil, fmt.Errorf("invalid body: no message field %s", body)
		}
		r.body, r.bound = f.Message(), nil
	}
	if r.rpc == notaryv1.NotaryService_Submit_FullMethodName {
		r.limit = maxEnvelopeBody
	}
	return r, nil
}

// allow lets query parameters set the fields that neither the path nor the body
// sets.
func (r *route) allow(fields protoreflect.FieldDescriptors, body protoreflect.Name) {
	for i := range fields.Len() {
		if f := fields.Get(i); !r.bound[f.Name()] && f.Name() != body {
			r.query[f.JSONName()] = f
		}
	}
}

// parameter returns the name in a {name} segment.
func parameter(segment string) (string, bool) {
	name, ok := strings.CutPrefix(segment, "{")
	return strings.TrimSuffix(name, "}"), ok
}

// matches tells whether a path has the route's shape. A parameter matches one
// segment that is not empty, as the gateway does.
func (r *route) matches(path string) bool {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(segments) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if _, ok := parameter(s); ok {
			if segments[i] == "" {
				return false
			}
		} else if segments[i] != s {
			return false
		}
	}
	return true
}

// fill sets the fields of a message that path and query of a request name, which
// were checked.
func (r *route) fill(m proto.Message, req *http.Request) error {
	to := m.ProtoReflect()
	segments := strings.Split(strings.TrimPrefix(req.URL.Path, "/"), "/")
	for i, s := range r.segments {
		if name, ok := parameter(s); ok {
			to.Set(to.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfString(segments[i]))
		}
	}
	for name, values := range req.URL.Query() {
		switch field := r.query[name]; field.Kind() {
		case protoreflect.StringKind:
			to.Set(field, protoreflect.ValueOfString(values[0]))
		case protoreflect.Uint64Kind:
			n, err := strconv.ParseUint(values[0], 10, 64)
			if err != nil {
				return badRequest(name, "want a number in decimal digits")
			}
			to.Set(field, protoreflect.ValueOfUint64(n))
		default:
			return badRequest(name, "this field cannot be a query parameter")
		}
	}
	return nil
}

var errNoRoute = errors.New("no such path")

// findRoute returns the route of a request. Where only the method is wrong it
// returns the methods that there are.
func findRoute(all []*route, method, path string) (r *route, allow []string, err error) {
	for _, r := range all {
		if !r.matches(path) {
			continue
		}
		if r.method == method {
			return r, nil, nil
		}
		allow = append(allow, r.method)
	}
	slices.Sort(allow)
	return nil, allow, errNoRoute
}
