package tesseralog

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// walk reads all bundles and tiles of a tree of size entries and names the first
// damaged file. want is the root that was signed: it tells which of two files that
// disagree is right. The files are those of the tree of held entries, which may
// be larger.
type walk struct {
	files folder
	size  uint64
	held  uint64
	want  receipt.Hash

	// own grows from the bundles alone.
	own *tree
	// suspect is the first tile above level 0 that differs from own. Whether it is
	// the tile that is wrong or the entries are is known at the end.
	suspect error
}

func newWalk(files folder, size, held uint64, want receipt.Hash) (*walk, error) {
	own, err := newTree(files, 8)
	if err != nil {
		return nil, err
	}
	return &walk{files: files, size: size, held: held, want: want, own: own}, nil
}

// run returns the root that the entries give, which is want or the folder holds
// other entries throughout.
func (w *walk) run(ctx context.Context) (receipt.Hash, error) {
	for bundle := uint64(0); bundle*tileWidth < w.size; bundle++ {
		if err := notary.Pause(ctx); err != nil {
			return receipt.Hash{}, err
		}
		if err := w.bundle(bundle, tileLen(tileID{0, bundle}, w.size)); err != nil {
			return receipt.Hash{}, err
		}
	}
	for level := uint64(1); level < uint64(len(w.own.edges)); level++ {
		w.compare(tileID{level, w.size >> (tileHeight * (level + 1))}, w.own.edges[level])
	}
	root, err := w.own.rootAt(w.size)
	if err != nil {
		return root, err
	}
	if root == w.want && w.suspect != nil {
		return root, w.suspect
	}
	return root, nil
}

// bundle adds the first n entries of a bundle and compares it with its tile, and
// with it all tiles above that become full.
func (w *walk) bundle(index uint64, n int) error {
	id := tileID{0, index}
	entries, name, err := w.files.readBundle(index, tileLen(id, w.held))
	if err != nil {
		return err
	}
	leaves := make([]receipt.Hash, n)
	for i := range leaves {
		leaves[i] = hashLeaf(entries[i])
	}
	hashes, err := w.readTile(id)
	if err != nil {
		return err
	}
	for i := range leaves {
		if leaves[i] != hashes[i] {
			return w.blame(name, id, leaves, hashes, i)
		}
	}
	for _, leaf := range leaves {
		w.own.append(leaf)
	}
	for level := uint64(1); (index+1)%(1<<(tileHeight*level)) == 0; level++ {
		id := tileID{level, index >> (tileHeight * level)}
		full, err := w.own.tile(id)
		if err != nil {
			return err
		}
		w.compare(id, full)
	}
	return nil
}

// compare compares a tile above level 0 with its file.
func (w *walk) compare(id tileID, own *tile) {
	if own.n == 0 || w.suspect != nil {
		return
	}
	hashes, err := w.readTile(id)
	if err != nil {
		w.suspect = err
		return
	}
	for i := range own.n {
		if hashes[i] != own.node(0, uint64(i)) {
			w.suspect = &FileError{w.tilePath(id), fmt.Sprintf("damaged: hash %d is not that of the tile below", i)}
			return
		}
	}
}

// blame tells which of a bundle and its tile, which differ at place i, is damaged:
// the one that does not lead to the signed root.
func (w *walk) blame(bundle string, id tileID, leaves, hashes []receipt.Hash, i int) error {
	index, tileName := id.index*tileWidth+uint64(i), w.tilePath(id)
	switch {
	case w.leadsToRoot(index, leaves):
		return &FileError{tileName, fmt.Sprintf("damaged: hash %d is not that of entry %d", i, index)}
	case w.leadsToRoot(index, hashes):
		return &FileError{bundle, fmt.Sprintf("damaged: entry %d is not what was logged", index)}
	}
	return &FileError{bundle, fmt.Sprintf("entry %d differs from %s, and neither leads to the signed root", index, tileName)}
}

// leadsToRoot tells whether the leaf at index is under the signed root if its
// tile's hashes are these, and all other tiles are as their files say.
func (w *walk) leadsToRoot(index uint64, hashes []receipt.Hash) bool {
	nodes, err := proof.Inclusion(index, w.size)
	if err != nil {
		return false
	}
	path := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, err := w.fileNode(id, tileID{0, index / tileWidth}, hashes)
		if err != nil {
			return false
		}
		path[i] = h[:]
	}
	if path, err = nodes.Rehash(path, rfc6962.DefaultHasher.HashChildren); err != nil {
		return false
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, index, w.size, hashes[index%tileWidth][:], path, w.want[:]) == nil
}

// readTile returns a tile's hashes, of which the walk's tree has the first ones.
func (w *walk) readTile(id tileID) ([]receipt.Hash, error) {
	return w.files.readTile(id, tileLen(id, w.held))
}

func (w *walk) tilePath(id tileID) string { return tilePath(id, tileLen(id, w.held)) }

// fileNode returns a node as the tile files have it, but for one tile.
func (w *walk) fileNode(id compact.NodeID, except tileID, hashes []receipt.Hash) (receipt.Hash, error) {
	at, level, index := locate(id)
	if at == except {
		return newTile(hashes).node(level, index), nil
	}
	read, err := w.readTile(at)
	if err != nil {
		return receipt.Hash{}, err
	}
	return newTile(read).node(level, index), nil
}
