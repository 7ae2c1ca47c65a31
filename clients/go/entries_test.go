package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// fileLog is a log of small entries whose files are made as they are asked for.
type fileLog struct {
	tb      testing.TB
	signer  ed25519Signer
	key     receipt.LogKey
	hashes  []tlog.Hash
	entries [][]byte
	url     string

	mu sync.Mutex
	// change may damage a file before it is sent; nil bytes are no file.
	change func(path string, b []byte) []byte
}

func newFileLog(tb testing.TB, size int) *fileLog {
	tb.Helper()
	public, priv, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	l := &fileLog{tb: tb}
	l.key, err = receipt.NewLogKey("log.example", public)
	must(tb, err)
	l.signer = ed25519Signer{l.key.Verifier(), priv}
	for i := range size {
		l.add(fmt.Appendf(nil, "entry %d", i))
	}
	srv := httptest.NewServer(l)
	tb.Cleanup(srv.Close)
	l.url = srv.URL
	return l
}

func (l *fileLog) add(entry []byte) {
	more, err := tlog.StoredHashesForRecordHash(int64(len(l.entries)), tlog.Hash(receipt.LeafHash(entry)), l)
	must(l.tb, err)
	l.hashes, l.entries = append(l.hashes, more...), append(l.entries, entry)
}

// ReadHashes is tlog's HashReader.
func (l *fileLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *fileLog) checkpoint(size int) receipt.Checkpoint {
	l.tb.Helper()
	root, err := tlog.TreeHash(int64(size), l)
	must(l.tb, err)
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("log.example\n%d\n%s\n", size, root)}, l.signer)
	must(l.tb, err)
	cp, err := receipt.OpenCheckpoint(text, l.key)
	must(l.tb, err)
	return cp
}

// number reads the index of a path such as x001/234.p/5 and its width.
func number(path string) (n int64, width int) {
	path, w, partial := strings.Cut(path, ".p/")
	if width = bundleSize; partial {
		_, _ = fmt.Sscan(w, &width)
	}
	for part := range strings.SplitSeq(path, "/") {
		var d int64
		_, _ = fmt.Sscanf(strings.TrimPrefix(part, "x"), "%d", &d)
		n = n*1000 + d
	}
	return n, width
}

func (l *fileLog) file(path string) []byte {
	if rest, ok := strings.CutPrefix(path, "tile/entries/"); ok {
		n, width := number(rest)
		if int(n)*bundleSize+width > len(l.entries) {
			return nil
		}
		var b []byte
		for _, e := range l.entries[int(n)*bundleSize : int(n)*bundleSize+width] {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
		}
		return b
	}
	if rest, ok := strings.CutPrefix(path, "tile/"); ok {
		level, rest, _ := strings.Cut(rest, "/")
		n, width := number(rest)
		t := tlog.Tile{H: tileHeight, N: n, W: width}
		_, _ = fmt.Sscan(level, &t.L)
		if (t.N<<tileHeight+int64(width))<<(t.L*tileHeight) > int64(len(l.entries)) {
			return nil
		}
		b, err := tlog.ReadTileData(t, l)
		must(l.tb, err)
		return b
	}
	return nil
}

func (l *fileLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := r.URL.Path[1:]
	b := l.file(path)
	if l.change != nil && b != nil {
		b = l.change(path, b)
	}
	if b == nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(b)
}

func (l *fileLog) damage(change func(path string, b []byte) []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change = change
}

