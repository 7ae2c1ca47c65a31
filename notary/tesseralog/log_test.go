package tesseralog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/logtest"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

const origin = "log.example"

// fixture is a log folder with its key and mark, opened or not, and the test that
// uses it now.
type fixture struct {
	tb       testing.TB
	dir      string
	signer   note.Signer
	verifier note.Verifier
	marks    *logtest.Marks
	entries  int // added so far
}

// newFixture makes an empty log. Every goroutine must have ended with the test.
func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	leaks := goleak.IgnoreCurrent()
	tb.Cleanup(func() { goleak.VerifyNone(tb, leaks) })
	f := &fixture{tb: tb, dir: filepath.Join(tb.TempDir(), "log"), marks: new(logtest.Marks)}
	f.signer, f.verifier = newKey(tb, origin)
	if err := Create(tb.Context(), f.dir, f.signer); err != nil {
		tb.Fatalf("Create: %v", err)
	}
	return f
}

func newKey(tb testing.TB, name string) (note.Signer, note.Verifier) {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, verifier
}

func (f *fixture) config() Config {
	return Config{Dir: f.dir, Signer: f.signer, Verifier: f.verifier, Marks: f.marks}
}

func (f *fixture) open() *Log {
	tb := f.tb
	tb.Helper()
	l, err := Open(tb.Context(), f.config())
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	// A test that fails must not leave Tessera running for goleak to report.
	tb.Cleanup(func() { closeLog(tb, l) })
	return l
}

func closeLog(tb testing.TB, l *Log) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		tb.Errorf("Close: %v", err)
	}
}

// add adds n numbered entries and waits until the last is published.
func (f *fixture) add(l *Log, n int) {
	tb := f.tb
	tb.Helper()
	if err := f.tryAdd(tb.Context(), l, n); err != nil {
		tb.Fatalf("adding %d entries: %v", n, err)
	}
}

func (f *fixture) tryAdd(ctx context.Context, l *Log, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last uint64
	futures := make([]notary.Future, n)
	for i := range futures {
		futures[i] = l.Add(ctx, entry(f.entries))
		f.entries++
	}
	for _, wait := range futures {
		index, err := wait(ctx)
		if err != nil {
			return err
		}
		last = max(last, index)
	}
	_, err := l.Prove(ctx, last)
	return err
}

// fill opens the log, adds n entries in one batch and closes it.
func (f *fixture) fill(sizes ...int) {
	tb := f.tb
	tb.Helper()
	l := f.open()
	for _, n := range sizes {
		f.add(l, n)
	}
	closeLog(tb, l)
}

func entry(i int) []byte { return fmt.Appendf(nil, "entry %d", i) }

// refused opens the log and wants an error of this kind whose text has all parts.
func (f *fixture) refused(kind any, parts ...string) {
	tb := f.tb
	tb.Helper()
	l, err := Open(tb.Context(), f.config())
	if err == nil {
		closeLog(tb, l)
		tb.Fatalf("Open: no error, want one with %q", parts)
	}
	wantError(tb, err, kind, parts...)
}

// wantError wants err to be (errors.Is) or to have (errors.As) kind.
func wantError(tb testing.TB, err error, kind any, parts ...string) {
	tb.Helper()
	if sentinel, ok := kind.(error); ok {
		if !errors.Is(err, sentinel) {
			tb.Errorf("got %v, want %v", err, sentinel)
		}
	} else if !errors.As(err, kind) {
		tb.Errorf("got %v, want a %T", err, kind)
	}
	if err == nil {
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			tb.Errorf("got %q, want it to say %q", err, part)
		}
	}
}

// copyOf copies the folder, as a backup or a restore does.
func (f *fixture) copyOf() string {
	tb := f.tb
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(f.dir)); err != nil {
		tb.Fatal(err)
	}
	return to
}

// restore replaces the folder, or one file of it, by that of a copy.
func (f *fixture) restore(from string, names ...string) {
	tb := f.tb
	tb.Helper()
	if len(names) == 0 {
		if err := os.RemoveAll(f.dir); err != nil {
			tb.Fatal(err)
		}
		if err := os.CopyFS(f.dir, os.DirFS(from)); err != nil {
			tb.Fatal(err)
		}
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			tb.Fatal(err)
		}
		f.write(name, content)
	}
}

