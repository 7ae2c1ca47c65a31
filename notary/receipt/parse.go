package receipt

import (
	"bytes"
	"fmt"

	"github.com/trialnotary/trialnotary/trial"
)

// Parse reads a receipt. It accepts the one spelling that Build writes: it
// parses, marshals and compares the bytes, so unknown, repeated, reordered or
// respelt fields are refused. It verifies nothing; the receipt keeps text.
func Parse(text []byte) (*Receipt, error) {
	if len(text) > MaxReceipt {
		return nil, fmt.Errorf("invalid receipt: got %d bytes, want at most %d", len(text), MaxReceipt)
	}
	s := scanner{text: text}
	r := s.bundle()
	if s.err == nil {
		s.err = sameSpelling(r.marshal(), text)
	}
	if s.err != nil {
		return nil, fmt.Errorf("invalid receipt: %w", s.err)
	}
	r.raw = text
	return r, nil
}

// scanner walks through the one spelling of a receipt: fixed pieces, and between
// them what varies. A JSON parser would accept more and take three times as
// long. After the first error it does nothing.
type scanner struct {
	text []byte
	at   int
	err  error
}

// bundle reads in the order of marshal.
func (s *scanner) bundle() *Receipt {
	r := &Receipt{Path: []Hash{}}
	s.piece(bundleHead)
	r.KeyHint = string(s.value())
	if _, err := trial.ParseKeyID(r.KeyHint); err != nil {
		s.failf("hint: %w", err)
	}
	s.piece(bundleOuterIndex)
	r.OuterIndex = s.number("logIndex")
	s.piece(bundleLogID)
	r.LogID = s.hash("logId.keyId")
	s.piece(bundleProofIndex)
	r.Index = s.number("inclusionProof.logIndex")
	s.piece(bundleRoot)
	r.Root = s.hash("inclusionProof.rootHash")
	s.piece(bundleSize)
	r.Size = s.number("inclusionProof.treeSize")
	s.piece(bundleHashes)
	for s.err == nil && s.at < len(s.text) && s.text[s.at] != ']' {
		if len(r.Path) > 0 {
			s.piece(",")
		}
		s.piece(`"`)
		r.Path = append(r.Path, s.hash("inclusionProof.hashes"))
		s.piece(`"`)
		if len(r.Path) > maxPath {
			s.failf("inclusionProof.hashes: got more than %d hashes", maxPath)
		}
	}
	s.piece(bundleCheckpoint)
	r.Checkpoint = s.checkpoint()
	s.piece(bundleBody)
	r.Entry = s.base64("canonicalizedBody")
	if len(r.Entry) > MaxEntry {
		s.failf("canonicalizedBody: got %d bytes, want at most %d", len(r.Entry), MaxEntry)
	}
	s.piece(bundleEnvelope)
	r.Envelope = s.envelope()
	return r
}

func (s *scanner) failf(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

// piece steps over a fixed piece.
func (s *scanner) piece(want string) {
	if s.err != nil {
		return
	}
	rest := s.text[s.at:]
	if len(rest) < len(want) || string(rest[:len(want)]) != want {
		got := rest[:min(len(rest), len(want))]
		s.failf("not the one spelling of a Sigstore bundle v0.3: got %.80q at byte %d, want %.80q", got, s.at, want)
		return
	}
	s.at += len(want)
}

// value returns what stands before the next quotation mark.
func (s *scanner) value() []byte {
	if s.err != nil {
		return nil
	}
	n := bytes.IndexByte(s.text[s.at:], '"')
	if n < 0 {
		s.failf("not the one spelling of a Sigstore bundle v0.3: the text ends inside a value")
		return nil
	}
	v := s.text[s.at : s.at+n]
	s.at += n
	return v
}

func (s *scanner) number(name string) uint64 {
	n, err := parseDecimal(string(s.value()))
	if err != nil {
		s.failf("%s: %w", name, err)
	}
	return n
}

func (s *scanner) hash(name string) Hash {
	h, err := decodeHash(string(s.value()))
	if err != nil {
		s.failf("%s: %w", name, err)
	}
	return h
}

func (s *scanner) base64(name string) []byte {
	b, err := decodeBase64(string(s.value()))
	if err != nil {
		s.failf("%s: %w", name, err)
	}
	return b
}

// checkpoint reads the signed note inside its JSON string, which escapes the
// newline, the quotation mark and the backslash.
func (s *scanner) checkpoint() Checkpoint {
	s.piece(`"`)
	var note []byte
	for s.err == nil {
		note = append(note, s.value()...)
		if !endsInsideEscape(note) {
			break
		}
		s.piece(`"`)
		note = append(note, '"')
	}
	s.piece(`"`)
	if s.err != nil {
		return Checkpoint{}
	}
	c, err := ParseCheckpoint(unescape(note))
	if err != nil {
		s.failf("%w", err)
	}
	return c
}

// endsInsideEscape tells whether an odd number of backslashes stands at the end.
func endsInsideEscape(b []byte) bool {
	n := len(b) - len(bytes.TrimRight(b, `\`))
	return n%2 == 1
}

// unescape undoes appendJSONString. What that would not have written is left
// standing, and the comparison of the spelling finds it.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		if b[i] == 'n' {
			out = append(out, '\n')
			continue
		}
		out = append(out, b[i])
	}
	return out
}

// envelope reads the DSSE envelope, which ends before the last brace.
func (s *scanner) envelope() *trial.Envelope {
	if s.err != nil {
		return nil
	}
	body, ok := bytes.CutSuffix(s.text[s.at:], []byte(bundleTail))
	if !ok {
		s.failf("not the one spelling of a Sigstore bundle v0.3: the last brace is missing")
		return nil
	}
	e, err := trial.ParseEnvelope(body)
	if err != nil {
		s.failf("dsseEnvelope: %w", err)
		return nil
	}
	if e.KeyID != "" {
		s.failf("dsseEnvelope: got a keyid, want none")
	}
	return e
}

// sameSpelling names the first place where text leaves the one spelling.
func sameSpelling(want, text []byte) error {
	if bytes.Equal(want, text) {
		return nil
	}
	at := 0
	for at < len(want) && at < len(text) && want[at] == text[at] {
		at++
	}
	return fmt.Errorf("not in its one spelling: byte %d differs (near %q)", at, text[max(0, at-16):min(len(text), at+16)])
}
