package rpc

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// FuzzJSON: what the strict check accepts, protojson reads, and writes back to
// the same canonical JSON but for fields that have their zero value. So there is
// one meaning, and nothing was dropped.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQID","keyid":"x"}]}`,
		`{"id":"1","envelope":{"signatures":[]}}`, `{"receiptForm":"RECEIPT_FORM_PROOF"}`, `{"receiptForm":1}`, `{"trial":"\u0041","receipt":"{}","files":[{"name":"a","sha256":"b","size":"18446744073709551615"}]}`,
		`{}`, `null`, `{"a":1}`, `{"payload":"e30"}`, `{"trial":"x"} {}`, `{"files":[null]}`, "{\"trial\":\"\xff\"}", `{"trial":"\ud800"}`, `{"trial":"a","trial":"b"}`, `[`, `{"files":[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, m := range []proto.Message{new(notaryv1.Envelope), new(notaryv1.SubmitStreamRequest), new(notaryv1.VerifyRequest)} {
			if err := checkJSON(body, m.ProtoReflect().Descriptor(), nil); err != nil {
				if trial.ReasonOf(err) == "" {
					t.Fatalf("got %v, want a refusal", err)
				}
				continue
			}
			if err := protojson.Unmarshal(body, m); err != nil {
				t.Fatalf("accepted %q, which protojson refuses: %v", body, err)
			}
			back, err := protojson.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			in, out := withoutZero(t, body, m), withoutZero(t, back, m)
			if !bytes.Equal(in, out) {
				t.Fatalf("accepted %q, which means %q", in, out)
			}
		}
	})
}

// withoutZero is canonical JSON without fields of their zero value.
func withoutZero(t *testing.T, body []byte, m proto.Message) []byte {
	t.Helper()
	v := jsontext.Value(bytes.Clone(body))
	if err := v.Canonicalize(); err != nil {
		t.Fatalf("accepted %q, which is no I-JSON: %v", body, err)
	}
	text := string(v)
	for changed := true; changed; {
		before := text
		for _, zero := range []string{`""`, `[]`, `"0"`, `"RECEIPT_FORM_UNSPECIFIED"`} {
			text = dropFields(text, zero, m.ProtoReflect().Descriptor())
		}
		changed = text != before
	}
	return []byte(text)
}

// dropFields removes "name":zero for every name of the API's messages.
func dropFields(text, zero string, m protoreflect.MessageDescriptor) string {
	file := m.ParentFile().Messages()
	for i := range file.Len() {
		fields := file.Get(i).Fields()
		for j := range fields.Len() {
			member := `"` + fields.Get(j).JSONName() + `":` + zero
			for _, cut := range []string{"," + member, member + ","} {
				text = strings.ReplaceAll(text, cut+"}", "}")
				if strings.HasSuffix(cut, ",") {
					text = strings.ReplaceAll(text, "{"+cut, "{")
				} else {
					text = strings.ReplaceAll(text, cut+",", ",")
				}
			}
			text = strings.ReplaceAll(text, "{"+member+"}", "{}")
		}
	}
	return text
}

// FuzzToken: only what NewToken can have made is a token.
func FuzzToken(f *testing.F) {
	token, _ := NewToken()
	f.Add("Bearer " + token)
	f.Add("bearer tn_")
	f.Add("Basic x")
	f.Fuzz(func(t *testing.T, value string) {
		hash, err := parseBearer(value)
		if err != nil {
			if hash != [32]byte{} {
				t.Fatalf("got a hash and %v", err)
			}
			return
		}
		_, token, _ := strings.Cut(value, " ")
		if len(token) != tokenLength || !strings.HasPrefix(token, tokenPrefix) || !printable(token) {
			t.Fatalf("accepted %q", value)
		}
	})
}

// FuzzPageToken: no token but the one that was made is accepted.
func FuzzPageToken(f *testing.F) {
	key, bound := []byte(strings.Repeat("k", 32)), bind("rpc", &notary.Query{}, "user")
	made := page{size: 9, after: 4}.encode(key, bound)
	f.Add(made)
	f.Add(made[:len(made)-1])
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		p, further, err := parsePage(key, bound, token)
		if err == nil && further && (token != p.encode(key, bound) || token != made) {
			t.Fatalf("accepted %q", token)
		}
	})
}

// FuzzFront sends requests straight to the HTTP side: it never panics, every
// refusal is a status with a reason, and no header of the caller changes who it
// is.
func FuzzFront(f *testing.F) {
	w := newWorld(f)
	f.Add("GET", "/v1/checkpoint", "", "Grpc-Metadata-Authorization", "Bearer x", []byte(nil))
	f.Add("GET", "/v1/trials/x/statements", "pageSize=1", "X-Trialnotary-Handover", "e30", []byte(nil))
	f.Add("POST", "/v1/statements", "", "Content-Type", "application/json", []byte("{}"))
	f.Add("POST", "/v1/statements:stream", "", "Content-Type", ndjson, []byte("{}\n"))
	f.Add("GET", "/tile/0/000", "", "X-Http-Method-Override", "PUT", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, query, header, value string, body []byte) {
		if method == "" || strings.ContainsFunc(method, func(r rune) bool { return !isAlnum(byte(r)) || r > 0x7e }) {
			return
		}
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, ContentLength: int64(len(body)),
			Body: http.NoBody, RemoteAddr: "192.0.2.1:1", Host: "localhost", ProtoMajor: 1, ProtoMinor: 1,
		}
		if len(body) > 0 {
			r.Body = readCloser{bytes.NewReader(body)}
		}
		r.Header[http.CanonicalHeaderKey(header)] = []string{value}
		rec := httptest.NewRecorder()
		w.srv.web.Handler.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Fatalf("got %d %s", rec.Code, rec.Body)
		}
		if rec.Code >= 400 && !strings.Contains(rec.Body.String(), `"reason":`) {
			t.Fatalf("got %d %s, want a reason", rec.Code, rec.Body)
		}
		if rec.Code == 200 && strings.HasPrefix(path, "/v1/") && path != "/v1/checkpoint" && path != "/v1/statements/"+w.mark.String() {
			t.Fatalf("%s %s was answered without a credential: %s", method, path, rec.Body)
		}
		for _, one := range w.tiles.asked {
			if strings.Contains(one, "..") {
				t.Fatalf("the log was asked for %q", one)
			}
		}
		w.tiles.asked = nil
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// FuzzQuery: what the check accepts names known parameters, each once.
func FuzzQuery(f *testing.F) {
	all, err := routes(notaryv1.File_notary_v1_notary_proto.Services().ByName("NotaryService"))
	if err != nil {
		f.Fatal(err)
	}
	r, _, err := findRoute(all, "GET", "/v1/trials/x/statements")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("site=a&kind=b&from=2026-01-02T03:04:05Z&pageSize=5&pageToken=x")
	f.Add("site=a&site=b")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		if r.checkQuery(raw) != nil || raw == "" {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("accepted %q: %v", raw, err)
		}
		for name, v := range values {
			if len(v) != 1 || r.query[name] == nil {
				t.Fatalf("accepted %q", raw)
			}
		}
	})
}
