package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"

	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/trial"
)

// TestTiles serves the log's files with their types and caching, and asks the
// log for nothing but clean paths.
func TestTiles(t *testing.T) {
	for _, closed := range []bool{false, true} {
		w := newWorld(t, func(c *Config) { c.TilesClosed = closed })
		web := w.web()
		tests := []struct {
			path, user, mediaType, cache string
			open, closed                 int
		}{
			{"/checkpoint", "", typeCheckpoint, cacheNever, 200, 200},
			{"/tile/0/000", "", typeTile, cacheForever, 200, 401},
			{"/tile/0/000", "operator", typeTile, cacheForever, 200, 200},
			{"/tile/0/001", "", "", "", 404, 401},
			{"/tile/0/001", "site", "", "", 404, 404},
			{"/tile/", "site", "", "", 404, 404},
			{"/tile/../checkpoint", "site", "", "", 404, 404},
			{"/tile/..%2f..%2fetc/passwd", "site", "", "", 404, 404},
			{"/tile/%2e%2e/%2e%2e/etc/passwd", "site", "", "", 404, 404},
			{"/tile/0//000", "site", "", "", 404, 404},
			{"/tile/0/000/", "site", "", "", 404, 404},
			{"/tile/0/000%00", "site", "", "", 404, 404},
			{"/tile/0/000?x=1", "site", "", "", 400, 400},
			{"/checkpoint/", "site", "", "", 404, 404},
		}
		for _, tt := range tests {
			want := tt.open
			if closed {
				want = tt.closed
			}
			a := w.do(web, "GET", tt.path, nil, w.as(tt.user)...)
			if a.status != want {
				t.Errorf("%s as %q: got %d, want %d", tt.path, tt.user, a.status, want)
			}
			cache := tt.cache
			if closed && cache == cacheForever {
				cache = cachePrivate
			}
			if want == 200 && (a.header.Get("Content-Type") != tt.mediaType || a.header.Get("Cache-Control") != cache) {
				t.Errorf("%s: got %q, %q", tt.path, a.header.Get("Content-Type"), a.header.Get("Cache-Control"))
			}
			if want != 200 && a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: a refusal may be cached: %q", tt.path, a.header.Get("Cache-Control"))
			}
		}
		for _, asked := range w.tiles.asked {
			if strings.Contains(asked, "..") || strings.ContainsAny(asked, "\x00%?") || strings.HasSuffix(asked, "/") && asked != "tile/" {
				t.Errorf("the log was asked for %q", asked)
			}
		}
	}
}

// TestReasonList holds the list complete and docs/api.md equal to it.
func TestReasonList(t *testing.T) {
	own := []trial.Reason{
		reasonUnauthenticated, reasonNotPermitted, reasonNotFound, reasonReservedMetadata, reasonBadRequest, reasonBadPageToken,
		reasonNotReceipt, reasonMessageTooLarge, reasonNoSuchPath, reasonMethod, reasonMediaType, reasonOverloaded, reasonRateLimited, reasonLogStopped, reasonStorageFull,
		reasonUnavailable, reasonCancelled, reasonDeadline, reasonUnreadable, reasonInternal,
	}
	want := slices.Concat(own, trial.Reasons())
	var got []trial.Reason
	docs, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_0-9]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(docs), -1) {
		if listed[m[1]] != "" {
			t.Errorf("docs/api.md lists %s twice", m[1])
		}
		listed[m[1]] = m[2]
	}
	for _, r := range Reasons() {
		got = append(got, r.Reason)
		line := fmt.Sprintf("%s | %d | %s", r.CodeName(), r.HTTP, r.Meaning)
		if listed[string(r.Reason)] != line {
			t.Errorf("docs/api.md has %q for %s, want\n| `%s` | %s |", listed[string(r.Reason)], r.Reason, r.Reason, line)
		}
		delete(listed, string(r.Reason))
		if r.CodeName() == "" || r.Code == codes.OK || !strings.HasSuffix(r.Meaning, ".") {
			t.Errorf("%s: code %v, meaning %q", r.Reason, r.Code, r.Meaning)
		}
	}
	for r := range listed {
		t.Errorf("docs/api.md lists %s, which is no reason", r)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got reasons\n%v, want\n%v", got, want)
	}
}

// TestPage shows every call with its parameters and a command, and loads nothing
// from elsewhere.
func TestPage(t *testing.T) {
	w := newWorld(t)
	web := w.web()
	a := w.do(web, "GET", "/docs", nil)
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" || a.header.Get("Content-Security-Policy") != pageCSP {
		t.Fatalf("got %d %v", a.status, a.header)
	}
	var doc openAPI
	description := w.do(web, "GET", "/openapi.json", nil)
	if err := json.Unmarshal(description.body, &doc); err != nil || len(doc.Paths) < 9 {
		t.Fatalf("got %d paths (%v)", len(doc.Paths), err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			for _, want := range append([]string{path, strings.ToUpper(method)}, names(op.Parameters)...) {
				if !bytes.Contains(a.body, []byte("<code>"+want+"</code>")) && !bytes.Contains(a.body, []byte(">"+want+"<")) {
					t.Errorf("the page lacks %s of %s %s", want, method, path)
				}
			}
		}
	}
	for _, r := range Reasons() {
		if !bytes.Contains(a.body, []byte("<code>"+string(r.Reason)+"</code>")) {
			t.Errorf("the page lacks %s", r.Reason)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllSubmatch(a.body, -1) {
		if target := string(m[1]); target[0] == '#' {
			if !bytes.Contains(a.body, []byte(`id="`+target[1:]+`"`)) {
				t.Errorf("a link to %s, which is not there", target)
			}
		} else if got := w.do(web, "GET", target, nil); got.status != 200 {
			t.Errorf("a link to %s: got %d", target, got.status)
		}
	}
	if bytes.Contains(a.body, []byte("<style")) || bytes.Contains(a.body, []byte("style=")) || bytes.Contains(a.body, []byte("<script>")) {
		t.Error("the page has a style or script that its policy forbids")
	}
	want := notaryv1.File_notary_v1_notary_proto.Services().Get(0).Methods().Len()
	if n := bytes.Count(a.body, []byte("curl --cacert")); n != want {
		t.Errorf("got %d commands, want %d, one a call", n, want)
	}
	if again := w.do(web, "GET", "/docs", nil, "If-None-Match", a.header.Get("ETag")); again.status != 304 || len(again.body) != 0 {
		t.Errorf("got %d, want 304", again.status)
	}
}

func names(params []*parameterDoc) []string {
	var out []string
	for _, p := range params {
		out = append(out, p.Name)
	}
	return out
}
