package tesseralog

import (
	"fmt"
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

// prover builds the proofs of one tree size. It holds the tiles that it used last,
// one a level: entries that were added together stand in the same ones, and are
// proven without a lock or a look-up. It is for one goroutine.
type prover struct {
	tree   *tree
	border *border
	held   [64 / tileHeight]heldTile // by level
}

type heldTile struct {
	index uint64
	tile  *tile
}

func (t *tree) prover(b *border) prover {
	return prover{tree: t, border: b}
}

// appendPath appends the RFC 6962 inclusion proof of the leaf at index, which must
// be below the border's size. It hashes nothing: inside the leaf's perfect subtree
// the siblings stand in tiles, and the rest is the border's.
func (p *prover) appendPath(path []receipt.Hash, index uint64) ([]receipt.Hash, error) {
	which, height := subtreeOf(index, p.border.size)
	for low := 0; low < height; low += tileHeight {
		found, err := p.tile(tileID{uint64(low / tileHeight), index >> (low + tileHeight)})
		if err != nil {
			return nil, err
		}
		for level := low; level < min(low+tileHeight, height); level++ {
			width := uint64(tileWidth) >> (level - low)
			path = append(path, *found.at(uint(level-low), (index>>level^1)%width))
		}
	}
	if subtrees := p.border.subtrees; which+1 < len(subtrees) {
		path = append(path, p.border.folded[which+1])
	}
	for i := which - 1; i >= 0; i-- {
		path = append(path, p.border.subtrees[i])
	}
	return path, nil
}

// tile returns a tile that covers a leaf below the border's size. It may grow
// meanwhile, which changes nothing below that size.
func (p *prover) tile(id tileID) (*tile, error) {
	held := &p.held[id.level]
	if held.tile == nil || held.index != id.index {
		found, err := p.tree.tile(id)
		if err != nil {
			return nil, err
		}
		*held = heldTile{id.index, found}
	}
	return held.tile, nil
}

// pathLen returns how many hashes the proof of a leaf has.
func (b *border) pathLen(index uint64) int {
	which, height := subtreeOf(index, b.size)
	if which+1 < len(b.subtrees) {
		height++
	}
	return height + which
}

// prove proves entries that the snapshot covers. All paths lie in one piece of
// memory.
func (t *tree) prove(s *snapshot, indexes []uint64) ([]receipt.Inclusion, error) {
	hashes := 0
	for _, index := range indexes {
		hashes += s.border.pathLen(index)
	}
	paths := make([]receipt.Hash, 0, hashes)
	proofs := make([]receipt.Inclusion, len(indexes))
	p := t.prover(s.border)
	for i, index := range indexes {
		longer, err := p.appendPath(paths, index)
		if err != nil {
			return nil, fmt.Errorf("proving entry %d: %w", index, err)
		}
		proofs[i] = receipt.Inclusion{Index: index, Checkpoint: s.checkpoint, Path: longer[len(paths):len(longer):len(longer)]}
		paths = longer
	}
	return proofs, nil
}

// subtreeOf returns which perfect subtree of the tree holds the leaf, counted from
// the left, and how high that is. The subtrees are the one bits of size; the
// leaf's is the highest bit that index, which is smaller, does not have.
func subtreeOf(index, size uint64) (which, height int) {
	height = bits.Len64(index^size) - 1
	return bits.OnesCount64(size >> (height + 1)), height
}
