package rpc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestTilePaths asks a real log's server for files that are none of the log's, in
// every spelling, on a connection on which no client library mends the path.
func TestTilePaths(t *testing.T) {
	w, db := newRealWorld(t)
	dir := filepath.Dir(db.Path())
	secret := []byte("the secret of another file")
	outside := filepath.Join(dir, "secret")
	must(t, os.WriteFile(outside, secret, 0o600))
	// Whoever can write into the folder could do worse, and still: a link is not
	// followed to what is no tile.
	for _, name := range []string{"secret", "tile/secret", "tile/0/secret", "tile/0/x000"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, "log", name)), 0o750))
		must(t, os.Symlink(outside, filepath.Join(dir, "log", name)))
	}
	paths := []string{
		"/tile/../secret", "/tile/../../secret", "/tile/./../secret", "/tile/%2e%2e/secret", "/tile/%2e%2e%2fsecret",
		"/tile/..%2fsecret", "/tile/..%5csecret", `/tile/..\secret`, "/tile/..;/secret", "/tile/....//secret", "/tile/%252e%252e/secret",
		"//secret", "///tile/0/000", "//tile/0/000", "/tile//0/000", "/tile/0//000", "/tile/0/000/", "/tile/0/000.", "/tile/0/000..", "/tile/0/000 ",
		"/tile/0/000%00", "/tile/0/000%00.p/1", "/tile/0/%30%30%30", "/tile/0%2f000", "/tile/0/000%2f", "/tile/0/000?x", "/tile/0/000#x",
		"/tile/secret", "/tile/0/secret", "/tile/0/x000", "/tile/0/x000/000", "/tile/0/x000/x000/000", "/secret", "/notary.db", "/.state/treeState",
		"/tile/.state/treeState", "/tile/../.state/treeState", "/tile/-1/000", "/tile/+0/000", "/tile/0/+00", "/tile/0x0/000", "/tile/0/00", "/tile/0/0000",
		"/tile/63/000", "/tile/64/000", "/tile/256/000", "/tile/18446744073709551616/000", "/tile/0/999", "/tile/0/x999/999", "/tile/0/x999/x999/x999/999",
		"/tile/0/" + strings.Repeat("x999/", 500) + "999", "/tile/0/000.p", "/tile/0/000.p/", "/tile/0/000.p/0", "/tile/0/000.p/00", "/tile/0/000.p/256",
		"/tile/0/000.p/257", "/tile/0/000.p/-1", "/tile/0/000.p/1/1", "/tile/0/000.p/99999999999999999999", "/tile/0/000.P/1", "/tile/0/000.p/1.",
		"/tile/entries/../0/000", "/tile/entries/000.p/0", "/tile/ENTRIES/000", "/Tile/0/000", "/TILE/0/000", "/tile", "/tile/", "/tile/0", "/tile/0/",
		"/tile/entries", "/tile/entries/", "/checkpoint/", "/checkpoint/.", "/checkpoint/..", "/checkpoint.", "/checkpoint%00", "/Checkpoint", "/./checkpoint",
		"/tile/0/000\x7f", "/tile/0/\u0660\u0660\u0660", "/tile/0/%d9%a0%d9%a0%d9%a0", "/tile/0/" + strings.Repeat("0", 8000),
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD"} {
			conn := w.rawH1()
			_, err := io.WriteString(conn, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			must(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			if err != nil {
				t.Errorf("%s %q: %v", method, path, err)
				continue
			}
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest || bytes.Contains(body, secret) || bytes.Contains(body, []byte(dir)) {
				t.Errorf("%s %q: got %d %s, want 404 or 400", method, path, resp.StatusCode, body)
			}
		}
	}
	for name, want := range map[string]int{"HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405, "TRACE": 405, "PROPFIND": 405} {
		a := w.do(w.web(), name, "/checkpoint", nil)
		if a.status != want || (a.header.Get("Allow") == "GET, HEAD") != (want == 405) || want == 200 && len(a.body) > 0 {
			t.Errorf("%s: got %d %s, Allow %q", name, a.status, a.body, a.header.Get("Allow"))
		}
	}
	get, head := w.do(w.web(), "GET", "/checkpoint", nil), w.do(w.web(), "HEAD", "/checkpoint", nil)
	if fmt.Sprint(len(get.body)) != head.header.Get("Content-Length") || get.header.Get("Content-Type") != head.header.Get("Content-Type") {
		t.Errorf("HEAD tells %v, GET %v", head.header, get.header)
	}
}

// TestWrongPort tells a gRPC client that it dialled the HTTP port.
func TestWrongPort(t *testing.T) {
	w := newWorld(t)
	w.grpcAddr = w.httpAddr
	_, err := w.grpc().GetCheckpoint(w.asCtx("sponsor"), &notaryv1.GetCheckpointRequest{})
	if st := status.Convert(err); reasonIn(st) != "NO_SUCH_PATH" || !strings.Contains(st.Message(), "HTTP port") {
		t.Errorf("got %v, want it to name the HTTP port", err)
	}
}

