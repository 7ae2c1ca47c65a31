package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notary.db")
	nothing, err := LockShared(path)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, nothing)
	if _, err := os.Lstat(path + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a shared lock made a file: %v", err)
	}
	server, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, take := range map[string]func(string) (io.Closer, error){"a server": Lock, "a reader": LockShared} {
		if _, err := take(path); !errors.Is(err, ErrInUse) {
			t.Errorf("%s beside a server: got %v, want ErrInUse", name, err)
		}
	}
	closeAll(t, server)
	first, err := LockShared(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LockShared(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a server beside readers: got %v, want ErrInUse", err)
	}
	closeAll(t, first, second)
	if _, err := Lock(filepath.Join(path, "missing", "notary.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a missing folder: got %v", err)
	}
}

func closeAll(t *testing.T, all ...io.Closer) {
	t.Helper()
	for _, c := range all {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
