package tesseralog

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
)

// TestOldDamage damages what the right edge does not show.
func TestOldDamage(t *testing.T) {
	f := newFixture(t)
	f.fill(600)
	good := f.copyOf()
	scan := func(l *Log) error {
		return l.Scan(t.Context(), 0, func(uint64, []byte) error { return nil })
	}
	readFile := func(name string) func(l *Log) error {
		return func(l *Log) error { _, _, err := l.ReadFile(name); return err }
	}
	check := func(l *Log) error { _, err := l.Check(t.Context()); return err }
	proveOld := func(l *Log) error { _, err := l.Prove(t.Context(), 10); return err }
	for name, test := range map[string]struct {
		file   string
		change func([]byte) []byte
		found  map[string]func(*Log) error
		parts  []string
	}{
		"entry bundle flipped": {"tile/entries/000", flip(2),
			map[string]func(*Log) error{"Check": check, "Scan": scan, "ReadFile": readFile("tile/entries/000")},
			[]string{"tile/entries/000", "entry 0"}},
		"entry bundle with a wrong length": {"tile/entries/001", flip(1),
			map[string]func(*Log) error{"Check": check, "Scan": scan, "ReadFile": readFile("tile/entries/001")},
			[]string{"tile/entries/001"}},
		"hash tile flipped": {"tile/0/000", flip(-1),
			map[string]func(*Log) error{"Check": check, "Scan": scan, "ReadFile": readFile("tile/0/000"), "Prove": proveOld},
			[]string{"tile/0/000", "damaged"}},
		"hash tile truncated": {"tile/0/000", cut(32),
			map[string]func(*Log) error{"Check": check, "Scan": scan, "ReadFile": readFile("tile/0/000"), "Prove": proveOld},
			[]string{"tile/0/000", "got 8160 bytes, want 8192"}},
	} {
		for how, find := range test.found {
			t.Run(name+"/"+how, func(t *testing.T) {
				f.tb = t
				f.restore(good)
				f.damage(test.file, test.change)
				l := f.open()
				err := find(l)
				wantError(t, err, new(*FileError), test.parts...)
				if l.Err() != nil {
					t.Errorf("Err: %v", l.Err())
				}
				closeLog(t, l)
			})
		}
	}
}

func TestCheckFindsEdgeAndMissing(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.add(l, 600)
	for name, test := range map[string]struct {
		do    func()
		kind  any
		parts []string
	}{
		"upper tile":      {func() { f.damage("tile/1/000.p/2", flip(0)) }, new(*FileError), []string{"tile/1/000.p/2", "hash 0"}},
		"missing tile":    {func() { f.remove("tile/0/001") }, new(*FileError), []string{"tile/0/001", "missing"}},
		"missing bundle":  {func() { f.remove("tile/entries/001") }, new(*FileError), []string{"tile/entries/001", "missing"}},
		"mark elsewhere":  {func() { m, _, _ := f.marks.LoadMark(t.Context()); m.Root[0] ^= 1; f.marks.Set(m, true) }, new(*ConflictError), []string{"the high-water mark"}},
		"mark behind":     {func() { m, _, _ := f.marks.LoadMark(t.Context()); m.Size--; f.marks.Set(m, true) }, new(*MarkBehindError), nil},
		"entry rewritten": {func() { rewriteEntry(f) }, new(*ConflictError), []string{"first 600 entries"}},
	} {
		t.Run(name, func(t *testing.T) {
			f.tb = t
			good := f.copyOf()
			mark, _, _ := f.marks.LoadMark(t.Context())
			if n, err := l.Check(t.Context()); n != 600 || err != nil {
				t.Fatalf("before: got %d, %v", n, err)
			}
			test.do()
			_, err := l.Check(t.Context())
			wantError(t, err, test.kind, test.parts...)
			for _, name := range []string{"tile/1/000.p/2", "tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"} {
				f.restore(good, name)
			}
			f.marks.Set(mark, true)
		})
	}
}

// rewriteEntry changes an entry and the tile above it alike.
func rewriteEntry(f *fixture) {
	tb := f.tb
	tb.Helper()
	f.damage("tile/entries/000", func(b []byte) []byte { b[2] ^= 1; return b })
	entries, _, err := folder(f.dir).readBundle(0, tileWidth)
	if err != nil {
		tb.Fatal(err)
	}
	f.damage("tile/0/000", func(b []byte) []byte {
		h := hashLeaf(entries[0])
		copy(b, h[:])
		return b
	})
}

