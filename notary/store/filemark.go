package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/trialnotary/trialnotary/notary"
)

// ErrMarkDamaged means that a file of the high-water mark cannot be read as one.
var ErrMarkDamaged = errors.New("the file of the high-water mark is damaged")

// maxMarkFile bounds the file in bytes: 19 digits, a space, a root, a line end.
const maxMarkFile = 128

// FileMark keeps the high-water mark in one file, meant for another volume than
// the log's and the database's. The file holds the size in decimal and the root
// in base64, or "none" where no mark was ever stored, and nothing else:
//
//	1024 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//
// A folder that is not mounted looks like a mark that was never stored, so a
// missing file is an error and creating one is a step of its own.
//
// All methods are safe for concurrent use, also by several processes.
type FileMark struct {
	path string
	// mu lets one goroutine at a time replace the file: the lock file below
	// holds off other processes, not goroutines of this one.
	mu sync.Mutex
}

var _ notary.MarkStore = (*FileMark)(nil)

// CreateFileMark creates the file and refuses an existing one. The zero Mark
// stands for none; a notary that is given a second mark later starts with what
// its database holds.
func CreateFileMark(path string, m notary.Mark) error {
	if err := createFileMark(path, m); err != nil {
		return fmt.Errorf("creating the file of the high-water mark: %w", err)
	}
	return nil
}

func createFileMark(path string, m notary.Mark) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	f := &FileMark{path: path}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.replace(m)
}

// OpenFileMark opens the file and refuses a missing or a damaged one.
func OpenFileMark(path string) (*FileMark, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &FileMark{path: abs}
	if _, _, err := f.LoadMark(context.Background()); err != nil {
		return nil, err
	}
	return f, nil
}

// Path returns the absolute path of the file.
func (f *FileMark) Path() string { return f.path }

// LoadMark implements notary.MarkStore. It fails with ErrMarkDamaged for a file
// that says anything but one mark.
func (f *FileMark) LoadMark(context.Context) (notary.Mark, bool, error) {
	m, ok, err := f.load()
	if err != nil {
		return notary.Mark{}, false, fmt.Errorf("reading the high-water mark: %w", err)
	}
	return m, ok, nil
}

func (f *FileMark) load() (notary.Mark, bool, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return notary.Mark{}, false, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxMarkFile+1))
	if err != nil {
		return notary.Mark{}, false, err
	}
	m, err := parseMark(text)
	if err != nil {
		return notary.Mark{}, false, fmt.Errorf("%w: %s: %w", ErrMarkDamaged, f.path, err)
	}
	return m, m != notary.Mark{}, nil
}

// AdvanceMark implements notary.MarkStore. The new text is written beside the
// file, synced and renamed over it, and the folder is synced. An error of the
// last of these leaves the new mark in place: load it again before the next
// step.
func (f *FileMark) AdvanceMark(_ context.Context, from, to notary.Mark) error {
	if err := checkStep(from, to); err != nil {
		return err
	}
	if err := f.advance(from, to); err != nil {
		return fmt.Errorf("advancing the high-water mark in %s: %w", f.path, err)
	}
	return nil
}

func (f *FileMark) advance(from, to notary.Mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	got, _, err := f.load()
	if err != nil {
		return err
	}
	if got != from {
		return fmt.Errorf("%w: got size %d, want %d", notary.ErrMarkConflict, got.Size, from.Size)
	}
	if from == to {
		return nil
	}
	return f.replace(to)
}

// lock holds off other processes. It does not wait: whoever holds the lock is
// moving the mark, so ours would be refused next.
func (f *FileMark) lock() (unlock func(), err error) {
	// A file beside it, because renaming replaces the file itself; not the
	// folder, which network file systems cannot lock.
	file, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = errors.Join(err, file.Close())
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s.lock is held", notary.ErrMarkConflict, f.path)
		}
		return nil, err
	}
	// Closing the file releases the lock.
	return func() { _ = file.Close() }, nil
}

// replace writes the file durably. The caller holds the lock, so the name of the
// new file is ours, and one that a crash left is overwritten.
func (f *FileMark) replace(m notary.Mark) error {
	next, err := os.OpenFile(f.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := next.Write(formatMark(m)); err != nil {
		return errors.Join(err, next.Close())
	}
	if err := errors.Join(next.Sync(), next.Close()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// noMark is the text of the zero Mark.
const noMark = "none\n"

func formatMark(m notary.Mark) []byte {
	if m == (notary.Mark{}) {
		return []byte(noMark)
	}
	return fmt.Appendf(nil, "%d %s\n", m.Size, base64.StdEncoding.EncodeToString(m.Root[:]))
}

// parseMark accepts only what formatMark writes.
func parseMark(text []byte) (notary.Mark, error) {
	form := fmt.Errorf("got %d bytes, want one line of size and root", len(text))
	if string(text) == noMark {
		return notary.Mark{}, nil
	}
	size, root, ok := bytes.Cut(bytes.TrimSuffix(text, []byte("\n")), []byte(" "))
	if !ok || len(text) > maxMarkFile {
		return notary.Mark{}, form
	}
	var m notary.Mark
	var err error
	if m.Size, err = strconv.ParseUint(string(size), 10, 63); err != nil {
		return notary.Mark{}, form
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(string(root))
	if err != nil || len(hash) != len(m.Root) {
		return notary.Mark{}, form
	}
	copy(m.Root[:], hash)
	if !bytes.Equal(formatMark(m), text) {
		return notary.Mark{}, form
	}
	return m, nil
}
