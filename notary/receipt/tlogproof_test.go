package receipt

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trialnotary/trialnotary/trial"
)

// The export proves the entry, which is rebuilt from the extra data and the
// signer's key, to somebody who has only the log's key.
func TestTlogProofVerifies(t *testing.T) {
	s := newStory(t)
	text := ExportTlogProof(mustParse(t, s.receipt(s.dataset)))
	p, err := ParseTlogProof(text)
	if err != nil {
		t.Fatal(err)
	}
	env, err := trial.ParseEnvelope(p.Extra)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCheckpoint(p.Checkpoint.Note, s.log)
	if err != nil {
		t.Fatal(err)
	}
	leaf := LeafHash(Entry(env, s.coordinator.key))
	var path [][]byte
	for _, h := range p.Path {
		path = append(path, slices.Clone(h[:]))
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, leaf[:], path, c.Root[:]); err != nil {
		t.Error(err)
	}
	var other fproof.TLogProof
	if err := other.Unmarshal(text); err != nil || !bytes.Equal(other.Marshal(), text) || other.Index != s.dataset {
		t.Errorf("transparency-dev/formats reads %+v: %v", other, err)
	}
}

func TestTlogProofRefused(t *testing.T) {
	s := newStory(t)
	good := string(ExportTlogProof(mustParse(t, s.receipt(s.dataset))))
	if _, err := ParseTlogProof([]byte(good)); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(good, "\n")
	for name, text := range map[string]string{
		"empty":                   "",
		"another version":         strings.Replace(good, "@v1", "@v2", 1),
		"carriage returns":        strings.ReplaceAll(good, "\n", "\r\n"),
		"one carriage return":     strings.Replace(good, "\n", "\r\n", 1),
		"no final newline":        strings.TrimSuffix(good, "\n"),
		"a newline more":          good + "\n",
		"leading zero":            strings.Replace(good, "index ", "index 0", 1),
		"no index":                strings.Replace(good, lines[2], "", 1),
		"index after the hashes":  strings.Join(slices.Concat(lines[:2], lines[3:4], lines[2:3], lines[4:]), ""),
		"index beyond the tree":   strings.Replace(good, lines[2], "index 99\n", 1),
		"extra twice":             strings.Replace(good, lines[1], lines[1]+lines[1], 1),
		"extra not base64":        strings.Replace(good, "extra ", "extra *", 1),
		"extra after the index":   strings.Join(slices.Concat(lines[:1], lines[2:3], lines[1:2], lines[3:]), ""),
		"hash too short":          strings.Replace(good, lines[3], "AAAA\n", 1),
		"hash without padding":    strings.Replace(good, lines[3], strings.Replace(lines[3], "=", "", 1), 1),
		"no empty line":           strings.Replace(good, "\n\n", "\n", 1),
		"checkpoint without sig":  good[:strings.LastIndex(good, "— ")],
		"too many hashes":         strings.Replace(good, lines[3], strings.Repeat(lines[3], 64), 1),
		"beyond the limit":        good + strings.Repeat("x", MaxReceipt),
		"only the first line":     tlogProofHeader,
		"extra and nothing else":  tlogProofHeader + lines[1] + "\n",
		"space before the header": " " + good,
	} {
		if _, err := ParseTlogProof([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzTlogProof(f *testing.F) {
	s := newStory(f)
	f.Add(ExportTlogProof(mustParse(f, s.receipt(s.dataset))))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\na\n1\nAAAA\n\n— a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseTlogProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Marshal(), b) {
			t.Errorf("accepted %q, writes %q", b, p.Marshal())
		}
		var other fproof.TLogProof
		if err := other.Unmarshal(b); err != nil || other.Index != p.Index || len(other.Hashes) != len(p.Path) {
			t.Errorf("transparency-dev/formats reads %q otherwise: %v", b, err)
		}
	})
}
