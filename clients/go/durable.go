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
