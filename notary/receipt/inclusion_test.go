package receipt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial/benchtest"
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

// Whoever knows one proof of a tree judges every other one as who knows none, also
// one that is wrong anywhere.
func TestKnownProofChangesNothing(t *testing.T) {
	tree := testonly.New(rfc6962.DefaultHasher)
	var leaves []Hash
	for i := range 37 {
		entry := fmt.Appendf(nil, "entry %d", i)
		tree.AppendData(entry)
		leaves = append(leaves, LeafHash(entry))
	}
	proofOf := func(index, size uint64) []Hash {
		hashes, err := tree.InclusionProof(index, size)
		if err != nil {
			t.Fatal(err)
		}
		return asPath(hashes)
	}
	same := func(known *followed, leaf Hash, index, size uint64, path []Hash) (met int) {
		t.Helper()
		want, ok := rootOf(leaf, index, size, path)
		got, met, gotOK := follow(leaf, index, size, path, known, nil)
		if gotOK != ok || ok && got != want {
			t.Fatalf("index %d of %d: got %x, %v, want %x, %v", index, size, got, gotOK, want, ok)
		}
		return met
	}
	met := 0
	for _, size := range []uint64{1, 2, 3, 8, 13, 32, 37} {
		for k := range size {
			known := &followed{path: proofOf(k, size)}
			known.steps = make([]step, len(known.path))
			known.root, _, _ = follow(leaves[k], k, size, known.path, nil, known.steps)
			for index := range size {
				path := proofOf(index, size)
				if n := same(known, leaves[index], index, size, path); n < len(path) {
					met++
				}
				same(known, Hash{1}, index, size, path)
				same(known, leaves[k], index, size, path)
				for _, claimed := range []uint64{index ^ 1, index + 1, k} {
					same(known, leaves[index], claimed, size, path)
				}
				same(known, leaves[index], index, size+1, path)
				for i := range path {
					wrong := slices.Clone(path)
					wrong[i][31] ^= 1
					same(known, leaves[index], index, size, wrong)
					same(known, leaves[index], index, size, path[:i])
				}
				same(known, leaves[index], index, size, append(slices.Clone(path), Hash{}))
			}
		}
	}
	if met == 0 {
		t.Error("no proof came to the known one")
	}
}

// BenchmarkNeighbours proves what one checkpoint covers of a log of 65,536 entries,
// in any order, each proof by itself and with what others came to.
func BenchmarkNeighbours(b *testing.B) {
	const size, covered = 1<<16 - 5, 1400
	tree := testonly.New(rfc6962.DefaultHasher)
	entries := make([][]byte, size)
	for i := range entries {
		entries[i] = fmt.Appendf(nil, "entry %d", i)
		tree.AppendData(entries[i])
	}
	all := make([]Inclusion, covered)
	for i := range all {
		all[i].Index = uint64(size - covered + i)
		hashes, err := tree.InclusionProof(all[i].Index, size)
		if err != nil {
			b.Fatal(err)
		}
		all[i].Path, all[i].Checkpoint = asPath(hashes), Checkpoint{Size: size, Root: Hash(tree.HashAt(size))}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(covered, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for name, verify := range map[string]func(*proofs, []byte, Inclusion) error{
		"alone":    func(_ *proofs, entry []byte, inc Inclusion) error { return verifyInclusion(entry, inc) },
		"together": (*proofs).includes,
	} {
		b.Run(name, func(b *testing.B) {
			benchtest.PerOp(b, func() {
				known := new(proofs)
				for _, inc := range all {
					if err := verify(known, entries[inc.Index], inc); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
