package rpc

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// openAPI is what the page shows of the generated description.
type openAPI struct {
	Info struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	} `json:"info"`
	Paths       map[string]map[string]*operation `json:"paths"`
	Definitions map[string]*schema               `json:"definitions"`

	// Filled in for the template, in order.
	Operations []*operation `json:"-"`
	Types      []*schema    `json:"-"`
	Others     []otherPath  `json:"-"`
	Reasons    []ReasonInfo `json:"-"`
}

type operation struct {
	Summary     string                    `json:"summary"`
	Description string                    `json:"description"`
	Parameters  []*parameterDoc           `json:"parameters"`
	Responses   map[string]responseSchema `json:"responses"`

	Name, Method, Path, Body, Answer, MediaType, Who, Curl string `json:"-"`
}

type responseSchema struct {
	Schema *schema `json:"schema"`
}

type parameterDoc struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description"`
	Type        string  `json:"type"`
	Format      string  `json:"format"`
	Required    bool    `json:"required"`
	Schema      *schema `json:"schema"`
}

type schema struct {
	Ref         string             `json:"$ref"`
	Type        string             `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Title       string             `json:"title"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	Values      *schema            `json:"additionalProperties"`
	Enum        []string           `json:"enum"`
	Required    []string           `json:"required"`

	Name   string      `json:"-"`
	Fields []*fieldDoc `json:"-"`
}

type fieldDoc struct {
	Name, Type, Description string
	Required                bool
}

// otherPath is a path that is no RPC.
type otherPath struct{ Path, What string }

var otherPaths = []otherPath{
	{"/checkpoint", "The newest checkpoint of the log, a C2SP signed note. For anyone."},
	{"/tile/…", "The log's tiles and entry bundles, as C2SP tlog-tiles has them. For anyone, unless the operator closed them to callers without a credential."},
	{"/healthz", `"ok" while the process lives.`},
	{"/readyz", "200 while the notary takes calls, else 503, with the state of each part; the operator also sees details."},
	{"/openapi.json", "The description of this API that this page was made from."},
}

// readOpenAPI prepares the generated description for the page.
func readOpenAPI(b []byte) (*openAPI, error) {
	doc := new(openAPI)
	if err := json.Unmarshal(b, doc); err != nil {
		return nil, err
	}
	rts, err := routes(notaryv1.File_notary_v1_notary_proto.Services().ByName("NotaryService"))
	if err != nil {
		return nil, err
	}
	for _, r := range rts {
		op := doc.Paths[r.template][strings.ToLower(r.method)]
		if op == nil {
			return nil, fmt.Errorf("invalid description: no %s %s", r.method, r.template)
		}
		op.describe(r)
		doc.Operations = append(doc.Operations, op)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Definitions)) {
		s := doc.Definitions[name]
		s.Name = typeName(name)
		for _, f := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[f]
			s.Fields = append(s.Fields, &fieldDoc{
				Name: f, Type: p.typeText(), Description: cmp.Or(p.Description, p.Title), Required: slices.Contains(s.Required, f),
			})
		}
		doc.Types = append(doc.Types, s)
	}
	doc.Others, doc.Reasons = otherPaths, Reasons()
	return doc, nil
}

func (op *operation) describe(r *route) {
	op.Name = r.rpc[strings.LastIndex(r.rpc, "/")+1:]
	op.Method, op.Path = r.method, r.template
	op.MediaType = "application/json"
	if r.stream {
		op.MediaType = ndjson
	}
	if s := op.Responses["200"].Schema; s != nil {
		if result := s.Properties["result"]; result != nil {
			s = result
		}
		op.Answer = s.typeText()
	}
	for _, p := range op.Parameters {
		if p.In == "body" {
			op.Body = p.Schema.typeText()
		}
	}
	rule := policy[r.rpc]
	switch {
	case rule.anonymous && rule.roles == nil:
		op.Who = "anyone"
	case rule.anonymous:
		op.Who = roleList(rule.roles) + "; anyone for the notary's time marks"
	default:
		op.Who = roleList(rule.roles)
	}
	op.Curl = op.curl(r)
}

func roleList(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// curl is a command to copy; $NOTARY, $TOKEN and the upper-case words are the
// reader's.
func (op *operation) curl(r *route) string {
	path := op.Path
	for _, p := range op.Parameters {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", "$"+strings.ToUpper(snake(p.Name)))
		}
	}
	parts := []string{"curl --cacert ca.pem"}
	if !policy[r.rpc].anonymous || policy[r.rpc].roles != nil {
		parts = append(parts, `-H "Authorization: Bearer $TOKEN"`)
	}
	if r.method == "POST" {
		file := "request.json"
		switch {
		case r.stream:
			file = "requests.ndjson"
		case r.limit == maxEnvelopeBody:
			file = "envelope.json"
		}
		parts = append(parts, "-H 'Content-Type: "+op.MediaType+"'", "--data-binary @"+file)
	}
	return strings.Join(append(parts, `"$NOTARY`+path+`"`), " \\\n  ")
}

// snake turns a JSON name into one with underscores.
func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// typeName drops the package version that the generator puts before a message.
func typeName(name string) string {
	for _, prefix := range []string{"v1", "rpc", "protobuf"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

// typeText is a type in a reader's words.
func (s *schema) typeText() string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return typeName(strings.TrimPrefix(s.Ref, "#/definitions/"))
	case s.Type == "array":
		return "list of " + s.Items.typeText()
	case s.Values != nil && s.Type == "object" && s.Values.Type != "":
		return "map to " + s.Values.typeText()
	case s.Format == "byte":
		return "bytes (padded standard base64)"
	case s.Format == "date-time":
		return "time (RFC 3339)"
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	}
	return s.Type
}
