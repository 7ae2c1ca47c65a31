package tesseralog

import (
	"context"
	"fmt"
	"slices"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/transparency-dev/merkle/compact"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

type tileID struct{ level, index uint64 }

// tree is the log's own Merkle tree: the partial tiles of its right edge, and the
// full tiles used last. Full tiles that were dropped are read back from their
// files and checked against the tile above, so that every hash it gives belongs
// to the edge, which was checked against the high-water mark.
type tree struct {
	files folder
	full  *lru.Cache[tileID, *tile]

	// mu guards the rest. Between calls edges holds, at each level, the tile that
	// is not full yet, and size is the number of hashes in the tiles of level 0.
	mu    sync.Mutex
	size  uint64
	edges []*tile
	waits []sizeWait
}

type sizeWait struct {
	size    uint64
	reached chan struct{}
}

func newTree(files folder, cachedTiles int) (*tree, error) {
	full, err := lru.New[tileID, *tile](max(cachedTiles, 1))
	if err != nil {
		return nil, fmt.Errorf("making the tile cache: %w", err)
	}
	return &tree{files: files, full: full}, nil
}

// loadTree reads the right edge of the tree of this size. Whether it is the right
// one is for the caller to check by its root.
func loadTree(files folder, size uint64, cachedTiles int) (*tree, error) {
	t, err := newTree(files, cachedTiles)
	if err != nil {
		return nil, err
	}
	t.size = size
	for level := uint64(0); size>>(tileHeight*level) > 0; level++ {
		edge := new(tile)
		id := tileID{level, size >> (tileHeight * (level + 1))}
		if n := tileLen(id, size); n > 0 {
			hashes, err := files.readTile(id, n)
			if err != nil {
				return nil, err
			}
			edge = newTile(hashes)
		}
		t.edges = append(t.edges, edge)
	}
	return t, nil
}

// tileLen returns how many hashes a tile has in a tree of this size.
func tileLen(id tileID, size uint64) int {
	row := size >> (tileHeight * id.level)
	switch full := row / tileWidth; {
	case id.index < full:
		return tileWidth
	case id.index > full:
		return 0
	}
	return int(row % tileWidth)
}

// Size returns the number of leaves.
func (t *tree) Size() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

func (t *tree) append(leaf receipt.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := leaf
	for level := uint64(0); ; level++ {
		if level == uint64(len(t.edges)) {
			t.edges = append(t.edges, new(tile))
		}
		edge := t.edges[level]
		edge.append(h)
		if edge.n < tileWidth {
			break
		}
		t.full.Add(tileID{level, t.size >> (tileHeight * (level + 1))}, edge)
		t.edges[level] = new(tile)
		h = edge.root()
	}
	t.size++
	t.waits = slices.DeleteFunc(t.waits, func(w sizeWait) bool {
		if w.size > t.size {
			return false
		}
		close(w.reached)
		return true
	})
}

// wait returns when the tree has at least size leaves, or ctx ends.
func (t *tree) wait(ctx context.Context, size uint64) error {
	t.mu.Lock()
	if t.size >= size {
		t.mu.Unlock()
		return nil
	}
	w := sizeWait{size, make(chan struct{})}
	t.waits = append(t.waits, w)
	t.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waits = slices.DeleteFunc(t.waits, func(o sizeWait) bool { return o == w })
	return ctx.Err()
}

// tile returns a tile that holds at least one hash.
func (t *tree) tile(id tileID) (*tile, error) {
	edge, full, err := t.edge(id)
	if err != nil || !full {
		return edge, err
	}
	if cached, ok := t.full.Get(id); ok {
		return cached, nil
	}
	loaded, err := t.loadFull(id)
	if err != nil {
		return nil, err
	}
	t.full.Add(id, loaded)
	return loaded, nil
}

// edge returns the tile if it is not full.
func (t *tree) edge(id tileID) (edge *tile, full bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.size >> (tileHeight * (id.level + 1))
	switch {
	case id.index < last:
		return nil, true, nil
	case id.index > last || id.level >= uint64(len(t.edges)):
		return nil, false, fmt.Errorf("tile %d of level %d is beyond the tree of %d entries", id.index, id.level, t.size)
	}
	return t.edges[id.level], false, nil
}

// loadFull reads a full tile from its file, past the cache.
func (t *tree) loadFull(id tileID) (*tile, error) {
	hashes, err := t.files.readTile(id, tileWidth)
	if err != nil {
		return nil, err
	}
	loaded := newTile(hashes)
	above, err := t.tile(tileID{id.level + 1, id.index / tileWidth})
	if err != nil {
		return nil, err
	}
	if loaded.root() != above.node(0, id.index%tileWidth) {
		return nil, &FileError{tilePath(id, tileWidth), "damaged: its hashes are not those under the signed root"}
	}
	return loaded, nil
}

// leaves returns the leaf hashes of a bundle, up to n of them. It leaves the
// cache as it is, so that walking the log does not push the newest tiles out.
func (t *tree) leaves(bundle uint64, n int) ([]receipt.Hash, error) {
	id := tileID{0, bundle}
	found, full, err := t.edge(id)
	if err != nil {
		return nil, err
	}
	if full {
		var cached bool
		if found, cached = t.full.Peek(id); !cached {
			found, err = t.loadFull(id)
		}
		if err != nil {
			return nil, err
		}
	}
	return found.nodes[:n], nil
}

func (t *tree) node(id compact.NodeID) (receipt.Hash, error) {
	at, level, index := locate(id)
	found, err := t.tile(at)
	if err != nil {
		return receipt.Hash{}, err
	}
	return found.node(level, index), nil
}

// locate returns the tile that holds a node, and the row and place there. Roots of
// full tiles are looked up in the tile above.
func locate(id compact.NodeID) (at tileID, level uint, index uint64) {
	level = id.Level % tileHeight
	width := uint64(tileWidth) >> level
	return tileID{uint64(id.Level / tileHeight), id.Index / width}, level, id.Index % width
}

// rootAt returns the root of the first size leaves.
func (t *tree) rootAt(size uint64) (receipt.Hash, error) {
	b, err := t.borderAt(size)
	if err != nil {
		return receipt.Hash{}, err
	}
	return b.root(), nil
}
