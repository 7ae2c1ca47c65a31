package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// stockCase changes one thing of a good receipt or its file. What each tool
// ignores is stated: a test of ours fails when a new version of a tool changes
// its mind.
type stockCase struct {
	name   string
	change func(t *testing.T, b bundle, file []byte) []byte // returns the file
	// cosign and js tell whether the tool must refuse it. Ours always must.
	cosign, js bool
}

type bundle = map[string]any

var stockCases = []stockCase{
	{"altered file", func(_ *testing.T, _ bundle, file []byte) []byte { return flip(file, len(file)/2) }, true, true},
	{"altered statement", inEnvelope(func(e bundle) { e["payload"] = flipBase64(e["payload"]) }), true, true},
	{"altered signature", inEnvelope(func(e bundle) {
		s := e["signatures"].([]any)[0].(bundle)
		s["sig"] = flipBase64(s["sig"])
	}), true, true},
	{"altered proof hash", inProof(func(p bundle) {
		hashes := p["hashes"].([]any)
		hashes[0] = flipBase64(hashes[0])
	}), true, true},
	{"missing proof hash", inProof(func(p bundle) { p["hashes"] = p["hashes"].([]any)[1:] }), true, true},
	{"altered checkpoint signature", inProof(func(p bundle) {
		c := p["checkpoint"].(bundle)
		note := strings.TrimSuffix(c["envelope"].(string), "\n")
		c["envelope"] = note[:len(note)-12] + "AAAAAAAAAAA=" + "\n"
	}), true, true},
	{"altered proof index", inProof(func(p bundle) { p["logIndex"] = "0" }), false, true},
	{"altered root", inProof(func(p bundle) { p["rootHash"] = flipBase64(p["rootHash"]) }), false, false},
	{"altered tree size", inProof(func(p bundle) { p["treeSize"] = "1000000" }), false, false},
	{"altered outer index", inEntry(func(e bundle) { e["logIndex"] = "0" }), true, false},
	{"altered entry body", inEntry(func(e bundle) { e["canonicalizedBody"] = alterBody(e["canonicalizedBody"]) }), false, true},
	{"altered log id", inEntry(func(e bundle) {
		id := e["logId"].(bundle)
		id["keyId"] = flipBase64(id["keyId"])
	}), true, true},
}

func inEntry(change func(bundle)) func(*testing.T, bundle, []byte) []byte {
	return func(_ *testing.T, b bundle, file []byte) []byte {
		change(b["verificationMaterial"].(bundle)["tlogEntries"].([]any)[0].(bundle))
		return file
	}
}

func inProof(change func(bundle)) func(*testing.T, bundle, []byte) []byte {
	return inEntry(func(e bundle) { change(e["inclusionProof"].(bundle)) })
}

func inEnvelope(change func(bundle)) func(*testing.T, bundle, []byte) []byte {
	return func(_ *testing.T, b bundle, file []byte) []byte {
		change(b["dsseEnvelope"].(bundle))
		return file
	}
}

func flip(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

// flipBase64 changes one bit of the decoded bytes and keeps the spelling valid.
func flipBase64(v any) string {
	var raw []byte
	if err := json.Unmarshal([]byte(`"`+v.(string)+`"`), &raw); err != nil {
		panic(err)
	}
	out, err := json.Marshal(flip(raw, len(raw)/2))
	if err != nil {
		panic(err)
	}
	return strings.Trim(string(out), `"`)
}

// alterBody changes the payload hash of an entry and keeps the entry's form. A
// bit flipped just anywhere would make some entries malformed and leave others
// well-formed, by the chance of their keys.
func alterBody(v any) string {
	body, err := base64.StdEncoding.DecodeString(v.(string))
	if err != nil {
		panic(err)
	}
	const label = `"digest":"`
	at := bytes.Index(body, []byte(label)) + len(label)
	if at < len(label) {
		panic("the entry has no digest: " + string(body))
	}
	if body[at] == 'A' {
		body[at] = 'B'
	} else {
		body[at] = 'A'
	}
	return base64.StdEncoding.EncodeToString(body)
}

// TestStockTools verifies each receipt of the demo with cosign and
// @sigstore/verify, and then what is altered.
func TestStockTools(t *testing.T) {
	dir := demo(t)
	receipts, err := filepath.Glob(filepath.Join(dir, "receipts", "*.receipt.json"))
	if err != nil || len(receipts) == 0 {
		t.Fatalf("the demo left no receipts in %s/receipts: %v", dir, err)
	}
	js := startJS(t)
	for _, path := range receipts {
		name := strings.TrimSuffix(filepath.Base(path), ".receipt.json")
		t.Run("good "+name, func(t *testing.T) {
			file := findInput(t, dir, name)
			key := keyOf(t, dir, path)
			if err := cosign(t, dir, path, key, file); err != nil {
				t.Errorf("cosign refuses a good receipt: %v", err)
			}
			if err := js.verify(dir, path, key, file); err != nil {
				t.Errorf("@sigstore/verify refuses a good receipt: %v", err)
			}
		})
	}
	path := receipts[0]
	file := findInput(t, dir, strings.TrimSuffix(filepath.Base(path), ".receipt.json"))
	key := keyOf(t, dir, path)
	for _, c := range stockCases {
		t.Run(c.name, func(t *testing.T) {
			var b bundle
			if err := json.Unmarshal(read(t, path), &b); err != nil {
				t.Fatal(err)
			}
			content := c.change(t, b, read(t, file))
			encoded, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			altered, alteredFile := write(t, "altered.receipt.json", encoded), write(t, filepath.Base(file), content)
			check(t, "cosign", cosign(t, dir, altered, key, alteredFile), c.cosign)
			check(t, "@sigstore/verify", js.verify(dir, altered, key, alteredFile), c.js)
			check(t, "notary verify", ours(t, dir, altered, alteredFile), true)
		})
	}
}

func check(t *testing.T, tool string, err error, refuses bool) {
	t.Helper()
	if refuses && err == nil {
		t.Errorf("%s accepts it", tool)
	}
	if !refuses && err != nil {
		t.Errorf("%s refuses it now (good: change the table): %v", tool, err)
	}
}

func findInput(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyOf finds the signer's key in the trust folder, as a user of a stock tool
// would.
func keyOf(t *testing.T, dir, path string) string {
	t.Helper()
	r, err := receipt.Parse(read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	st, err := trial.ParseStatement(r.Envelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "trust", "keys", st.Predicate.Signer.KeyID.String()+".pub")
}

func cosign(t *testing.T, dir, receipt, key, file string) error {
	t.Helper()
	cmd := command(".", "cosign", "verify-blob-attestation", "--bundle", receipt,
		"--trusted-root", filepath.Join(dir, "trust", "trusted_root.json"), "--key", key,
		"--type", trial.PredicateType, file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		if _, ok := err.(*exec.ExitError); !ok { //nolint:errorlint // exec returns it unwrapped
			t.Fatalf("running cosign (make e2etools builds it): %v", err)
		}
		return &commandError{"cosign", out, err}
	}
	return nil
}

func ours(t *testing.T, dir, receipt, file string) error {
	t.Helper()
	cmd := command("..", "go", "run", "./cmd/notary", "verify", "--receipt", receipt, "--trust", filepath.Join(dir, "trust"), file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &commandError{"notary verify", out, err}
	}
	return nil
}