// TestCheckPaces: a check that is to rest for a day ends with its context.
func TestCheckPaces(t *testing.T) {
	f := newFixture(t)
	f.fill(600)
	l := f.open()
	if n, err := l.Check(notary.WithShare(t.Context(), 0.5)); n != 600 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	ctx := notary.WithShare(t.Context(), 1e-9)
	for began := time.Now(); time.Since(began) < 10*time.Millisecond; {
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := l.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestReadFile(t *testing.T) {
	f := newFixture(t)
	f.fill(5, 255, 340)
	// What a crashed batch leaves lies beyond the tree, or is a partial file of a
	// size that the tree went past.
	garbage := bytes.Repeat([]byte("garbage!"), 1024)
	for _, name := range []string{"tile/0/003", "tile/entries/003", "tile/0/002.p/7", "tile/entries/002.p/7", "tile/0/002"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		f.write(name, garbage)
	}
	l := f.open()
	for _, name := range []string{
		"checkpoint", "tile/0/000", "tile/0/000.p/5", "tile/0/001.p/4", "tile/0/002.p/88", "tile/1/000.p/2", "tile/1/000.p/1",
		"tile/entries/000", "tile/entries/000.p/5", "tile/entries/001.p/4", "tile/entries/002.p/88",
	} {
		want, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, immutable, err := l.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) || immutable == (name == "checkpoint") {
			t.Errorf("%s: got %d bytes, immutable %v, %v, want %d bytes", name, len(got), immutable, err, len(want))
		}
	}
	tile, _, err := l.ReadFile("tile/0/002.p/7")
	if err != nil || len(tile) != 7*hashSize || bytes.HasPrefix(tile, []byte("garbage")) {
		t.Errorf("partial tile: got %d bytes, %v", len(tile), err)
	}
	if bundle, _, err := l.ReadFile("tile/entries/002.p/7"); err != nil || !bytes.Contains(bundle, entry(518)) || bytes.Contains(bundle, entry(519)) {
		t.Errorf("partial bundle: got %q, %v", bundle, err)
	}
	for _, name := range []string{
		"tile/0/002", "tile/0/003", "tile/entries/003", "tile/0/002.p/89", "tile/1/000", "tile/1/000.p/3", "tile/2/000.p/1",
		"tile/63/000", "tile/0/x999/x999/x999/x999/x999/999", "tile/entries/x18/446/744",
	} {
		if _, _, err := l.ReadFile(name); err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrPath) {
			t.Errorf("%s: got %v, want none", name, err)
		}
	}
}

var badPaths = []string{
	"", "/", "checkpoint/", "/checkpoint", "./checkpoint", "checkpoint\x00", "Checkpoint", ".state/treeState", "tile", "tile/", "tile/0", "tile/0/",
	"tile/0/../../checkpoint", "tile/../.state/treeState", "tile/entries/../../.state/treeState", "tile//000", "tile/0//000",
	"tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/0/x000/000", "tile/0/x01/000", "tile/0/x001", "tile/0/x001/x000", "tile/0/001/000",
	"tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/-1", "tile/0/000.p/+1", "tile/0/000.p/1/", "tile/0/000.p/1.p/1",
	"tile/00/000", "tile/01/000", "tile/-1/000", "tile/+1/000", "tile/64/000", "tile/a/000", "tile/0/00a", "tile/0/-01", "tile/0/+01", "tile/0/ 01",
	"tile/0/000 ", "tile/0/000\n", "tile/0/000?x", "tile/0/%30%30%30", "tile/Entries/000", "tile/entries", "tile/entries/", "tile/entries/000.P/1",
	"tile/0/x018/x446/x744/x073/x709/x551/616", "tile/entries/x99/999", "tile/0/\u0660\u0660\u0660", "server.lock",
}

func TestBadPaths(t *testing.T) {
	for _, path := range badPaths {
		if id, n, entries, err := parsePath(path); !errors.Is(err, ErrPath) {
			t.Errorf("%q: got %v, %d, %v, %v, want ErrPath", path, id, n, entries, err)
		}
	}
}

// FuzzParsePath: what is accepted is spelt the one way and stays inside tile/.
func FuzzParsePath(f *testing.F) {
	for _, path := range badPaths {
		f.Add(path)
	}
	for _, path := range []string{"tile/0/000", "tile/0/x001/x234/067.p/8", "tile/entries/x001/234", "tile/63/000"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		id, n, entries, err := parsePath(path)
		if err != nil {
			return
		}
		spelt := tilePath(id, n)
		if entries {
			spelt = bundlePath(id.index, n)
		}
		if spelt != path || n < 1 || n > tileWidth || id.level > 63 {
			t.Errorf("%q: got %v, %d, spelt %q", path, id, n, spelt)
		}
		if !filepath.IsLocal(path) || !strings.HasPrefix(filepath.Clean(path), "tile/") || filepath.Clean(path) != path {
			t.Errorf("%q leaves the folder", path)
		}
		if got := tileLen(id, 1000); got < 0 || got > tileWidth {
			t.Errorf("%q: got length %d", path, got)
		}
	})
}
