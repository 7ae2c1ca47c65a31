package receipt

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"pgregory.net/rapid"
)

func TestLeafHash(t *testing.T) {
	for _, n := range []int{0, 1, 55, 56, 1022, 1023, 1024, 1025, MaxEntry} {
		leaf := bytes.Repeat([]byte{byte(n)}, n)
		if got := LeafHash(leaf); !bytes.Equal(got[:], rfc6962.DefaultHasher.HashLeaf(leaf)) {
			t.Errorf("%d bytes: got another hash than the merkle library", n)
		}
	}
}

// Every proof of a small tree, and what an altered one would have to say.
func TestInclusionOfEveryEntry(t *testing.T) {
	tree := testonly.New(rfc6962.DefaultHasher)
	var leaves []Hash
	for i := range 70 {
		entry := fmt.Appendf(nil, "entry %d", i)
		tree.AppendData(entry)
		leaves = append(leaves, LeafHash(entry))
	}
	for size := uint64(1); size <= uint64(len(leaves)); size++ {
		for index := range size {
			hashes, err := tree.InclusionProof(index, size)
			if err != nil {
				t.Fatal(err)
			}
			path := asPath(hashes)
			for _, claimed := range []uint64{0, index - 1, index, index + 1, index ^ 1, size - 1, size} {
				for _, other := range []uint64{size - 1, size, size + 1} {
					sameAsLibrary(t, leaves[index], claimed, other, path)
				}
			}
			if root, ok := rootOf(leaves[index], index, size, path); !ok || root != Hash(tree.HashAt(size)) {
				t.Fatalf("entry %d of %d is not proven", index, size)
			}
		}
	}
}

// Whatever is claimed, the merkle library says the same.
func TestInclusionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(0, maxTreeSize).Draw(t, "size")
		index := rapid.Uint64Range(0, maxTreeSize).Draw(t, "index")
		path := make([]Hash, rapid.IntRange(0, maxPath+1).Draw(t, "hashes"))
		for i := range path {
			path[i][0] = byte(i)
		}
		sameAsLibrary(t, Hash{1}, index, size, path)
		if size > 0 { // and with the one length that is right
			index %= size
			for n := range path {
				sameAsLibrary(t, Hash{1}, index, size, path[:n])
			}
		}
	})
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func sameAsLibrary(t failer, leaf Hash, index, size uint64, path []Hash) {
	t.Helper()
	hashes := make([][]byte, len(path))
	for i := range path {
		hashes[i] = path[i][:]
	}
	want, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, index, size, leaf[:], hashes)
	got, ok := rootOf(leaf, index, size, path)
	if ok != (err == nil) || ok && !bytes.Equal(got[:], want) {
		t.Fatalf("index %d of %d with %d hashes: got %x, %v, the merkle library %x, %v", index, size, len(path), got, ok, want, err)
	}
}

func asPath(hashes [][]byte) []Hash {
	path := make([]Hash, 0, len(hashes))
	for _, h := range hashes {
		path = append(path, Hash(h))
	}
	return slices.Clip(path)
}
