package receipt

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// What a verifier remembers changes no verdict, whoever asks and in which order.
func TestRememberedVerdicts(t *testing.T) {
	w := newOfflineWorld(t, 12)
	wrong := []File{{Name: "dm0.json", SHA256: [32]byte{1}}}
	warm := NewVerifier(w.trust)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range w.receipts {
				i = (i + 3*worker) % len(w.receipts)
				for _, files := range [][]File{w.files[i : i+1], wrong, nil} {
					for _, evidence := range [][]byte{w.evidence, nil} {
						got, err := warm.VerifyText(w.receipts[i], evidence, files)
						want, err2 := NewVerifier(w.trust).VerifyText(w.receipts[i], evidence, files)
						if err != nil || err2 != nil || !reflect.DeepEqual(got, want) {
							t.Errorf("receipt %d: got %+v, %v, want %+v, %v", i, got, err, want, err2)
						}
					}
				}
			}
		})
	}
	all.Wait()
}

// An evidence that was changed after it was read is another evidence.
func TestChangedEvidence(t *testing.T) {
	w := newOfflineWorld(t, 1)
	v := NewVerifier(w.trust)
	ev, err := v.Evidence(w.evidence)
	if err != nil {
		t.Fatal(err)
	}
	r := mustParse(t, w.receipts[0])
	if got := v.Verify(r, ev, nil).Check(CheckLogTime).Outcome; got != Passed {
		t.Fatalf("got log time %s", got)
	}
	if again, err := v.Evidence(bytes.Clone(w.evidence)); err != nil || again != ev {
		t.Errorf("the same text is read twice (%v)", err)
	}
	ev.TimeMarks = nil
	if got := v.Verify(r, ev, nil).Check(CheckLogTime).Outcome; got != NotChecked {
		t.Errorf("got log time %s without a time mark", got)
	}
	again, err := v.Evidence(w.evidence)
	if err != nil || again == ev || len(again.TimeMarks) == 0 {
		t.Errorf("got %+v, %v for the text as it was", again, err)
	}
	if _, err := v.Evidence([]byte("{}")); err == nil {
		t.Error("accepted what is no evidence")
	}
	if _, err := v.VerifyText(w.receipts[0], []byte("{}"), nil); err == nil {
		t.Error("accepted what is no evidence")
	}
	if _, err := v.VerifyText([]byte("{}"), w.evidence, nil); err == nil {
		t.Error("accepted what is no receipt")
	}
}

// What is remembered is bounded.
func TestHoldingIsBounded(t *testing.T) {
	var h holding
	for i := range 3 * maxHeld {
		text := fmt.Appendf(nil, "evidence %d", i)
		h.put(uint64(i%7), text, &Evidence{})
		if h.byText(uint64(i%7), text) == nil {
			t.Errorf("evidence %d is forgotten at once", i)
		}
		if len(h.parsed) > maxHeld {
			t.Fatalf("holds %d files", len(h.parsed))
		}
	}
	h.put(1, make([]byte, maxHeldText), &Evidence{})
	h.put(2, []byte("x"), &Evidence{})
	if len(h.parsed) != 1 || h.size != 1 {
		t.Errorf("holds %d files of %d bytes", len(h.parsed), h.size)
	}
	m := memory[int, int]{limit: 8}
	for i := range 100 {
		m.put(i, i)
		if v, ok := m.get(i); !ok || v != i || len(m.m) > 8 {
			t.Errorf("got %d, %v of %d", v, ok, len(m.m))
		}
	}
}

// No other bytes pass for the receipt, whatever was checked before.
func TestSelfCheckEveryByte(t *testing.T) {
	s := newStory(t)
	l := s.logged[s.dataset]
	v, err := NewLogVerifier(s.log)
	if err != nil {
		t.Fatal(err)
	}
	good := s.receipt(s.dataset)
	if err := v.SelfCheck(good, l.env, l.key); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if err := v.SelfCheck(bad, l.env, l.key); err == nil {
				t.Errorf("accepted byte %d as %q", i, bad[i])
			}
		}
		if err := v.SelfCheck(append(bytes.Clone(good[:i]), good[i+1:]...), l.env, l.key); err == nil {
			t.Errorf("accepted the receipt without byte %d", i)
		}
		if err := v.SelfCheck(good[:i], l.env, l.key); err == nil {
			t.Errorf("accepted %d bytes", i)
		}
	}
	other := *l.env
	other.PayloadType = trial.AsOfType
	if err := v.SelfCheck(bytes.Replace(good, []byte(trial.PayloadType), []byte(trial.AsOfType), 1), &other, l.key); err == nil {
		t.Error("accepted the receipt of no statement")
	}
	if err := v.SelfCheck(good, l.env, l.key); err != nil {
		t.Error(err)
	}
}

func TestReformatted(t *testing.T) {
	s := newStory(t)
	good := string(s.receipt(s.dataset))
	for name, text := range map[string]string{
		"indented":        strings.ReplaceAll(good, `,"`, ",\n  \""),
		"newline at end":  good + "\n",
		"space in front":  " " + good,
		"spaces at every": strings.ReplaceAll(good, `":`, `": `),
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, errReformatted) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"another receipt": strings.Replace(good, "hashedrekord", "hashedRekord", 1) + "\n",
		"two documents":   good + "\n" + good,
		"empty":           "",
	} {
		if _, err := Parse([]byte(text)); err == nil || errors.Is(err, errReformatted) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	evidence := string(s.evidence(s.dataset))
	if _, err := ParseEvidence([]byte(evidence + "\n")); !errors.Is(err, errReformatted) {
		t.Errorf("got %v", err)
	}
}

// TestRecentIsHeld: what was asked for of late goes when all else that is held
// goes, or the bound of what is held would be none.
func TestRecentIsHeld(t *testing.T) {
	h := new(holding)
	for i := range 3*maxHeld + 7 {
		text := fmt.Append(nil, "evidence ", i)
		e := h.put(uint64(i), text, new(Evidence))
		if got := h.recently(text); got != e {
			t.Fatalf("evidence %d: got %p, want %p", i, got, e)
		}
		for place := range h.recent {
			if r := h.recent[place].Load(); r != nil && h.parsed[r.evidence] != r {
				t.Fatalf("evidence %d: %q is recent and not held", i, r.text)
			}
		}
	}
}

// The bytes that an evidence was read from are the caller's again: with others in
// them it is another evidence.
func TestEvidenceInAReusedBuffer(t *testing.T) {
	w := newOfflineWorld(t, 1)
	v := NewVerifier(w.trust)
	buf := bytes.Clone(w.evidence)
	want, err := v.Evidence(buf)
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 'x'
	}
	if got, err := v.Evidence(buf); err == nil {
		t.Errorf("got evidence %p of bytes that are none", got)
	}
	if _, err := v.VerifyText(w.receipts[0], buf, nil); err == nil {
		t.Error("got a verdict with evidence that is none")
	}
	copy(buf, w.evidence)
	if got, err := v.Evidence(buf); err != nil || got != want {
		t.Errorf("got evidence %p, %v, want %p, which is held", got, err, want)
	}
	if verdict, err := v.VerifyText(w.receipts[0], buf, nil); err != nil || !verdict.Verified {
		t.Errorf("got %+v, %v, want a receipt that verifies", verdict, err)
	}
}
