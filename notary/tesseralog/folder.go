package tesseralog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Files of Tessera's POSIX driver, relative to the log's folder.
const (
	checkpointFile = layout.CheckpointPath
	stateFolder    = ".state"
	treeStateFile  = stateFolder + "/treeState"
)

// folder is where a log's files are. It reads them as they are and checks only
// that they are whole.
type folder string

func (f folder) path(name string) string {
	return filepath.Join(string(f), filepath.FromSlash(name))
}

func (f folder) read(name string) ([]byte, error) {
	raw, err := os.ReadFile(f.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &missingError{FileError{name, "missing"}}
	case err != nil:
		return nil, &FileError{name, err.Error()}
	}
	return raw, nil
}

// missingError is a FileError that is also fs.ErrNotExist.
type missingError struct{ FileError }

func (e *missingError) As(target any) bool {
	t, ok := target.(**FileError)
	if ok {
		*t = &e.FileError
	}
	return ok
}

func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

func tilePath(id tileID, n int) string {
	return layout.TilePath(id.level, id.index, uint8(n%tileWidth))
}

func bundlePath(index uint64, n int) string {
	return layout.EntriesPath(index, uint8(n%tileWidth))
}

// readEither reads a partial file or, where that is gone because the full one took
// its place, the full one.
func (f folder) readEither(partial, full string) (raw []byte, name string, err error) {
	raw, err = f.read(partial)
	if !errors.Is(err, fs.ErrNotExist) || partial == full {
		return raw, partial, err
	}
	if raw, errFull := f.read(full); errFull == nil {
		return raw, full, nil
	}
	return nil, partial, err
}

// readTile returns the first n hashes of a tile, 0 < n ≤ 256.
func (f folder) readTile(id tileID, n int) ([]receipt.Hash, error) {
	full := tilePath(id, tileWidth)
	raw, name, err := f.readEither(tilePath(id, n), full)
	if err != nil {
		return nil, err
	}
	want := n
	if name == full {
		want = tileWidth
	}
	if len(raw) != want*hashSize {
		return nil, &FileError{name, fmt.Sprintf("invalid length: got %d bytes, want %d", len(raw), want*hashSize)}
	}
	hashes := make([]receipt.Hash, n)
	for i := range hashes {
		hashes[i] = receipt.Hash(raw[i*hashSize:])
	}
	return hashes, nil
}

// readBundle returns the first n entries of a bundle, 0 < n ≤ 256, and the name of
// the file they were read from.
func (f folder) readBundle(index uint64, n int) (entries [][]byte, name string, err error) {
	full := bundlePath(index, tileWidth)
	raw, name, err := f.readEither(bundlePath(index, n), full)
	if err != nil {
		return nil, name, err
	}
	want := n
	if name == full {
		want = tileWidth
	}
	entries, err = parseBundle(raw, want)
	if err != nil {
		return nil, name, &FileError{name, err.Error()}
	}
	return entries[:n], name, nil
}

// parseBundle splits a bundle file, which must hold exactly n entries.
func parseBundle(raw []byte, n int) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(raw); err != nil {
		return nil, fmt.Errorf("truncated or damaged: %w", err)
	}
	if len(bundle.Entries) != n {
		return nil, fmt.Errorf("invalid entries: got %d, want %d", len(bundle.Entries), n)
	}
	return bundle.Entries, nil
}

// treeState is what Tessera integrated last, published or not.
type treeState struct {
	size uint64
	root receipt.Hash
}

func (f folder) readTreeState() (treeState, error) {
	raw, err := f.read(treeStateFile)
	if err != nil {
		return treeState{}, err
	}
	var stored struct {
		Size *uint64 `json:"size"`
		Root []byte  `json:"root"`
	}
	if err := json.Unmarshal(raw, &stored); err != nil {
		return treeState{}, &FileError{treeStateFile, "damaged: " + err.Error()}
	}
	if stored.Size == nil || len(stored.Root) != hashSize {
		return treeState{}, &FileError{treeStateFile, "damaged: no size or no root"}
	}
	state := treeState{*stored.Size, receipt.Hash(stored.Root)}
	if state.size == 0 && state.root != emptyRoot() {
		return treeState{}, &FileError{treeStateFile, "damaged: an empty tree with a root"}
	}
	return state, nil
}
