//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// held is the evidence that the generator has. As the client library does in a
// batch, it names the newest one of the signer, and the server leaves that out.
type held struct {
	newest [signers]atomic.Pointer[string] // SHA-256, in hexadecimal
	texts  sync.Map                        // by that name; one a signer and a minute
}

// name is what a request for the i-th statement says is held.
func (h *held) name(i int) string {
	if name := h.newest[i%signers].Load(); name != nil {
		return *name
	}
	return ""
}

// check holds an answer against what its request named, and puts back what was
// left out.
func (h *held) check(i int, named string, r *notaryv1.Receipt) error {
	name := r.GetEvidenceSha256()
	if r.GetEvidence() == "" {
		found, _ := h.texts.Load(name)
		text, _ := found.(string)
		if name != named || text == "" {
			return fmt.Errorf("receipt of statement %d: the evidence %q was left out, and %q was named", i, name, named)
		}
		r.Evidence = text
		return nil
	}
	if found, _ := h.texts.Load(name); found == r.GetEvidence() {
		return nil // it was hashed before: all that are in flight at a new time mark bring it
	}
	sum := sha256.Sum256([]byte(r.GetEvidence()))
	if got := hex.EncodeToString(sum[:]); got != name {
		return fmt.Errorf("receipt of statement %d: got evidence %s, want %s", i, got, name)
	}
	h.texts.Store(name, r.GetEvidence())
	h.newest[i%signers].Store(&name)
	return nil
}
