package tesseralog

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// TestCollectedPartials removes the partial files that full ones took the place
// of, as Tessera does some time later.
func TestCollectedPartials(t *testing.T) {
	f := newFixture(t)
	f.fill(5, 100, 200)
	for _, name := range []string{"tile/0/000.p", "tile/entries/000.p"} {
		if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l := f.open()
	for index := range uint64(305) {
		mustProve(t, l, index, entry(int(index)))
	}
	if n, err := l.Check(t.Context()); n != 305 || err != nil {
		t.Errorf("Check: got %d, %v", n, err)
	}
	for _, name := range []string{"tile/0/000.p/5", "tile/entries/000.p/5"} {
		if content, _, err := l.ReadFile(name); err != nil || len(content) == 0 {
			t.Errorf("%s: got %d bytes, %v", name, len(content), err)
		}
	}
	f.add(l, 300)
}

// FuzzParseBundle: what is accepted gives the same bytes back.
func FuzzParseBundle(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x00\x00", "\x00\x01a", "\x00\x02a", "\x00\x01a\x00\x00\x00\x02bc", "\xff\xff"} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		entries, err := parseBundle(raw, n)
		if err != nil {
			return
		}
		if len(entries) != n {
			t.Errorf("got %d entries, want %d", len(entries), n)
		}
		var again []byte
		for _, e := range entries {
			again = binary.BigEndian.AppendUint16(again, uint16(len(e)))
			again = append(again, e...)
		}
		if !bytes.Equal(again, raw) {
			t.Errorf("got %x, want %x", again, raw)
		}
	})
}
