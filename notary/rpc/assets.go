package rpc

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// The description is generated from the proto; the page shows it without any
// script or style of others.
var (
	//go:embed openapi/notary.swagger.json
	openapiJSON []byte
	//go:embed page/docs.html.tmpl
	pageTemplate string
	//go:embed page/docs.css
	pageCSS []byte
	//go:embed page/docs.js
	pageJS []byte
)

// asset is one fixed file.
type asset struct {
	content   []byte
	mediaType string
	etag      string
}

func newAsset(content []byte, mediaType string) asset {
	sum := sha256.Sum256(content)
	return asset{content: content, mediaType: mediaType, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// newFront makes the HTTP side of a server.
func newFront(s *Server) (*front, error) {
	rts, err := routes(notaryv1.File_notary_v1_notary_proto.Services().ByName("NotaryService"))
	if err != nil {
		return nil, err
	}
	page, err := renderPage(openapiJSON)
	if err != nil {
		return nil, fmt.Errorf("rendering API page: %w", err)
	}
	f := &front{Server: s, routes: rts, pages: map[string]asset{
		"/openapi.json":  newAsset(openapiJSON, "application/json"),
		"/docs":          newAsset(page, "text/html; charset=utf-8"),
		"/docs/page.css": newAsset(pageCSS, "text/css; charset=utf-8"),
		"/docs/page.js":  newAsset(pageJS, "text/javascript; charset=utf-8"),
	}}
	f.gateway, err = newGateway(f, s.conn)
	return f, err
}

func renderPage(openapi []byte) ([]byte, error) {
	doc, err := readOpenAPI(openapi)
	if err != nil {
		return nil, err
	}
	t, err := template.New("docs").Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// pageCSP lets the page load its own style and script and nothing else.
const pageCSP = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page serves the API's description.
func (f *front) page(w *statusWriter, r *http.Request) error {
	a, ok := f.pages[r.URL.Path]
	if !ok {
		return noSuchPath()
	}
	if err := onlyGet(r); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("Content-Security-Policy", pageCSP)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = w.Write(a.content) // a caller that went away cannot be told
	return nil
}
