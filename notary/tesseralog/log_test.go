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

// fixture is a log folder with its key and mark, opened or not.
type fixture struct {
	dir      string
	signer   note.Signer
	verifier note.Verifier
	marks    *logtest.Marks
	entries  int // added so far
}

// newFixture makes an empty log. Every goroutine must have ended with the test.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	f := &fixture{dir: filepath.Join(t.TempDir(), "log"), marks: new(logtest.Marks)}
	f.signer, f.verifier = newKey(t, origin)
	if err := Create(t.Context(), f.dir, f.signer); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return f
}

func newKey(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func (f *fixture) config() Config {
	return Config{Dir: f.dir, Signer: f.signer, Verifier: f.verifier, Marks: f.marks}
}

func (f *fixture) open(t testing.TB) *Log {
	t.Helper()
	l, err := Open(t.Context(), f.config())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	// A test that fails must not leave Tessera running for goleak to report.
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// add adds n numbered entries and waits until the last is published.
func (f *fixture) add(t testing.TB, l *Log, n int) {
	t.Helper()
	if err := f.tryAdd(t.Context(), l, n); err != nil {
		t.Fatalf("adding %d entries: %v", n, err)
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
func (f *fixture) fill(t testing.TB, sizes ...int) {
	t.Helper()
	l := f.open(t)
	for _, n := range sizes {
		f.add(t, l, n)
	}
	closeLog(t, l)
}

func entry(i int) []byte { return fmt.Appendf(nil, "entry %d", i) }

// refused opens the log and wants an error of this kind whose text has all parts.
func (f *fixture) refused(t testing.TB, kind any, parts ...string) {
	t.Helper()
	l, err := Open(t.Context(), f.config())
	if err == nil {
		closeLog(t, l)
		t.Fatalf("Open: no error, want one with %q", parts)
	}
	wantError(t, err, kind, parts...)
}

// wantError wants err to be (errors.Is) or to have (errors.As) kind.
func wantError(t testing.TB, err error, kind any, parts ...string) {
	t.Helper()
	if sentinel, ok := kind.(error); ok {
		if !errors.Is(err, sentinel) {
			t.Errorf("got %v, want %v", err, sentinel)
		}
	} else if !errors.As(err, kind) {
		t.Errorf("got %v, want a %T", err, kind)
	}
	if err == nil {
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to say %q", err, part)
		}
	}
}

// copyOf copies the folder, as a backup or a restore does.
func (f *fixture) copyOf(t testing.TB) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// restore replaces the folder, or one file of it, by that of a copy.
func (f *fixture) restore(t testing.TB, from string, names ...string) {
	t.Helper()
	if len(names) == 0 {
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(f.dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		f.write(t, name, content)
	}
}

func (f *fixture) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// damage changes a file.
func (f *fixture) damage(t testing.TB, name string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, name, change(content))
}

func (f *fixture) remove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
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
	logtest.Run(t, func(t *testing.T) *logtest.Subject {
		f := newFixture(t)
		return &logtest.Subject{Log: f.open(t), Verifier: f.verifier, Reopen: func(t *testing.T) notary.Log { return f.open(t) }}
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

	l := f.open(t)
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
	f.refused(t, ErrNoLog)
	f.dir = filepath.Join(f.dir, "missing")
	f.refused(t, ErrNoLog)
}

func TestTwoServers(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	f.refused(t, ErrInUse, f.dir)
	f.add(t, l, 3)
	closeLog(t, l)
	f.open(t)
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
	l := f.open(t)
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
	fsckPasses(t, f)
}

func mustProve(t testing.TB, l *Log, index uint64, e []byte) receipt.Inclusion {
	t.Helper()
	inc, err := l.Prove(t.Context(), index)
	if err != nil {
		t.Fatalf("Prove %d: %v", index, err)
	}
	if err := verifyInclusion(inc, e); err != nil {
		t.Fatalf("entry %d of %d: %v", index, inc.Checkpoint.Size, err)
	}
	return inc
}
