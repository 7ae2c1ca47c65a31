package tesseralog

import (
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

const (
	tileHeight = layout.TileHeight // levels of the tree in one tile
	tileWidth  = layout.TileWidth  // hashes in the lowest row of a tile, entries in a bundle
	hashSize   = len(receipt.Hash{})
)

// tile holds the hashes of one tile file and the hashes above them.
//
// It only grows, and a hash once set never changes: whoever learned a size after
// it was reached may read everything below that size without a lock.
type tile struct {
	n     int                           // hashes in the lowest row
	nodes [2*tileWidth - 1]receipt.Hash // row by row from the lowest
}

// row returns where a row begins; row 8 is the tile's root.
func row(level uint) int { return 2*tileWidth - (2*tileWidth)>>level }

func newTile(hashes []receipt.Hash) *tile {
	t := new(tile)
	for _, h := range hashes {
		t.append(h)
	}
	return t
}

func (t *tile) append(h receipt.Hash) {
	i := t.n
	t.nodes[i] = h
	t.n++
	for level := uint(0); i&1 == 1; level++ {
		left, right := &t.nodes[row(level)+i-1], &t.nodes[row(level)+i]
		i >>= 1
		t.nodes[row(level+1)+i] = hashChildren(left, right)
	}
}

// node returns the i-th hash of a row. It is set once 2^level times i+1 hashes
// were appended.
func (t *tile) node(level uint, i uint64) receipt.Hash { return *t.at(level, i) }

func (t *tile) at(level uint, i uint64) *receipt.Hash { return &t.nodes[row(level)+int(i)] }

// root returns the hash of a full tile, which stands in the tile above.
func (t *tile) root() receipt.Hash { return t.node(tileHeight, 0) }

func hashChildren(left, right *receipt.Hash) receipt.Hash {
	return receipt.Hash(rfc6962.DefaultHasher.HashChildren(left[:], right[:]))
}

func hashLeaf(entry []byte) receipt.Hash {
	return receipt.Hash(rfc6962.DefaultHasher.HashLeaf(entry))
}

func emptyRoot() receipt.Hash { return receipt.Hash(rfc6962.DefaultHasher.EmptyRoot()) }
