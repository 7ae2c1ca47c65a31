package receipt

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trialnotary/trialnotary/trial"
)

func TestTrustReadsWhatItWrites(t *testing.T) {
	s := newStory(t)
	files := s.fullTrust().Files()
	again, err := ParseTrust(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Files(); !maps.EqualFunc(got, files, bytes.Equal) {
		t.Errorf("got %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(files)))
	}
	for _, want := range []string{"authority/000000000001.receipt.json", "authority/000000000001.evidence.json", "authority/as-of.json"} {
		if files[want] == nil {
			t.Errorf("no %s in %v", want, slices.Sorted(maps.Keys(files)))
		}
	}
	files[".DS_Store"], files["README.md"], files["authority/notes.txt"] = []byte("x"), []byte("y"), []byte("z")
	if _, err := ParseTrust(files); err != nil {
		t.Errorf("a file of another name is not ignored: %v", err)
	}
}

func TestFingerprintCoversAnchorsAlone(t *testing.T) {
	s := newStory(t)
	anchors, full := s.trust(), s.fullTrust()
	want := anchors.Fingerprint()
	if full.Fingerprint() != want || len(want) != 64 || strings.ToLower(want) != want {
		t.Errorf("got %s, want %s", full.Fingerprint(), want)
	}
	other := newWorld(t)
	other.charter[0] ^= 1
	if other.trust().Fingerprint() == want {
		t.Error("another charter, the same fingerprint")
	}
	// A remark in the policy changes what was compared, so it shows.
	files := anchors.Files()
	files[filePolicy] = append([]byte("# remark\n"), files[filePolicy]...)
	remarked, err := ParseTrust(files)
	if err != nil {
		t.Fatal(err)
	}
	if remarked.Fingerprint() == want {
		t.Error("another policy text, the same fingerprint")
	}
}

// The fixed value holds the definition in docs/formats.md.
func TestFingerprintIsFixed(t *testing.T) {
	w := newWorld(t)
	w.charter = trial.ID{1, 2, 3}
	const want = "9dc23d67ce0861ac3a0208a5d35e6d50fb1d8f82d7af8f0c94321535b71e8f36"
	if got := w.trust().Fingerprint(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTrustedRootIsSigstores(t *testing.T) {
	k := logKey(t, testOrigin, "log")
	text := marshalTrustedRoot([]LogKey{k})
	var root trustroot.TrustedRoot
	if err := protojson.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if err := checkTrustedRoot(text, []LogKey{k}); err != nil {
		t.Error(err)
	}
	for name, change := range map[string][2]string{
		"other key details": {"PKIX_ED25519", "PKIX_ED25519_PH"},
		"other hash":        {"SHA2_256", "SHA2_512"},
		"plain HTTP":        {"https://", "http://"},
		"a path":            {"https://" + testOrigin, "https://" + testOrigin + "/log"},
		"no start":          {`"start": "1970-01-01T00:00:00Z"`, ``},
		"unknown field":     {`"tlogs"`, `"more": 1, "tlogs"`},
		"other media type":  {"version=0.1", "version=0.2"},
		"log id":            {`"logId": {"keyId": "`, `"logId": {"keyId": "AAAA`},
		"checkpoint key id": {`"logId"`, `"checkpointKeyId": {"keyId": "AAAA"}, "logId"`},
		"no log":            {`"tlogs": [`, `"ctlogs": [`},
		"key":               {`"rawBytes": "MCow`, `"rawBytes": "MCox`},
	} {
		bad := strings.Replace(string(text), change[0], change[1], 1)
		if bad == string(text) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := checkTrustedRoot([]byte(bad), []LogKey{k}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTrustRefusesAuthorityOutOfOrder(t *testing.T) {
	s := newStory(t)
	tr := s.trust()
	if err := tr.AddAuthority(s.receipt(s.authority[1]), nil); err != nil {
		t.Fatal(err)
	}
	if err := tr.AddAuthority(s.receipt(s.authority[0]), nil); err == nil {
		t.Error("accepted an earlier receipt after a later one")
	}
	if err := tr.AddAuthority(s.receipt(s.authority[2]), s.evidence(s.dataset)); err == nil {
		t.Error("accepted authority inside the evidence of an authority receipt")
	}
	if err := tr.AddAuthority([]byte("{}"), nil); err == nil {
		t.Error("accepted what is no receipt")
	}
}

// joinFolder puts a folder into one text for the fuzzer: name and content of
// each file, each ended by NUL.
func joinFolder(files map[string][]byte) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b = append(append(append(append(b, name...), 0), files[name]...), 0)
	}
	return b
}

func splitFolder(b []byte) map[string][]byte {
	files := map[string][]byte{}
	parts := bytes.Split(b, []byte{0})
	for i := 0; i+1 < len(parts); i += 2 {
		files[string(parts[i])] = parts[i+1]
	}
	return files
}

func FuzzTrust(f *testing.F) {
	s := newStory(f)
	f.Add(joinFolder(s.trust().Files()))
	f.Add(joinFolder(s.fullTrust().Files()))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := ParseTrust(splitFolder(b))
		if err != nil {
			return
		}
		files := tr.Files()
		again, err := ParseTrust(files)
		if err != nil || again.Fingerprint() != tr.Fingerprint() || !maps.EqualFunc(again.Files(), files, bytes.Equal) {
			t.Errorf("read %q, wrote something else: %v", b, err)
		}
		for name, text := range files {
			if got := splitFolder(b)[name]; !bytes.Equal(got, text) {
				t.Errorf("%s: accepted %q, writes %q", name, got, text)
			}
		}
	})
}

func FuzzEvidence(f *testing.F) {
	s := newStory(f)
	f.Add(s.evidence(s.dataset))
	f.Add([]byte(`{"mediaType":"` + EvidenceMediaType + `","authority":[],"timeMarks":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Errorf("accepted %q, writes %q", b, e.Bytes())
		}
	})
}
