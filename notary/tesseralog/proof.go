package tesseralog

import (
	"math/bits"

	"github.com/transparency-dev/merkle/compact"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// border is what all inclusion proofs of one tree size share: the perfect
// subtrees that make it up, from the largest on the left, and what lies right of
// each, folded into one hash.
type border struct {
	size uint64
	// subtrees[i] is the root of the i-th perfect subtree, folded[i] the root of
	// it and all to its right.
	subtrees, folded []receipt.Hash
}

func (t *tree) borderAt(size uint64) (*border, error) {
	ids := compact.RangeNodes(0, size, nil)
	b := &border{size: size, subtrees: make([]receipt.Hash, len(ids)), folded: make([]receipt.Hash, len(ids))}
	for i, id := range ids {
		h, err := t.node(id)
		if err != nil {
			return nil, err
		}
		b.subtrees[i] = h
	}
	for i := len(ids) - 1; i >= 0; i-- {
		b.folded[i] = b.subtrees[i]
		if i+1 < len(ids) {
			b.folded[i] = hashChildren(&b.subtrees[i], &b.folded[i+1])
		}
	}
	return b, nil
}

func (b *border) root() receipt.Hash {
	if b.size == 0 {
		return emptyRoot()
	}
	return b.folded[0]
}

// path returns the RFC 6962 inclusion proof of the leaf at index, which must be
// below the border's size. It hashes nothing: inside the leaf's perfect subtree
// the siblings stand in tiles, and the rest is the border's.
func (t *tree) path(b *border, index uint64) ([]receipt.Hash, error) {
	which, height := subtreeOf(index, b.size)
	path := make([]receipt.Hash, 0, height+len(b.subtrees))
	for low := 0; low < height; low += tileHeight {
		at := tileID{uint64(low / tileHeight), index >> (low + tileHeight)}
		found, err := t.tile(at)
		if err != nil {
			return nil, err
		}
		for level := low; level < min(low+tileHeight, height); level++ {
			width := uint64(tileWidth) >> (level - low)
			path = append(path, found.node(uint(level-low), (index>>level^1)%width))
		}
	}
	if which+1 < len(b.subtrees) {
		path = append(path, b.folded[which+1])
	}
	for i := which - 1; i >= 0; i-- {
		path = append(path, b.subtrees[i])
	}
	return path, nil
}

// subtreeOf returns which perfect subtree of the tree holds the leaf, counted from
// the left, and how high that is. The subtrees are the one bits of size; the
// leaf's is the highest bit that index, which is smaller, does not have.
func subtreeOf(index, size uint64) (which, height int) {
	height = bits.Len64(index^size) - 1
	return bits.OnesCount64(size >> (height + 1)), height
}
