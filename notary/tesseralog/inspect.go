package tesseralog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// found is what a folder holds that passed inspection.
type found struct {
	tree       *tree // of all integrated entries
	mark       notary.Mark
	checkpoint receipt.Checkpoint
}

// inspect compares the folder with itself and with the high-water mark before
// Tessera, which believes all of it, may touch it. It reads the right edge of the
// tree, the newest bundle and what was integrated beyond the mark; the rest is
// read when it is needed, and by Check.
//
// A checkpoint below the mark is no damage: a crash between moving the mark and
// writing the checkpoint leaves it there. A tree below the checkpoint or the mark
// is: Tessera makes the tree durable first.
func inspect(ctx context.Context, c Config, files folder) (*found, error) {
	state, err := files.readTreeState()
	if err != nil {
		return nil, err
	}
	checkpoint, err := files.readCheckpoint(c.Verifier)
	if err != nil {
		return nil, err
	}
	mark, err := loadMark(ctx, c, max(state.size, checkpoint.Size))
	if err != nil {
		return nil, err
	}
	switch {
	case state.size < checkpoint.Size:
		return nil, &FileError{treeStateFile, fmt.Sprintf(
			"holds %d entries, a checkpoint of %d was published: damaged, or from an older copy", state.size, checkpoint.Size)}
	case state.size < mark.Size:
		return nil, &LostError{Held: state.size, Mark: mark.Size}
	}
	f := &found{mark: mark, checkpoint: checkpoint}
	if f.tree, err = loadTree(files, state.size, c.CachedTiles); err != nil {
		return nil, f.blameState(c, files, state, err)
	}
	if err := f.checkRoots(ctx, state); err != nil {
		return nil, err
	}
	if checkpoint.Size > mark.Size {
		return nil, &MarkBehindError{Mark: mark.Size, Published: checkpoint.Size}
	}
	return f, f.checkNewest(ctx, files)
}

// loadMark returns the mark, and sets that of a new log: from then on a missing
// mark is a lost one.
func loadMark(ctx context.Context, c Config, held uint64) (notary.Mark, error) {
	mark, ok, err := c.Marks.LoadMark(ctx)
	if err != nil {
		return mark, fmt.Errorf("reading the high-water mark: %w", err)
	}
	if ok {
		return mark, nil
	}
	if held > 0 {
		return mark, fmt.Errorf("%w: it holds %d entries; restore the database that belongs to it", ErrNoMark, held)
	}
	first := notary.Mark{Root: emptyRoot()}
	if c.ReadOnly {
		return first, nil
	}
	if err := c.Marks.AdvanceMark(ctx, mark, first); err != nil {
		return mark, fmt.Errorf("setting the high-water mark of a new log: %w", err)
	}
	return first, nil
}

// checkRoots compares the tree's root with the mark's, Tessera's and the
// checkpoint's, each at its size.
func (f *found) checkRoots(ctx context.Context, state treeState) error {
	for _, known := range []notary.Mark{
		f.mark, {Size: state.size, Root: state.root}, {Size: f.checkpoint.Size, Root: f.checkpoint.Root},
	} {
		if got, err := f.tree.rootAt(known.Size); err != nil || got != known.Root {
			return f.diagnose(ctx, state, err)
		}
	}
	return nil
}

// blameState tells whether it is the tree state that is wrong where a file is
// missing that it asks for: so it is if it counts more than was signed, and what was
// signed is all there.
func (f *found) blameState(c Config, files folder, state treeState, problem error) error {
	if !errors.Is(problem, fs.ErrNotExist) || state.size <= f.mark.Size {
		return problem
	}
	signed, err := loadTree(files, f.mark.Size, c.CachedTiles)
	if err != nil {
		return problem
	}
	if root, err := signed.rootAt(f.mark.Size); err != nil || root != f.mark.Root {
		return problem
	}
	return &FileError{treeStateFile, fmt.Sprintf("counts %d entries, of which files are missing (%v); the %d that were signed are there: damaged",
		state.size, problem, f.mark.Size)}
}

// diagnose names what is wrong with a folder whose right edge does not give the
// roots that it should. Only a walk over the entries tells, the mark's first: it
// is the one to be trusted.
func (f *found) diagnose(ctx context.Context, state treeState, found error) error {
	signed, err := newWalk(f.tree.files, f.mark.Size, state.size, f.mark.Root)
	if err != nil {
		return err
	}
	held, err := signed.run(ctx)
	if err != nil {
		return err
	}
	if held != f.mark.Root {
		return &ConflictError{Size: f.mark.Size, Held: held, Signed: f.mark.Root, Source: "the high-water mark"}
	}
	integrated, err := newWalk(f.tree.files, state.size, state.size, state.root)
	if err != nil {
		return err
	}
	if held, err = integrated.run(ctx); err != nil {
		return err
	}
	if held != state.root {
		return &FileError{treeStateFile, fmt.Sprintf("damaged: it has root %x for %d entries, which give %x", state.root, state.size, held)}
	}
	if held, err = integrated.own.rootAt(f.checkpoint.Size); err != nil {
		return err
	}
	if held != f.checkpoint.Root {
		return &ConflictError{Size: f.checkpoint.Size, Held: held, Signed: f.checkpoint.Root, Source: "the published checkpoint"}
	}
	return fmt.Errorf("the log folder changed while it was read: %w", found)
}

// checkNewest reads the newest bundle, which Tessera copies from when it adds the
// next entry, and all bundles beyond the mark, which nobody signed yet: what the
// mark covers plus these entries must be the tree that Tessera integrated. Each
// entry is compared with its own hash in that tree, so that the file is named.
func (f *found) checkNewest(ctx context.Context, files folder) error {
	size := f.tree.Size()
	if size == 0 {
		return nil
	}
	for bundle := min(f.mark.Size, size-1) / tileWidth; bundle*tileWidth < size; bundle++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := tileLen(tileID{0, bundle}, size)
		leaves, err := f.tree.leaves(bundle, n)
		if err != nil {
			return err
		}
		entries, name, err := files.readBundle(bundle, n)
		if err != nil {
			return err
		}
		if err := compareEntries(name, entries, leaves, bundle*tileWidth); err != nil {
			return err
		}
	}
	return nil
}
