package tesseralog

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// twins grows the tree and merkle's slow reference alike.
func twins(tb testing.TB, n int) (*tree, *testonly.Tree) {
	tb.Helper()
	own, err := newTree("", 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	reference := testonly.New(rfc6962.DefaultHasher)
	for i := range n {
		reference.AppendData(entry(i))
		own.append(hashLeaf(entry(i)))
	}
	return own, reference
}

func samePath(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, own *tree, reference *testonly.Tree, index, size uint64) {
	t.Helper()
	b, err := own.borderAt(size)
	if err != nil {
		t.Fatalf("border of %d: %v", size, err)
	}
	if root := b.root(); !bytes.Equal(root[:], reference.HashAt(size)) {
		t.Fatalf("size %d: got root %x, want %x", size, root, reference.HashAt(size))
	}
	p := own.prover(b)
	got, err := p.appendPath(nil, index)
	if err != nil {
		t.Fatalf("path of %d in %d: %v", index, size, err)
	}
	want, err := reference.InclusionProof(index, size)
	if err != nil {
		t.Fatalf("reference: %v", err)
	}
	if len(got) != len(want) || b.pathLen(index) != len(want) {
		t.Fatalf("path of %d in %d: got %d hashes of %d, want %d", index, size, len(got), b.pathLen(index), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i][:], want[i]) {
			t.Fatalf("path of %d in %d: hash %d: got %x, want %x", index, size, i, got[i], want[i])
		}
	}
}

func TestPathsAreTheReferences(t *testing.T) {
	own, reference := twins(t, 70_000)
	if root, err := own.rootAt(0); err != nil || root != emptyRoot() {
		t.Errorf("empty tree: got root %x, %v", root, err)
	}
	sizes := []uint64{1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 65_793, 69_999, 70_000}
	for _, size := range sizes {
		for _, index := range []uint64{0, size / 3, size / 2, size - 1} {
			samePath(t, own, reference, index, size)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1, 70_000).Draw(t, "size")
		samePath(t, own, reference, rapid.Uint64Range(0, size-1).Draw(t, "index"), size)
	})
}

// TestSmallTreesAllPaths has every path of every small tree.
func TestSmallTreesAllPaths(t *testing.T) {
	own, reference := twins(t, 70)
	for size := uint64(1); size <= 70; size++ {
		for index := range size {
			samePath(t, own, reference, index, size)
		}
	}
}

func TestTreeWait(t *testing.T) {
	own, _ := twins(t, 3)
	if err := own.wait(t.Context(), 3); err != nil {
		t.Errorf("reached size: %v", err)
	}
	waited := make(chan error, 2)
	go func() { waited <- own.wait(context.WithoutCancel(t.Context()), 5) }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { waited <- own.wait(ctx, 100) }()
	own.append(receipt.Hash{})
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	own.append(receipt.Hash{})
	if err := <-waited; err != nil {
		t.Errorf("size reached later: %v", err)
	}
	if len(own.waits) != 0 {
		t.Errorf("%d waits are left", len(own.waits))
	}
}

func TestTileLen(t *testing.T) {
	for _, test := range []struct {
		id   tileID
		size uint64
		want int
	}{
		{tileID{0, 0}, 0, 0}, {tileID{0, 0}, 1, 1}, {tileID{0, 0}, 255, 255}, {tileID{0, 0}, 256, 256}, {tileID{0, 0}, 300, 256},
		{tileID{0, 1}, 256, 0}, {tileID{0, 1}, 257, 1}, {tileID{1, 0}, 255, 0}, {tileID{1, 0}, 256, 1}, {tileID{1, 0}, 65_536, 256},
		{tileID{2, 0}, 65_536, 1}, {tileID{8, 0}, 1 << 63, 0}, {tileID{63, 0}, 1 << 63, 0}, {tileID{0, 1 << 56}, 5, 0}, {tileID{0, 1<<64 - 1}, 1<<64 - 1, 0},
	} {
		if got := tileLen(test.id, test.size); got != test.want {
			t.Errorf("tileLen(%v, %d): got %d, want %d", test.id, test.size, got, test.want)
		}
	}
}

// TestBigLog has three levels of tiles, and a cache too small for them: proofs come
// from files, checked on the way.
func TestBigLog(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 66,000 entries")
	}
	const n = 66_000
	f := newFixture(t)
	c := f.config()
	c.MaxInFlight, c.CachedTiles = n, 1
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f.add(l, n)
	closeLog(t, l)

	if l, err = Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		index := rand.Uint64N(n)
		var held []byte
		err := l.Scan(t.Context(), index, func(_ uint64, e []byte) error {
			held = bytes.Clone(e)
			return errEnough
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		mustProve(t, l, index, held)
	}
	if got, err := l.Check(t.Context()); got != n || err != nil {
		t.Errorf("Check: got %d, %v", got, err)
	}
	closeLog(t, l)
	fsckPasses(f)

	f.damage("tile/1/000", flip(5))
	if l, err = Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	_, err = l.Prove(t.Context(), 7)
	wantError(t, err, new(*FileError), "tile/1/000")
	_, err = l.Check(t.Context())
	wantError(t, err, new(*FileError), "tile/1/000", "hash 0")
}

var errEnough = errors.New("enough")
