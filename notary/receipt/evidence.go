package receipt

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialnotary/trialnotary/trial"
)

// Limits of an evidence file.
const (
	MaxEvidence         = 64 << 20 // bytes
	maxEvidenceReceipts = 20000    // authority receipts and time marks, each
)

// EvidenceMediaType is the media type of an evidence file.
const EvidenceMediaType = "application/vnd.trialnotary.evidence.v1+json"

// Evidence is what stands beside a receipt, because a Sigstore bundle has no
// room for it. Nothing in it is verified.
type Evidence struct {
	// Authority holds the receipts of the trial's authority statements, the
	// charter first, in log order.
	Authority []*Receipt
	// TimeMarks holds the receipts of the time marks that govern the receipt
	// and the authority statements, in log order.
	TimeMarks []*Receipt
	// AsOf is the notary's signed list of authority statements, or nil.
	AsOf *trial.Envelope
}

// BuildEvidence returns an evidence file as JSON text, from receipts in log
// order without duplicates; asOf may be nil. It verifies nothing.
//
//	{"mediaType":"…","authority":[RECEIPT,…],"timeMarks":[RECEIPT,…],"asOf":ENVELOPE}
func BuildEvidence(authority, timeMarks [][]byte, asOf *trial.Envelope) ([]byte, error) {
	if len(authority) > maxEvidenceReceipts || len(timeMarks) > maxEvidenceReceipts {
		return nil, fmt.Errorf("invalid evidence: got %d authority receipts and %d time marks, want at most %d each",
			len(authority), len(timeMarks), maxEvidenceReceipts)
	}
	b := marshalEvidence(authority, timeMarks, asOf)
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("invalid evidence: got %d bytes, want at most %d", len(b), MaxEvidence)
	}
	return b, nil
}

func marshalEvidence(authority, timeMarks [][]byte, asOf *trial.Envelope) []byte {
	size := 256
	for _, list := range [][][]byte{authority, timeMarks} {
		for _, r := range list {
			size += len(r) + 1
		}
	}
	b := make([]byte, 0, size+4096)
	b = append(b, `{"mediaType":"`+EvidenceMediaType+`","authority":[`...)
	b = appendList(b, authority)
	b = append(b, `],"timeMarks":[`...)
	b = appendList(b, timeMarks)
	b = append(b, ']')
	if asOf != nil {
		b = append(b, `,"asOf":`...)
		b = append(b, asOf.Marshal()...)
	}
	return append(b, '}')
}

func appendList(b []byte, values [][]byte) []byte {
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v...)
	}
	return b
}

// Bytes returns the evidence as JSON text, as ParseEvidence reads it.
func (e *Evidence) Bytes() []byte {
	return marshalEvidence(texts(e.Authority), texts(e.TimeMarks), e.AsOf)
}

func texts(receipts []*Receipt) [][]byte {
	out := make([][]byte, len(receipts))
	for i, r := range receipts {
		out[i] = r.raw
	}
	return out
}

// ParseEvidence reads an evidence file. It accepts the one spelling that
// BuildEvidence writes, and verifies nothing.
func ParseEvidence(text []byte) (*Evidence, error) {
	e, err := parseEvidence(text)
	if err != nil && len(text) <= MaxEvidence {
		if compact := withoutSpace(text); compact != nil {
			if _, bad := parseEvidence(compact); bad == nil {
				err = errReformatted
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("invalid evidence: %w", err)
	}
	return e, nil
}

func parseEvidence(text []byte) (*Evidence, error) {
	if len(text) > MaxEvidence {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), MaxEvidence)
	}
	var doc struct {
		MediaType string           `json:"mediaType"`
		Authority []jsontext.Value `json:"authority"`
		TimeMarks []jsontext.Value `json:"timeMarks"`
		AsOf      jsontext.Value   `json:"asOf"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("not the JSON of an evidence file: %w", err)
	}
	if doc.MediaType != EvidenceMediaType {
		return nil, fmt.Errorf("got media type %.80q, want %q", doc.MediaType, EvidenceMediaType)
	}
	e := &Evidence{}
	var err error
	if e.Authority, err = parseReceipts(doc.Authority); err != nil {
		return nil, fmt.Errorf("authority%w", err)
	}
	if e.TimeMarks, err = parseReceipts(doc.TimeMarks); err != nil {
		return nil, fmt.Errorf("timeMarks%w", err)
	}
	if doc.AsOf != nil {
		if e.AsOf, err = trial.ParseAsOfEnvelope(doc.AsOf); err != nil {
			return nil, fmt.Errorf("asOf: %w", err)
		}
	}
	if err := sameSpelling(e.Bytes(), text); err != nil {
		return nil, err
	}
	return e, nil
}

// parseReceipts reads a list in log order. Its errors continue a JSON path.
func parseReceipts(values []jsontext.Value) ([]*Receipt, error) {
	if len(values) > maxEvidenceReceipts {
		return nil, fmt.Errorf(": got %d receipts, want at most %d", len(values), maxEvidenceReceipts)
	}
	out := make([]*Receipt, len(values))
	for i, v := range values {
		r, err := Parse(v)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if i > 0 && r.Index <= out[i-1].Index {
			return nil, fmt.Errorf("[%d]: %w", i, errors.New("the receipts are not in log order"))
		}
		out[i] = r
	}
	return out, nil
}
