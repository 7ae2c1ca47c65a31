package receipt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const tlogProofHeader = "c2sp.org/tlog-proof@v1\n"

// TlogProof is a parsed C2SP tlog-proof. Nothing in it is verified.
type TlogProof struct {
	// Extra is opaque data that nothing authenticates; nil where there is none.
	// An exported receipt has its DSSE envelope there.
	Extra      []byte
	Index      uint64
	Path       []Hash
	Checkpoint Checkpoint
}

// ExportTlogProof returns the receipt's proof as a C2SP tlog-proof. The extra
// data is the DSSE envelope: with the signer's public key it rebuilds the log
// entry, whose RFC 6962 leaf hash the proof is about.
func ExportTlogProof(r *Receipt) []byte {
	return (&TlogProof{Extra: r.Envelope.Marshal(), Index: r.Index, Path: r.Path, Checkpoint: r.Checkpoint}).Marshal()
}

// Marshal writes the proof in its one spelling:
//
//	c2sp.org/tlog-proof@v1
//	extra eyJwYXls…
//	index 73894
//	gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//
//	notary.example
//	109482
//	sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//
//	— notary.example hI2DJw…
func (p *TlogProof) Marshal() []byte {
	enc := base64.StdEncoding
	b := []byte(tlogProofHeader)
	if p.Extra != nil {
		b = append(b, "extra "...)
		b = enc.AppendEncode(b, p.Extra)
		b = append(b, '\n')
	}
	b = append(b, "index "...)
	b = strconv.AppendUint(b, p.Index, 10)
	b = append(b, '\n')
	for i := range p.Path {
		b = enc.AppendEncode(b, p.Path[i][:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, p.Checkpoint.Note...)
}

// ParseTlogProof reads a C2SP tlog-proof in its one spelling: no carriage
// returns, leading zeros or missing newline, canonical base64.
func ParseTlogProof(text []byte) (*TlogProof, error) {
	p, err := parseTlogProof(text)
	if err != nil {
		return nil, fmt.Errorf("invalid tlog-proof: %w", err)
	}
	return p, nil
}

func parseTlogProof(text []byte) (*TlogProof, error) {
	if len(text) > MaxReceipt {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), MaxReceipt)
	}
	rest, ok := bytes.CutPrefix(text, []byte(tlogProofHeader))
	if !ok {
		return nil, fmt.Errorf("first line is not %q", strings.TrimSuffix(tlogProofHeader, "\n"))
	}
	head, checkpoint, ok := bytes.Cut(rest, []byte("\n\n"))
	if !ok {
		return nil, errors.New("no empty line before the checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	p := &TlogProof{}
	var err error
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		if p.Extra, err = decodeBase64(extra); err != nil {
			return nil, fmt.Errorf("extra: %w", err)
		}
		if p.Extra == nil {
			p.Extra = []byte{}
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return nil, errors.New("no index line")
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	if !ok {
		return nil, errors.New("no index line")
	}
	if p.Index, err = parseDecimal(index); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	lines = lines[1:]
	if len(lines) > maxPath {
		return nil, fmt.Errorf("got %d hashes, want at most %d", len(lines), maxPath)
	}
	for i, line := range lines {
		h, err := decodeHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i, err)
		}
		p.Path = append(p.Path, h)
	}
	if p.Checkpoint, err = ParseCheckpoint(slices.Clone(checkpoint)); err != nil {
		return nil, err
	}
	if p.Index >= p.Checkpoint.Size {
		return nil, fmt.Errorf("index %d is not below the tree size %d", p.Index, p.Checkpoint.Size)
	}
	if err := sameSpelling(p.Marshal(), text); err != nil {
		return nil, err
	}
	return p, nil
}
