package trial

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ManifestProofType stands in every proof file.
const ManifestProofType = "https://trialnotary.github.io/manifest-proof/v1"

// maxProof bounds a proof file, in bytes: 20 hashes, a path and digests.
const maxProof = 64 << 10

// ManifestProof shows that one file is in a manifest, without the others.
type ManifestProof struct {
	file   ManifestFile
	salt   []byte
	index  uint64
	files  uint64
	hashes [][]byte
}

// Prove returns the proof of one file. It fails with BAD_MANIFEST_PROOF where
// the manifest does not list it.
func (m *Manifest) Prove(path string) (*ManifestProof, error) {
	i, ok := m.find(path)
	if !ok {
		return nil, refuse(ReasonBadManifestProof, "", "the manifest does not list this file")
	}
	nodes, err := proof.Inclusion(uint64(i), m.Len())
	if err != nil {
		return nil, fmt.Errorf("proving a file: %w", err)
	}
	hashes := make([][]byte, len(nodes.IDs))
	for n, id := range nodes.IDs {
		hashes[n] = m.levels[id.Level][id.Index][:]
	}
	if hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
		return nil, fmt.Errorf("proving a file: %w", err)
	}
	return &ManifestProof{file: m.files[i], salt: m.salt(path), index: uint64(i), files: m.Len(), hashes: hashes}, nil
}

// ProveFile returns the proof file of one file: see [Manifest.Prove].
func (m *Manifest) ProveFile(path string) ([]byte, error) {
	p, err := m.Prove(path)
	if err != nil {
		return nil, err
	}
	return p.Marshal(), nil
}

// Path returns the file's path inside the folder.
func (p *ManifestProof) Path() string { return p.file.Path }

// Size returns the file's size in bytes.
func (p *ManifestProof) Size() uint64 { return p.file.Size }

// SHA256 returns the file's SHA-256.
func (p *ManifestProof) SHA256() [32]byte {
	sum, _ := p.file.Digests.Get(DigestSHA256) // checked when it was made
	return sum
}

// Digests returns the file's digests. They are shared.
func (p *ManifestProof) Digests() Digests { return p.file.Digests }

// Verify checks that the file is in the manifest whose root and number of files
// a statement names. It fails with MANIFEST_MISMATCH where the number differs,
// else with BAD_MANIFEST_PROOF.
func (p *ManifestProof) Verify(root [32]byte, files uint64) error {
	if p.files != files {
		return refuse(ReasonManifestMismatch, "files", "got a proof for %d files, want %d", p.files, files)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(appendLeaf(nil, p.file, p.salt))
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.index, p.files, leaf, p.hashes, root[:]); err != nil {
		return refuse(ReasonBadManifestProof, "", "the proof does not lead to the root")
	}
	return nil
}

// Marshal returns the proof file in its one spelling.
func (p *ManifestProof) Marshal() []byte {
	b := append([]byte(`{"type":"`), ManifestProofType...)
	b = append(b, `","leaf":`...)
	b = appendLeaf(b, p.file, p.salt)
	b = append(b, `,"index":`...)
	b = strconv.AppendUint(b, p.index, 10)
	b = append(b, `,"files":`...)
	b = strconv.AppendUint(b, p.files, 10)
	b = append(b, `,"hashes":[`...)
	for i, h := range p.hashes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, h)
		b = append(b, '"')
	}
	return append(b, "]}\n"...)
}

// ParseManifestProof reads a proof file. It accepts the one spelling of
// [ManifestProof.Marshal] only, and verifies nothing:
//
//	{"type":"https://trialnotary.github.io/manifest-proof/v1",
//	 "leaf":{"digests":{"sha256":"HEX"},"path":"dm.xpt","salt":"HEX","size":1234},
//	 "index":0,"files":2,"hashes":["BASE64"]}
//
// (without these line breaks, and with one at the end).
func ParseManifestProof(b []byte) (*ManifestProof, error) {
	if len(b) > maxProof {
		return nil, refuse(ReasonTooLarge, "", "got a proof of %d bytes, want at most %d", len(b), maxProof)
	}
	var p *ManifestProof
	refusal := readDocument(b, ReasonMalformedManifest, func(r *reader) {
		p = new(ManifestProof)
		p.read(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	if bad := checkManifestFile("leaf", p.file); bad != nil {
		return nil, bad
	}
	if !bytes.Equal(p.Marshal(), b) {
		return nil, refuse(ReasonMalformedManifest, "", "not in the one spelling of a proof: was the file edited?")
	}
	return p, nil
}

func (p *ManifestProof) read(r *reader) {
	var typ string
	var leaf, index, hashes bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "type":
			typ = r.line(maxName)
		case "leaf":
			p.file, leaf = r.manifestFile(&p.salt), true
		case "index":
			p.index, index = r.number(), true
		case "files":
			p.files = r.number()
		case "hashes":
			p.hashes, hashes = r.proofHashes(), true
		default:
			r.unknown()
		}
	}
	r.require("leaf", leaf)
	r.require("index", index)
	r.require("hashes", hashes)
	if typ != ManifestProofType {
		r.failAtf("type", ReasonMalformedManifest, "want %q", ManifestProofType)
	}
	if p.files > maxManifestFiles || p.index >= p.files {
		r.failAtf("index", ReasonMalformedManifest, "want an index below the number of files, which is at most %d", maxManifestFiles)
	}
}

func (r *reader) proofHashes() [][]byte {
	var out [][]byte
	r.begin('[')
	for r.more() {
		if len(out) == 64 {
			r.failf(ReasonTooLarge, "got more than 64 hashes")
			return nil
		}
		h := r.base64x32()
		out = append(out, h[:])
	}
	return out
}
