package tesseralog

import (
	"context"
	"fmt"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// signPatience bounds how long a signature waits for the futures of the entries
// that it is to cover, and for the mark to be stored.
const signPatience = 30 * time.Second

// guard is the note.Signer that Tessera is given. It signs no tree but the log's
// own, and only after the high-water mark was moved to it.
type guard struct{ l *Log }

func (g guard) Name() string    { return g.l.cfg.Signer.Name() }
func (g guard) KeyHash() uint32 { return g.l.cfg.Signer.KeyHash() }

// Sign stops the log if it refuses. A failure of the key alone does not: the mark
// is where it would be signed, so the next attempt may succeed.
func (g guard) Sign(text []byte) ([]byte, error) {
	l := g.l
	l.signMu.Lock()
	defer l.signMu.Unlock()
	if err := l.Err(); err != nil {
		return nil, err
	}
	size, root, err := parseBody(text, l.origin)
	if err == nil {
		err = l.mayPublish(size, root)
	}
	if err != nil {
		l.stop(err)
		return nil, l.Err()
	}
	signature, err := l.cfg.Signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	l.signed.Store(size)
	l.unseen.Store(true)
	select {
	case l.signings <- struct{}{}:
	default:
	}
	return signature, nil
}

// mayPublish needs signMu. It returns nil once the mark is (size, root).
func (l *Log) mayPublish(size uint64, root receipt.Hash) error {
	ctx, cancel := context.WithTimeout(l.alive, signPatience)
	defer cancel()
	if size < l.mark.Size {
		return &LostError{Held: size, Mark: l.mark.Size}
	}
	if err := l.tree.wait(ctx, size); err != nil {
		if err := l.Err(); err != nil {
			return err
		}
		return fmt.Errorf("asked to sign %d entries, but only %d were added: %w", size, l.tree.Size(), err)
	}
	own, err := l.tree.rootAt(size)
	if err != nil {
		return err
	}
	// Reading back comes first: if the roots differ it names the file at fault.
	if err := l.readBack(size); err != nil {
		return err
	}
	if own != root {
		return &ConflictError{Size: size, Held: root, Signed: own, Source: "what was added"}
	}
	to := notary.Mark{Size: size, Root: root}
	if size == l.mark.Size {
		if to != l.mark {
			return &ConflictError{Size: size, Held: root, Signed: l.mark.Root, Source: "the high-water mark"}
		}
		return nil
	}
	if err := l.cfg.Marks.AdvanceMark(ctx, l.mark, to); err != nil {
		return fmt.Errorf("moving the high-water mark from %d to %d: %w", l.mark.Size, size, err)
	}
	l.mark = to
	l.marked.Store(size)
	return nil
}

// Marked returns the size at the high-water mark. It waits for nothing, also not
// for a mark that is being stored.
func (l *Log) Marked() uint64 { return l.marked.Load() }

// readBack needs signMu. It reads what Tessera wrote since the last time, up to
// size entries, and compares it with the log's own tree. It reads whole files,
// entries of earlier checkpoints included: Tessera copies them from the partial
// files, damaged or not.
func (l *Log) readBack(size uint64) error {
	for bundle := l.read / tileWidth; bundle*tileWidth < size; bundle++ {
		if err := l.compareBundle(bundle, tileLen(tileID{0, bundle}, size)); err != nil {
			return err
		}
	}
	for level := uint64(0); size>>(tileHeight*level) > 0; level++ {
		shift := tileHeight * (level + 1)
		for index := l.read >> shift; tileLen(tileID{level, index}, size) > 0; index++ {
			if err := l.compareTile(tileID{level, index}, tileLen(tileID{level, index}, size)); err != nil {
				return err
			}
		}
	}
	l.read = size
	return nil
}

// compareBundle compares the first n entries of a bundle file with the tree.
func (l *Log) compareBundle(bundle uint64, n int) error {
	leaves, err := l.tree.leaves(bundle, n)
	if err != nil {
		return err
	}
	entries, name, err := l.files.readBundle(bundle, n)
	if err != nil {
		return err
	}
	return compareEntries(name, entries, leaves, bundle*tileWidth)
}

// compareEntries compares entries, the first of which has index first, with what
// they must hash to.
func compareEntries(name string, entries [][]byte, leaves []receipt.Hash, first uint64) error {
	for i, entry := range entries {
		if hashLeaf(entry) != leaves[i] {
			return &FileError{name, fmt.Sprintf("damaged: entry %d is not what was logged", first+uint64(i))}
		}
	}
	return nil
}

func (l *Log) compareTile(id tileID, n int) error {
	own, err := l.tree.tile(id)
	if err != nil {
		return err
	}
	hashes, err := l.files.readTile(id, n)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if h != own.node(0, uint64(i)) {
			return &FileError{tilePath(id, n), fmt.Sprintf("damaged: hash %d is not that of what was logged", i)}
		}
	}
	return nil
}
