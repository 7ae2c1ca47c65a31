package tesseralog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Scan implements notary.Log. Every entry is compared with its hash in the log's
// tree before fn sees it.
func (l *Log) Scan(ctx context.Context, from uint64, fn func(index uint64, entry []byte) error) error {
	size := l.Size()
	for bundle := from / tileWidth; bundle*tileWidth < size; bundle++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := l.readEntries(bundle, tileLen(tileID{0, bundle}, size))
		if err != nil {
			return fmt.Errorf("scanning the log: %w", err)
		}
		for i, entry := range entries {
			if index := bundle*tileWidth + uint64(i); index >= from {
				if err := fn(index, entry); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readEntries returns the first n entries of a bundle, compared with the tree.
func (l *Log) readEntries(bundle uint64, n int) ([][]byte, error) {
	leaves, err := l.tree.leaves(bundle, n)
	if err != nil {
		return nil, err
	}
	entries, name, err := l.files.readBundle(bundle, n)
	if errors.Is(err, fs.ErrNotExist) {
		// The tree grows by entry, the files by batch: there is one of the size
		// that Tessera integrated.
		entries, name, err = l.readIntegrated(bundle, n, err)
	}
	if err != nil {
		return nil, err
	}
	return entries, compareEntries(name, entries, leaves, bundle*tileWidth)
}

// readIntegrated reads a bundle as it is in the integrated tree, if that has more
// than n entries of it.
func (l *Log) readIntegrated(bundle uint64, n int, missing error) ([][]byte, string, error) {
	state, err := l.files.readTreeState()
	if err != nil {
		return nil, "", err
	}
	integrated := tileLen(tileID{0, bundle}, state.size)
	if integrated <= n {
		return nil, "", missing
	}
	entries, name, err := l.files.readBundle(bundle, integrated)
	if err != nil {
		return nil, "", err
	}
	return entries[:n], name, nil
}

// Check implements notary.Log. It reads from the folder, never from memory, and
// also compares the published checkpoint and the mark with the log's own tree. It
// does not stop the log: what it finds damaged is already under a signed root, and
// is served to nobody.
func (l *Log) Check(ctx context.Context) (uint64, error) {
	published := l.newest.Load().checkpoint
	onDisk, err := l.files.readCheckpoint(l.cfg.Verifier)
	if err != nil {
		return 0, err
	}
	if err := l.checkOwn(onDisk.Size, onDisk.Root, "the published checkpoint"); err != nil {
		return 0, err
	}
	mark, err := loadMark(ctx, l.cfg, published.Size)
	if err != nil {
		return 0, err
	}
	if mark.Size < published.Size {
		return 0, &MarkBehindError{Mark: mark.Size, Published: published.Size}
	}
	if err := l.checkOwn(mark.Size, mark.Root, "the high-water mark"); err != nil {
		return 0, err
	}
	w, err := newWalk(l.files, published.Size, published.Size, published.Root)
	if err != nil {
		return 0, err
	}
	root, err := w.run(ctx)
	if err != nil {
		return w.own.Size(), err
	}
	if root != published.Root {
		return published.Size, &ConflictError{Size: published.Size, Held: root, Signed: published.Root, Source: "the published checkpoint"}
	}
	return published.Size, nil
}

// checkOwn compares a root with that of the log's own tree.
func (l *Log) checkOwn(size uint64, root receipt.Hash, source string) error {
	if held := l.Size(); size > held {
		return &LostError{Held: held, Mark: size}
	}
	own, err := l.tree.rootAt(size)
	if err != nil {
		return err
	}
	if own != root {
		return &ConflictError{Size: size, Held: own, Signed: root, Source: source}
	}
	return nil
}

// ReadFile returns a file of the published tree by its C2SP tlog-tiles path:
// `checkpoint`, `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`. The content
// of all but the checkpoint never changes. Nothing is returned that the newest
// checkpoint does not commit to, whatever lies in the folder.
//
// The error is ErrPath for any other path, fs.ErrNotExist for a file beyond the
// published tree, and a FileError for a damaged one.
func (l *Log) ReadFile(path string) (content []byte, immutable bool, err error) {
	published := l.newest.Load().checkpoint
	if path == checkpointFile {
		return published.Note, false, nil
	}
	id, n, entries, err := parsePath(path)
	if err != nil {
		return nil, false, err
	}
	if tileLen(id, published.Size) < n {
		return nil, false, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if entries {
		content, err = l.bundleBytes(id.index, n)
	} else {
		content, err = l.tileBytes(id, n)
	}
	return content, err == nil, err
}

// bundleBytes returns the first n entries of a bundle as they stand in its file.
// The partial file is read for what was published when it was the newest, and is
// gone some time later.
func (l *Log) bundleBytes(bundle uint64, n int) ([]byte, error) {
	published := tileLen(tileID{0, bundle}, l.newest.Load().checkpoint.Size)
	entries, err := l.readEntries(bundle, published)
	if err != nil {
		return nil, err
	}
	var content []byte
	for _, entry := range entries[:n] {
		content = binary.BigEndian.AppendUint16(content, uint16(len(entry)))
		content = append(content, entry...)
	}
	return content, nil
}

func (l *Log) tileBytes(id tileID, n int) ([]byte, error) {
	found, err := l.tree.tile(id)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, n*hashSize)
	for _, h := range found.nodes[:n] {
		content = append(content, h[:]...)
	}
	return content, nil
}

// parsePath takes a path such as
//
//	tile/0/x001/x234/067.p/8
//	tile/entries/x001/234
//
// and no other spelling of it.
func parsePath(path string) (id tileID, n int, entries bool, err error) {
	bad := fmt.Errorf("%w: %q", ErrPath, path)
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return id, 0, false, bad
	}
	level, rest, _ := strings.Cut(rest, "/")
	if entries = level == "entries"; !entries {
		if id.level, err = strconv.ParseUint(level, 10, 6); err != nil {
			return id, 0, false, bad
		}
	}
	number, width, partial := strings.Cut(rest, ".p/")
	n = tileWidth
	if partial {
		w, err := strconv.ParseUint(width, 10, 8)
		if err != nil || w == 0 {
			return id, 0, false, bad
		}
		n = int(w)
	}
	digits := strings.NewReplacer("x", "", "/", "").Replace(number)
	if id.index, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return id, 0, false, bad
	}
	spelt := tilePath(id, n)
	if entries {
		spelt = bundlePath(id.index, n)
	}
	if spelt != path {
		return id, 0, false, bad
	}
	return id, n, entries, nil
}
