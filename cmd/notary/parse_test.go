package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte("server: a:1\ntiles: https://a\nsite: \"701\"\ninsecure: true\n"))
	if err != nil || c.Server != "a:1" || c.Site != "701" || !c.Insecure || c.Tiles != "https://a" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, text := range []string{"", "\n", "# only a comment\n"} {
		if c, err := parseConfig([]byte(text)); err != nil || c != (config{}) {
			t.Errorf("%q: got %+v, %v, want the zero value", text, c, err)
		}
	}
	for what, text := range map[string]string{
		"unknown field": "server: a:1\nsever: b:1\n",
		"twice":         "server: a:1\nserver: b:1\n",
		"two documents": "server: a:1\n---\nserver: b:1\n",
		"a list":        "- server\n",
		"not YAML":      "server: [\n",
		"wrong type":    "insecure: maybe\n",
		"large":         "server: " + strings.Repeat("a", maxConfig),
	} {
		if _, err := parseConfig([]byte(text)); err == nil {
			t.Errorf("%s: got no error, want one", what)
		}
	}
}

func TestConfigPathsAreRelativeToItsFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "n.yaml")
	if err := os.WriteFile(path, []byte("key: a.key\ntrust: /abs/trust\nserver: a:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(path)
	if err != nil || c.Key != filepath.Join(dir, "a.key") || c.Trust != "/abs/trust" || c.Token != "" || c.Server != "a:1" {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := readConfig(filepath.Join(dir, "absent.yaml")); err == nil {
		t.Error("a named file that is absent: got no error, want one")
	}
	t.Chdir(t.TempDir())
	if c, err := readConfig(""); err != nil || c != (config{}) {
		t.Errorf("no notary.yaml: got %+v, %v, want the zero value", c, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("server: a:1\nkey: b\n"))
	f.Add([]byte("server: &a b\ntoken: *a\n"))
	f.Add([]byte("a: b\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err != nil && c != (config{}) {
			t.Errorf("got %+v with an error, want nothing", c)
		}
	})
}

func testRequest(tb testing.TB) []byte {
	tb.Helper()
	priv, err := trial.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	pub, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		tb.Fatal(err)
	}
	h := holderFlags{
		id: "berg", holder: "person", name: "Anna Berg", organisation: "Charité", organisationType: "site",
		roles: []string{"site-coordinator"}, sites: []string{"701"}, from: "2026-01-31", until: "2027-01-31T00:00:00Z",
	}
	body, err := h.prove(&signer{priv: priv, pub: pub}, trial.ID{1})
	if err != nil {
		tb.Fatal(err)
	}
	text, err := (&enrolmentRequest{Type: requestType, Charter: trial.ID{1}, Body: body}).marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestParseRequest(t *testing.T) {
	text := testRequest(t)
	r, err := parseRequest(text)
	if err != nil || r.Body.Name != "Anna Berg" || r.Body.From == nil || r.Charter != (trial.ID{1}) {
		t.Fatalf("got %+v, %v", r, err)
	}
	for what, change := range map[string]func(string) string{
		"cut":         func(s string) string { return s[:len(s)-3] },
		"type":        func(s string) string { return strings.Replace(s, requestType, "other", 1) },
		"unknown":     func(s string) string { return strings.Replace(s, `"type"`, `"x": 1, "type"`, 1) },
		"twice":       func(s string) string { return strings.Replace(s, `"type"`, `"charter": "", "type"`, 1) },
		"spelling":    func(s string) string { return strings.ReplaceAll(s, "  ", " ") },
		"trailing":    func(s string) string { return s + "{}" },
		"no proof":    func(s string) string { return strings.Replace(s, `"proof"`, `"orcid"`, 1) },
		"no body":     func(s string) string { before, _, _ := strings.Cut(s, `"body"`); return before + `"body": null}` },
		"another key": func(s string) string { return strings.Replace(s, `"key": "MFkw`, `"key": "MFkx`, 1) },
		"large":       func(s string) string { return s + strings.Repeat(" ", maxRequest) },
	} {
		if _, err := parseRequest([]byte(change(string(text)))); err == nil {
			t.Errorf("%s: got no error, want one", what)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"type":"trialnotary-enrolment-request-v1","charter":"","body":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRequest(text)
		if err != nil {
			return
		}
		again, err := r.marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("accepted %q and wrote %q, %v", text, again, err)
		}
	})
}

func FuzzParsePredicate(f *testing.F) {
	f.Add([]byte(`{"kind":"dataset","version":"1","body":{"purpose":"lock","dictionaries":{"MedDRA":"27.0"}}}`))
	f.Add([]byte(`{"kind":"ethics-decision","body":{"approves":["x"],"documents":[{"id":"a","version":"1"}]}}`))
	f.Add([]byte(`{"declaredTime":{"utc":"2026-01-31T00:00:00Z","zone":"UTC"},"lineage":["a"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePredicate(text)
		if err != nil {
			return
		}
		flags := predicateFlags{}
		_, _ = flags.declaredTime(p)
		if body, err := flags.body.build(p.Kind, p.Body); err == nil && body == nil {
			t.Errorf("%q: got no body and no error", text)
		}
	})
}

func TestParseFlags(t *testing.T) {
	for in, want := range map[string]trial.Site{
		"701=Charité":            {ID: "701", Name: "Charité"},
		"701=Charité,DE":         {ID: "701", Name: "Charité", Country: "DE"},
		"701=Charité, Berlin":    {ID: "701", Name: "Charité, Berlin"},
		"701=Charité, Berlin,DE": {ID: "701", Name: "Charité, Berlin", Country: "DE"},
	} {
		if got, err := parseSite(in); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "701", "=Name", "701="} {
		if _, err := parseSite(in); err == nil {
			t.Errorf("%q: got no error, want one", in)
		}
	}
	for _, in := range []string{"", "nct", "nct=", "=1"} {
		if err := addRegistry(trial.Registry{}, []string{in}); err == nil {
			t.Errorf("%q: got no error, want one", in)
		}
	}
	for _, in := range []string{"yesterday", "2026-13-01", "01.02.2026", "2026-01-31T10:00"} {
		if _, err := parseTimeFlag("--from", in); err == nil {
			t.Errorf("%q: got no error, want one", in)
		}
	}
}

func TestNameInside(t *testing.T) {
	names := map[string]bool{"sub/a.csv": true, "a.csv": true, "b.csv": true}
	has := func(n string) bool { return names[n] }
	for path, want := range map[string]string{
		"x/sub/a.csv": "sub/a.csv", "x/a.csv": "a.csv", "sub/b.csv": "b.csv", "c.csv": "-",
	} {
		if got := nameInside(filepath.FromSlash(path), has, "-"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
