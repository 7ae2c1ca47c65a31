package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces path durably: when it returns nil, the new content
// survives a power cut, and at no time does a reader see a part of it.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return writeTemp(path, data, mode, os.Rename)
}

// WriteNew is WriteFile for a path that must not exist; it fails with
// fs.ErrExist and changes nothing otherwise.
func WriteNew(path string, data []byte, mode fs.FileMode) error {
	return writeTemp(path, data, mode, func(tmp, path string) error {
		// A link fails where the name exists; a rename would replace it.
		err := os.Link(tmp, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return errors.Join(err, os.Remove(tmp))
		}
		// Some file systems know no hard links.
		if _, err := os.Lstat(path); err == nil {
			return errors.Join(&fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}, os.Remove(tmp))
		}
		return os.Rename(tmp, path)
	})
}

func writeTemp(path string, data []byte, mode fs.FileMode, place func(tmp, path string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	tmp := f.Name()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, errors.Join(err, os.Remove(tmp)))
	}
	if err := place(tmp, path); err != nil {
		if rmErr := os.Remove(tmp); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return syncDir(dir)
}

// ErrLocked means that another process holds a lock.
var ErrLocked = errors.New("another process holds the lock")

// Lock is a lock file that this process holds.
type Lock struct{ f *os.File }

// TryLock takes the lock file path, and makes it if there is none. It fails with
// ErrLocked where another process has it. The lock ends with Unlock, or with the process.
func TryLock(path string) (*Lock, error) {
	// Everybody who may read it may take the lock: it stays, and another account's
	// file must neither let a second process in nor keep everybody out for good.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if errors.Is(err, fs.ErrPermission) {
		if readOnly, openErr := os.Open(path); openErr == nil {
			f, err = readOnly, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	_ = f.Chmod(0o644) // whatever the account's mask; another account's file has its mode
	got, err := lockFile(f, false)
	if err == nil && !got {
		err = fmt.Errorf("%s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f: f}, nil
}

// Holds tells whether the file at path is still the one that is locked: a folder
// that went away and came back may hold another, or none.
func (l *Lock) Holds(path string) bool {
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// Unlock lets go of the lock; the file stays, so that nobody locks another one.
func (l *Lock) Unlock() error { return l.f.Close() }