func (l *fileLog) dial() *Client {
	l.tb.Helper()
	c, err := Dial("localhost:1", Options{Insecure: true, Tiles: l.url})
	must(l.tb, err)
	l.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// read demands the entries from from to until, in order.
func (l *fileLog) read(c *Client, cp receipt.Checkpoint, from, until uint64) error {
	next := from
	err := c.Entries(context.Background(), cp, from, until, func(index uint64, entry []byte) error {
		if index != next || !bytes.Equal(entry, l.entries[index]) {
			return fmt.Errorf("got %q at index %d, want %q at %d", entry, index, l.entries[next], next)
		}
		next++
		return nil
	})
	if err == nil && next != until {
		return fmt.Errorf("got entries up to %d, want %d", next, until)
	}
	return err
}

// TestEntries reads trees of many sizes, and parts of them.
func TestEntries(t *testing.T) {
	const size = 20000 // more than one group of bundles
	l := newFileLog(t, size)
	c := l.dial()
	for _, r := range [][3]int{
		{1, 0, 1}, {255, 0, 255}, {256, 0, 256}, {257, 0, 257}, {257, 256, 257}, {600, 100, 600}, {600, 300, 400}, {65 * 256, 0, 65 * 256},
		{size, 0, size}, {size, 16383, 16385}, {size, size - 1, size}, {size, 5, 5}, {0, 0, 0},
	} {
		if err := l.read(c, l.checkpoint(r[0]), uint64(r[1]), uint64(r[2])); err != nil {
			t.Errorf("entries %d to %d of %d: %v", r[1], r[2], r[0], err)
		}
	}
	cp := l.checkpoint(300)
	for _, r := range [][2]uint64{{0, 301}, {2, 1}} {
		if err := c.Entries(t.Context(), cp, r[0], r[1], nil); err == nil {
			t.Errorf("entries %d to %d of 300: got no error", r[0], r[1])
		}
	}
	leaf, err := c.LeafHash(t.Context(), cp, 299)
	must(t, err)
	if leaf != receipt.LeafHash(l.entries[299]) {
		t.Errorf("got leaf %x", leaf)
	}
	if _, err := c.LeafHash(t.Context(), cp, 300); err == nil {
		t.Error("got the leaf of an entry that is not there")
	}
	must(t, c.Continues(t.Context(), cp, l.checkpoint(size)))
	if err := c.Continues(t.Context(), l.checkpoint(size), cp); err == nil {
		t.Error("got no error from a smaller one")
	}
	// An error of each ends it.
	stop := errors.New("stop")
	if err := c.Entries(t.Context(), l.checkpoint(size), 0, size, func(index uint64, _ []byte) error {
		if index == 700 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("got %v, want that of each", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Entries(ctx, l.checkpoint(size), 0, size, func(uint64, []byte) error {
		cancel()
		return nil
	})
	if err == nil {
		t.Error("got no error from a context that ended")
	}
}

// TestEntriesWithoutPartialFiles takes the full bundle where a partial one is gone.
func TestEntriesWithoutPartialFiles(t *testing.T) {
	l := newFileLog(t, 600)
	l.damage(func(path string, b []byte) []byte {
		if strings.Contains(path, ".p/") && strings.HasPrefix(path, "tile/entries/000") {
			return nil
		}
		return b
	})
	must(t, l.read(l.dial(), l.checkpoint(100), 0, 100))
}

// TestDamagedEntries believes no file that is not under the signed root.
func TestDamagedEntries(t *testing.T) {
	l := newFileLog(t, 700)
	cp := l.checkpoint(700)
	other := newFileLog(t, 700)
	other.entries[3] = []byte("another entry")
	for name, c := range map[string]struct {
		change  func(path string, b []byte) []byte
		damaged bool
	}{
		"a flipped bit":        {func(p string, b []byte) []byte { return flip(p, b, "tile/entries/001", 40) }, true},
		"in the last bundle":   {func(p string, b []byte) []byte { return flip(p, b, "tile/entries/002", 40) }, true},
		"a length":             {func(p string, b []byte) []byte { return flip(p, b, "tile/entries/000", 1) }, true},
		"a cut file":           {func(p string, b []byte) []byte { return cut(p, b, "tile/entries/001") }, true},
		"bytes behind":         {func(p string, b []byte) []byte { return longer(p, b, "tile/entries/001") }, true},
		"another log's":        {func(p string, b []byte) []byte { return instead(p, b, "tile/entries/000", other) }, true},
		"a hash":               {func(p string, b []byte) []byte { return flip(p, b, "tile/1/000", 4) }, true},
		"a leaf's hash":        {func(p string, b []byte) []byte { return flip(p, b, "tile/0/002", 4) }, true},
		"no file of entries":   {func(p string, b []byte) []byte { return drop(p, b, "tile/entries/001") }, false},
		"no file of hashes":    {func(p string, b []byte) []byte { return drop(p, b, "tile/1/000") }, false},
		"a hash file too long": {func(p string, b []byte) []byte { return longer(p, b, "tile/1/000") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			l.damage(c.change)
			defer l.damage(nil)
			err := l.read(l.dial(), cp, 0, 700)
			if !errors.Is(err, ErrLogFiles) || errors.Is(err, ErrLogDamaged) != c.damaged {
				t.Errorf("got %v, want ErrLogFiles, and ErrLogDamaged %v", err, c.damaged)
			}
		})
	}
	third := newFileLog(t, 699)
	third.add([]byte("another entry"))
	if err := l.read(l.dial(), third.checkpoint(700), 0, 700); !errors.Is(err, ErrLogDamaged) {
		t.Errorf("another log's checkpoint: got %v, want ErrLogDamaged", err)
	}
	must(t, l.read(l.dial(), cp, 0, 700))
	bare, err := Dial("localhost:1", Options{Insecure: true})
	must(t, err)
	defer bare.Close()
	if err := bare.Entries(t.Context(), cp, 0, 1, nil); err == nil {
		t.Error("got no error without an address")
	}
}

func at(path, prefix string) bool { return strings.HasPrefix(path, prefix) }

func flip(path string, b []byte, prefix string, i int) []byte {
	if at(path, prefix) {
		b = bytes.Clone(b)
		b[i] ^= 1
	}
	return b
}

func cut(path string, b []byte, prefix string) []byte {
	if at(path, prefix) {
		return b[:len(b)-3]
	}
	return b
}

func longer(path string, b []byte, prefix string) []byte {
	if at(path, prefix) {
		return append(bytes.Clone(b), 0, 0)
	}
	return b
}

func drop(path string, b []byte, prefix string) []byte {
	if at(path, prefix) {
		return nil
	}
	return b
}

func instead(path string, b []byte, prefix string, other *fileLog) []byte {
	if at(path, prefix) {
		return other.file(path)
	}
	return b
}

// FuzzEntryBundle splits any bytes; what is taken makes the same bytes again.
func FuzzEntryBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0}, 2, true)
	f.Add([]byte{0, 1, 'a', 0, 0, 9}, 2, false)
	f.Add([]byte{0xff, 0xff}, 1, true)
	f.Fuzz(func(t *testing.T, text []byte, width int, whole bool) {
		width = min(max(width, 0), bundleSize)
		entries, err := parseBundle(text, width, whole)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(binary.BigEndian.AppendUint16(again, uint16(len(e))), e...)
		}
		if len(entries) != width || !bytes.HasPrefix(text, again) || whole && len(again) != len(text) {
			t.Errorf("got %d entries of %x", len(entries), text)
		}
	})
}