// TestAlteredReceipts asks the notary to verify receipts whose index, size, root
// or statement was swapped, in its own trial and in another one.
func TestAlteredReceipts(t *testing.T) {
	r := newRealStudy(t)
	other := newStudy(t, "Other", trial.Registry{"nct": "NCT07654321"})
	if _, st := r.both(t, "other", other.charter); st != nil {
		t.Fatal(st)
	}
	client := r.grpc()
	bundleOf := func(id string) string {
		got, err := client.GetReceipt(r.asCtx("sponsor"), &notaryv1.GetReceiptRequest{StatementId: id})
		must(t, err)
		return got.GetReceipt().GetBundle()
	}
	mine, elsewhere := bundleOf(r.mine.GetStatementId()), bundleOf(r.elsewhere.GetStatementId())
	part := func(bundle string, path ...string) string {
		var v any
		must(t, json.Unmarshal([]byte(bundle), &v))
		for _, p := range path {
			if list, ok := v.([]any); ok {
				v = list[0]
			}
			v = v.(map[string]any)[p]
		}
		return v.(string)
	}
	swap := func(path ...string) string {
		a, b := part(mine, path...), part(elsewhere, path...)
		if a == b {
			b = strings.Repeat("A", len(a)-1) + a[len(a)-1:]
			if path[len(path)-1] == "treeSize" {
				b = "1" + a
			}
		}
		return strings.ReplaceAll(mine, `"`+a+`"`, `"`+b+`"`)
	}
	proof := []string{"verificationMaterial", "tlogEntries", "inclusionProof"}
	altered := map[string]string{
		"index":          swap("verificationMaterial", "tlogEntries", "logIndex"),
		"size":           swap(append(proof, "treeSize")...),
		"root":           swap(append(proof, "rootHash")...),
		"entry":          swap("verificationMaterial", "tlogEntries", "canonicalizedBody"),
		"payload":        swap("dsseEnvelope", "payload"),
		"signature":      strings.Replace(mine, part(mine, "dsseEnvelope", "signatures", "sig"), part(elsewhere, "dsseEnvelope", "signatures", "sig"), 1),
		"log":            swap("verificationMaterial", "tlogEntries", "logId", "keyId"),
		"nothing at all": "{}",
	}
	for name, bundle := range altered {
		if bundle == mine {
			t.Errorf("%s: nothing was altered", name)
		}
		req := &notaryv1.VerifyRequest{Trial: r.id.String(), Receipt: bundle, Files: []*notaryv1.FileDigest{{Name: "ae.json", Sha256: sha("ae.json")}}}
		resp, err := client.Verify(r.asCtx("sponsor"), req)
		if st := status.Convert(err); resp.GetVerified() || err != nil && (st.Code() != codes.InvalidArgument || reasonIn(st) == "") {
			t.Errorf("%s: got %v (%v), want a negative verdict or a named refusal", name, resp, err)
		}
		body, _ := protojson.Marshal(req)
		a := r.do(r.web(), "POST", "/v1/verify", body, append(r.as("sponsor"), "Content-Type", "application/json")...)
		compare(t, "sponsor", resp, err, a, new(notaryv1.VerifyResponse))
	}
	// A good receipt is none in another trial, nor is another's in this one.
	theirs, err := client.GetReceipt(r.asCtx("other"), &notaryv1.GetReceiptRequest{StatementId: other.id.String()})
	must(t, err)
	for user, req := range map[string]*notaryv1.VerifyRequest{
		"other":   {Trial: other.id.String(), Receipt: mine},
		"sponsor": {Trial: r.id.String(), Receipt: theirs.GetReceipt().GetBundle()},
	} {
		resp, err := client.Verify(r.asCtx(user), req)
		if err != nil || resp.GetVerified() {
			t.Errorf("another trial's receipt as %s: got %v (%v), want a negative verdict", user, resp, err)
		}
	}
}

// TestNothingToLearn holds every answer about what is another trial's equal to
// that about what is not there: code, headers and bytes, over both transports.
func TestNothingToLearn(t *testing.T) {
	r := newRealStudy(t)
	hidden, absent := r.elsewhere.GetStatementId(), strings.Repeat("5", 64)
	for _, user := range []string{"other", "site", "operator", ""} {
		for _, path := range []string{"/v1/statements/%s", "/v1/statements/%s/receipt", "/v1/trials/%s/statements", "/v1/trials/%s/trust", "/v1/trials/%s/statements?site=DE-01"} {
			id := hidden
			if strings.Contains(path, "trials") {
				if id = r.id.String(); user == "site" {
					continue // its own
				}
			}
			headers := append(r.as(user), "X-Request-Id", "same")
			a, b := r.do(r.web(), "GET", fmt.Sprintf(path, id), nil, headers...), r.do(r.web(), "GET", fmt.Sprintf(path, absent), nil, headers...)
			a.header.Del("Date")
			b.header.Del("Date")
			if a.status < 400 || a.status != b.status || !bytes.Equal(a.body, b.body) || fmt.Sprint(a.header) != fmt.Sprint(b.header) {
				t.Errorf("%s as %q: got %d %v %s for what is hidden, %d %v %s for what is not there", path, user, a.status, a.header, a.body, b.status, b.header, b.body)
			}
		}
	}
}