func (f *fixture) write(name string, content []byte) {
	tb := f.tb
	tb.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// damage changes a file.
func (f *fixture) damage(name string, change func([]byte) []byte) {
	tb := f.tb
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	f.write(name, change(content))
}

func (f *fixture) remove(name string) {
	tb := f.tb
	tb.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		tb.Fatal(err)
	}
}

// flip returns a change of one bit at this place, counted from the end if negative.
func flip(at int) func([]byte) []byte {
	return func(content []byte) []byte {
		if at < 0 {
			at += len(content)
		}
		content[at] ^= 1
		return content
	}
}

func TestConformance(t *testing.T) {
	logtest.Run(t, func(tb testing.TB) *logtest.Subject {
		tb.Helper()
		f := newFixture(tb)
		return &logtest.Subject{Log: f.open(), Verifier: f.verifier, Reopen: func() notary.Log { return f.open() }}
	})
}

func TestCreate(t *testing.T) {
	f := newFixture(t)
	wantError(t, Create(t.Context(), f.dir, f.signer), ErrNotEmpty)

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, Create(t.Context(), other, f.signer), ErrNotEmpty, "notes.txt")

	l := f.open()
	if mark, ok, err := f.marks.LoadMark(t.Context()); !ok || err != nil || mark != (notary.Mark{Root: emptyRoot()}) {
		t.Errorf("mark of a new log: got %v, %v, %v", mark, ok, err)
	}
	if c := l.Checkpoint(); c.Size != 0 || c.Root != emptyRoot() || c.Origin != origin {
		t.Errorf("got checkpoint %+v", c)
	}
}

func TestOpenNeedsALog(t *testing.T) {
	f := newFixture(t)
	f.dir = t.TempDir()
	f.refused(ErrNoLog)
	f.dir = filepath.Join(f.dir, "missing")
	f.refused(ErrNoLog)
}

func TestTwoServers(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.refused(ErrInUse, f.dir)
	f.add(l, 3)
	closeLog(t, l)
	f.open()
}

func TestOverload(t *testing.T) {
	f := newFixture(t)
	c := f.config()
	c.MaxInFlight = 5
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	var waits []notary.Future
	for i := range 5 {
		waits = append(waits, l.Add(t.Context(), entry(i)))
	}
	_, err = l.Add(t.Context(), entry(5))(t.Context())
	wantError(t, err, notary.ErrOverloaded)
	for _, wait := range waits {
		if _, err := wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Prove(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(t.Context(), entry(5))(t.Context()); err != nil {
		t.Errorf("after the checkpoint: %v", err)
	}
}

// TestManyAtOnce has indexes and proofs right where batches overlap.
func TestManyAtOnce(t *testing.T) {
	const n = 10_000
	f := newFixture(t)
	l := f.open()
	began := time.Now()
	futures := make([]notary.Future, n)
	for i := range futures {
		futures[i] = l.Add(t.Context(), entry(i))
	}
	logged := make(map[uint64]int, n)
	for i, wait := range futures {
		index, err := wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		logged[index] = i
	}
	if len(logged) != n {
		t.Fatalf("got %d indexes, want %d", len(logged), n)
	}
	for index, i := range logged {
		if index%97 == 0 || index > n-10 {
			mustProve(t, l, index, entry(i))
		}
	}
	err := l.Scan(t.Context(), 0, func(index uint64, e []byte) error {
		if string(e) != string(entry(logged[index])) {
			return fmt.Errorf("got %q at %d", e, index)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got, err := l.Check(t.Context()); got != n || err != nil {
		t.Errorf("Check: got %d, %v", got, err)
	}
	if at := l.Published(); l.Marked() != n || at.Before(began) || at.After(time.Now()) {
		t.Errorf("got a mark of %d and a checkpoint of %v, want %d and one since %v", l.Marked(), at, n, began)
	}
	fsckPasses(f)
}

func mustProve(tb testing.TB, l *Log, index uint64, e []byte) receipt.Inclusion {
	tb.Helper()
	inc, err := l.Prove(tb.Context(), index)
	if err != nil {
		tb.Fatalf("Prove %d: %v", index, err)
	}
	if err := verifyInclusion(inc, e); err != nil {
		tb.Fatalf("entry %d of %d: %v", index, inc.Checkpoint.Size, err)
	}
	return inc
}
