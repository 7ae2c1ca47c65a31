package client

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// evidenceFile is an evidence file that the notary need not send again: what one
// key signs within a minute shares it, and it is several times as long as a
// receipt. Nil is none.
type evidenceFile struct {
	text   []byte
	sha256 string
	parsed *receipt.Evidence
}

func (f *evidenceFile) name() string {
	if f == nil {
		return ""
	}
	return f.sha256
}

// heldEvidence is the newest evidence file of one submission.
type heldEvidence struct{ atomic.Pointer[evidenceFile] }

// of returns the evidence that belongs to an answer, or nil where it has none.
// named is what the request said is held.
func (h *heldEvidence) of(pb *notaryv1.Receipt, named *evidenceFile) (*evidenceFile, error) {
	said := pb.GetEvidenceSha256()
	if pb.GetEvidence() == "" {
		if said != named.name() && said != "" {
			return nil, fmt.Errorf("%w: its evidence %s was left out, and is not what is held", ErrReceipt, said)
		}
		if said == "" {
			return nil, nil //nolint:nilnil // a receipt may have no evidence
		}
		return named, nil
	}
	sum := sha256.Sum256([]byte(pb.GetEvidence()))
	got := hex.EncodeToString(sum[:])
	if said != "" && said != got {
		return nil, fmt.Errorf("%w: got evidence %s, want %s", ErrReceipt, got, said)
	}
	if newest := h.Load(); newest.name() == got {
		return newest, nil
	}
	parsed, err := receipt.ParseEvidence([]byte(pb.GetEvidence()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	f := &evidenceFile{text: []byte(pb.GetEvidence()), sha256: got, parsed: parsed}
	h.Store(f)
	return f, nil
}
