package tesseralog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

func body(name string, size uint64, root receipt.Hash) []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", name, size, base64.StdEncoding.EncodeToString(root[:]))
}

// TestGuardRefuses asks for signatures that no working Tessera asks for.
func TestGuardRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		ask   func(l *Log) []byte
		kind  any
		parts []string
	}{
		"smaller":      {func(l *Log) []byte { r, _ := l.tree.rootAt(2); return body(origin, 2, r) }, new(*LostError), []string{"holds 2 entries", "mark is 5"}},
		"other root":   {func(l *Log) []byte { return body(origin, 5, receipt.Hash{1}) }, new(*ConflictError), []string{"first 5 entries"}},
		"other origin": {func(l *Log) []byte { return body("other.example", 5, l.mark.Root) }, nil, []string{`got origin "other.example"`}},
		"extension":    {func(l *Log) []byte { return append(body(origin, 5, l.mark.Root), "more\n"...) }, nil, []string{"invalid checkpoint"}},
		"not a body":   {func(*Log) []byte { return []byte("sign this") }, nil, []string{"checkpoint to sign"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			l := f.open()
			f.add(l, 5)
			if _, err := (guard{l}).Sign(body(origin, 5, l.Checkpoint().Root)); err != nil {
				t.Fatalf("the same again: %v", err)
			}
			signature, err := guard{l}.Sign(test.ask(l))
			if signature != nil {
				t.Error("signed")
			}
			wantError(t, err, notary.ErrLogStopped, test.parts...)
			if test.kind != nil {
				wantError(t, err, test.kind)
			}
			if _, err := (guard{l}).Sign(body(origin, 5, l.Checkpoint().Root)); !errors.Is(err, notary.ErrLogStopped) {
				t.Errorf("after a refusal: got %v", err)
			}
		})
	}
}

// spySigner tells which mark was stored when it signed.
type spySigner struct {
	note.Signer
	f    *fixture
	t    *testing.T
	fail bool
}

func (s *spySigner) Sign(text []byte) ([]byte, error) {
	size, root, err := parseBody(text, origin)
	if err != nil {
		s.t.Error(err)
	}
	mark, _, _ := s.f.marks.LoadMark(s.t.Context())
	if mark != (notary.Mark{Size: size, Root: root}) {
		s.t.Errorf("signing %d entries, root %x, under the mark %d, %x", size, root, mark.Size, mark.Root)
	}
	if s.fail {
		s.fail = false
		return nil, errors.New("key is away")
	}
	return s.Signer.Sign(text)
}

// TestMarkBeforeSignature: whatever is signed, the mark is there already. A key
// that fails once is asked again.
func TestMarkBeforeSignature(t *testing.T) {
	f := newFixture(t)
	c := f.config()
	spy := &spySigner{Signer: f.signer, f: f, t: t, fail: true}
	c.Signer = spy
	warned := make(chan string, 100)
	c.Warn = func(message string) {
		select {
		case warned <- message:
		default:
		}
	}
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	for _, n := range []int{1, 2, 300, 5} {
		f.add(l, n)
	}
	select {
	case message := <-warned:
		if !strings.Contains(message, "key is away") {
			t.Errorf("warned of %q", message)
		}
	case <-time.After(20 * time.Second):
		t.Error("the failed signature was not told")
	}
}

// TestGuardComparesRoots asks for a new tree with a root of its own, as a damaged
// tree state would, where all other files are right.
func TestGuardComparesRoots(t *testing.T) {
	f := newFixture(t)
	c := f.config()
	c.CheckpointInterval = time.Hour // Tessera itself asks for nothing.
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	wait := l.Add(t.Context(), entry(0))
	l.Hurry()
	if _, err := wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	signature, err := guard{l}.Sign(body(origin, 1, receipt.Hash{1}))
	if signature != nil {
		t.Error("signed")
	}
	wantError(t, err, new(*ConflictError), "first 1 entries", "what was added")
	if mark, _, _ := f.marks.LoadMark(t.Context()); mark.Size != 0 {
		t.Errorf("got mark %d", mark.Size)
	}
}
