package receipt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialnotary/trialnotary/trial"
)

// Parse reads a receipt. It accepts the one spelling that Build writes, so
// unknown, repeated, reordered or respelt fields are refused. It verifies
// nothing; the receipt keeps text, which must not be changed.
func Parse(text []byte) (*Receipt, error) { return parseFor(nil, text) }

func parseFor(l *LogVerifier, text []byte) (*Receipt, error) {
	r, err := parse(l, text)
	if err != nil && reformatted(text) {
		err = errReformatted
	}
	if err != nil {
		return nil, fmt.Errorf("invalid receipt: %w", err)
	}
	return r, nil
}

// errReformatted is told apart because it happens to people who mean well.
var errReformatted = errors.New("reformatted: not in its one spelling (was it opened and saved by an editor?); " +
	"the file as it came, without added white space, is what verifies")

// reformatted tells whether text is a receipt but for white space.
func reformatted(text []byte) bool {
	if len(text) > MaxReceipt {
		return false
	}
	compact := withoutSpace(text)
	if compact == nil {
		return false
	}
	_, err := parse(nil, compact)
	return err == nil
}

// withoutSpace returns a JSON text without the white space between its tokens,
// nil where there is none or it is no JSON.
func withoutSpace(text []byte) []byte {
	v := jsontext.Value(bytes.Clone(text))
	if v.Compact() != nil || len(v) == len(text) {
		return nil
	}
	return v
}

// parse accepts what marshal writes, without writing it again: every piece is
// read in its one spelling. FuzzBundle holds it against marshal. l, which may be
// nil, knows the checkpoint that it read last.
func parse(l *LogVerifier, text []byte) (*Receipt, error) {
	if len(text) > MaxReceipt {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), MaxReceipt)
	}
	s := scanner{text: text}
	both := new(struct {
		receipt   Receipt
		statement statementMemo
	})
	r := &both.receipt
	s.head(r)
	if l == nil {
		s.signedNote(r)
	} else {
		l.checkpoint(&s, r)
	}
	s.entry(r)
	r.Envelope = s.envelope()
	if s.err != nil {
		return nil, s.err
	}
	both.statement.payload = r.Envelope.Payload
	r.raw, r.statement = text, &both.statement
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

// head reads in the order of marshal, up to the checkpoint.
func (s *scanner) head(r *Receipt) {
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
	r.Path = make([]Hash, 0, min(bits.Len64(r.Size), maxPath))
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
}

// entry reads the log entry, up to the envelope.
func (s *scanner) entry(r *Receipt) {
	s.piece(bundleBody)
	r.Entry = s.base64("canonicalizedBody")
	if len(r.Entry) > MaxEntry {
		s.failf("canonicalizedBody: got %d bytes, want at most %d", len(r.Entry), MaxEntry)
	}
	s.piece(bundleEnvelope)
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
	h, err := decodeHash(s.value())
	if err != nil {
		s.failf("%s: %w", name, err)
	}
	return h
}

func (s *scanner) base64(name string) []byte {
	b, err := decodeBase64(s.value())
	if err != nil {
		s.failf("%s: %w", name, err)
	}
	return b
}

// signedNote reads the checkpoint.
func (s *scanner) signedNote(r *Receipt) {
	note := s.unescape(s.quoted())
	if s.err != nil {
		return
	}
	c, err := ParseCheckpoint(note)
	if err != nil {
		s.failf("%w", err)
	}
	r.Checkpoint = c
}

// quoted steps over a JSON string and returns what stands between its quotation
// marks.
func (s *scanner) quoted() []byte {
	s.piece(`"`)
	from := s.at
	for s.err == nil {
		s.value()
		if !endsInsideEscape(s.text[from:s.at]) {
			break
		}
		s.piece(`"`)
	}
	inside := s.text[from:s.at]
	s.piece(`"`)
	return inside
}

// endsInsideEscape tells whether an odd number of backslashes stands at the end.
func endsInsideEscape(b []byte) bool {
	n := len(b) - len(bytes.TrimRight(b, `\`))
	return n%2 == 1
}

// unescape undoes appendJSONString and refuses what that would not have written.
func (s *scanner) unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 && s.err == nil {
		n := bytes.IndexByte(b, '\\')
		if n < 0 {
			n = len(b)
		}
		if bytes.IndexByte(b[:n], '\n') >= 0 {
			s.failf("checkpoint: got a line break inside a JSON string")
		}
		out = append(out, b[:n]...)
		if b = b[n:]; len(b) < 2 {
			break
		}
		switch b[1] {
		case 'n':
			out = append(out, '\n')
		case '"', '\\':
			out = append(out, b[1])
		default:
			s.failf("checkpoint: got the escape %q, want the shortest form", b[:2])
		}
		b = b[2:]
	}
	return out
}

// envelopeText returns the text of the DSSE envelope, which ends before the last
// brace.
func (s *scanner) envelopeText() []byte {
	if s.err != nil {
		return nil
	}
	text, ok := bytes.CutSuffix(s.text[s.at:], []byte(bundleTail))
	if !ok {
		s.failf("not the one spelling of a Sigstore bundle v0.3: the last brace is missing")
	}
	return text
}

func (s *scanner) envelope() *trial.Envelope {
	text := s.envelopeText()
	if s.err != nil {
		return nil
	}
	e, err := trial.ParseEnvelopeText(text)
	if err == nil {
		return e
	}
	// Say what is wrong, not only that something is.
	loose, looseErr := trial.ParseEnvelope(text)
	switch {
	case looseErr != nil:
		err = looseErr
	case loose.KeyID != "":
		err = errors.New("got a keyid, want none")
	default:
		err = cmp.Or(sameSpelling(loose.Marshal(), text), err)
	}
	s.failf("dsseEnvelope: %w", err)
	return nil
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
