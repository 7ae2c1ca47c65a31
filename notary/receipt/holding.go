package receipt

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trialnotary/trialnotary/trial"
)

// Bounds of the evidence that a Verifier holds: files, and bytes of their text.
const (
	maxHeld     = 256
	maxHeldText = 64 << 20
)

// Evidence is ParseEvidence, once for each text: the receipts of one key from
// the same hour have one evidence file, and reading it takes twice as long as
// verifying a receipt. What it returns must not be changed; text is the caller's
// again when it returns.
func (v *Verifier) Evidence(text []byte) (*Evidence, error) {
	h, err := v.holding(text)
	if err != nil {
		return nil, err
	}
	return h.evidence, nil
}

func (v *Verifier) holding(text []byte) (*held, error) {
	if h := v.held.recently(text); h != nil {
		return h, nil
	}
	sum := maphash.Bytes(heldSeed, text)
	if h := v.held.byText(sum, text); h != nil {
		return h, nil
	}
	text = bytes.Clone(text) // the caller may write its next one into the same bytes
	ev, err := ParseEvidence(text)
	if err != nil {
		return nil, err
	}
	return v.held.put(sum, text, ev), nil
}

// VerifyText parses a receipt and its evidence file, which may be nil, and
// judges the receipt: see Verify. It fails where one of them cannot be read.
func (v *Verifier) VerifyText(text, evidence []byte, files []File) (*Verdict, error) {
	r, err := parseFor(v.log, text)
	if err != nil {
		return nil, err
	}
	if evidence == nil {
		return v.Verify(r, nil, files), nil
	}
	h, err := v.holding(evidence)
	if err != nil {
		return nil, err
	}
	return v.judge(r, h.evidence, h, files), nil
}

// gathered is gather, once for each evidence that the verifier holds.
func (v *Verifier) gathered(ev *Evidence, h *held) *gathered {
	if h == nil {
		return v.gather(ev)
	}
	h.once.Do(func() { h.gathered = v.gather(ev) })
	return h.gathered
}

// holding is the evidence that a Verifier read, with what it proves. It is
// emptied when full.
type holding struct {
	mu sync.RWMutex
	// texts and parsed hold the same evidence: by a hash of its text, and by its
	// address; none is for receipts without. size counts bytes. Guarded by mu.
	texts  map[uint64][]*held
	parsed map[*Evidence]*held
	none   *held
	size   int

	// recent are a few of texts: comparing an evidence file costs less than
	// hashing it, and needs no lock. Set while mu is held, turn by turn.
	recent [4]atomic.Pointer[held]
	turn   atomic.Uint32
}

// held is one evidence file. Only gathered changes, once.
type held struct {
	text     []byte
	evidence *Evidence
	// What evidence held when it was read, against whoever changes it.
	authority, timeMarks []*Receipt
	asOf                 *trial.Envelope

	once     sync.Once
	gathered *gathered
}

// heldSeed makes collisions unforeseeable. They cost time only: texts are
// compared.
var heldSeed = maphash.MakeSeed()

// recently returns the evidence of a text that was asked for of late.
func (h *holding) recently(text []byte) *held {
	for i := range h.recent {
		if e := h.recent[i].Load(); e != nil && bytes.Equal(e.text, text) && e.unchanged() {
			return e
		}
	}
	return nil
}

// remember makes an evidence a recent one. mu is held, so that none outlives the
// emptying of what is held.
func (h *holding) remember(e *held) {
	h.recent[(h.turn.Add(1)-1)%uint32(len(h.recent))].Store(e)
}

func (h *holding) byText(sum uint64, text []byte) *held {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, e := range h.texts[sum] {
		if bytes.Equal(e.text, text) && e.unchanged() {
			h.remember(e)
			return e
		}
	}
	return nil
}

// of returns what is held of an evidence, nil where nothing is.
func (h *holding) of(ev *Evidence) *held {
	h.mu.RLock()
	e := h.none
	if ev != nil {
		e = h.parsed[ev]
	}
	h.mu.RUnlock()
	switch {
	case e != nil && e.unchanged():
		return e
	case ev != nil:
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.none == nil {
		h.none = new(held)
	}
	return h.none
}

func (h *holding) put(sum uint64, text []byte, ev *Evidence) *held {
	e := &held{
		text: text, evidence: ev,
		authority: slices.Clone(ev.Authority), timeMarks: slices.Clone(ev.TimeMarks), asOf: ev.AsOf,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, other := range h.texts[sum] {
		if bytes.Equal(other.text, text) && other.unchanged() {
			return other // somebody was quicker
		}
	}
	if h.texts == nil || len(h.parsed) == maxHeld || h.size+len(text) > maxHeldText {
		h.texts, h.parsed, h.size = map[uint64][]*held{}, map[*Evidence]*held{}, 0
		for i := range h.recent {
			h.recent[i].Store(nil)
		}
	}
	h.texts[sum] = append(h.texts[sum], e)
	h.parsed[ev] = e
	h.size += len(text)
	h.remember(e)
	return e
}

func (e *held) unchanged() bool {
	ev := e.evidence
	return ev == nil ||
		slices.Equal(ev.Authority, e.authority) && slices.Equal(ev.TimeMarks, e.timeMarks) && ev.AsOf == e.asOf
}
