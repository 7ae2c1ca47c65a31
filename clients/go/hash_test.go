package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func write(tb testing.TB, path string, content []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		tb.Fatal(err)
	}
}

func TestHashFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adsl.xpt")
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	write(t, path, content)
	var seen atomic.Int64
	h, err := HashFile(context.Background(), path, func(n int64) { seen.Add(n) })
	if err != nil {
		t.Fatal(err)
	}
	if h.SHA256 != sha256.Sum256(content) || h.Size != int64(len(content)) || h.Name != "adsl.xpt" {
		t.Errorf("got %+v", h)
	}
	if seen.Load() != h.Size {
		t.Errorf("progress: got %d bytes, want %d", seen.Load(), h.Size)
	}
}

func TestHashFileRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "real"), []byte("x"))
	write(t, filepath.Join(dir, "secret"), []byte("x"))
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Skip("no symbolic links here: " + err.Error())
	}
	if err := os.Chmod(filepath.Join(dir, "secret"), 0); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"empty": "it is empty", "link": "symbolic link", "absent": "no such file", ".": "neither a file",
		"secret": "permission denied",
	} {
		if name == "secret" && os.Getuid() == 0 {
			continue // root reads everything
		}
		_, err := HashFile(context.Background(), filepath.Join(dir, name), nil)
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// A file that is written while it is read must not be notarized as a mixture.
func TestHashFileThatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "growing.csv")
	for what, change := range map[string]func(){
		"grows":    func() { appendTo(t, path, "more") },
		"replaced": func() { replace(t, path) },
		"touched":  func() { touch(t, path) },
	} {
		write(t, path, bytes.Repeat([]byte("row\n"), readSize))
		once := atomic.Bool{}
		_, err := HashFile(context.Background(), path, func(int64) {
			if once.CompareAndSwap(false, true) {
				change()
			}
		})
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: got %v, want that it changed while it was read", what, err)
		}
	}
}

func appendTo(t *testing.T, path, s string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".new", bytes.Repeat([]byte("ROW\n"), readSize))
	if err := os.Chtimes(path+".new", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestHashFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sdtm")
	for _, name := range []string{"b.xpt", "a.xpt", "sub/c.xpt", "a-b.xpt", ".hidden"} {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	files, err := HashFolder(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		if f.SHA256 != sha256.Sum256([]byte(f.Name)) {
			t.Errorf("%s: wrong digest", f.Name)
		}
	}
	if got, want := strings.Join(names, " "), ".hidden a-b.xpt a.xpt b.xpt sub/c.xpt"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHashFolderRefuses(t *testing.T) {
	root := t.TempDir()
	for what, prepare := range map[string]func(dir string){
		"no files": func(dir string) { _ = os.MkdirAll(filepath.Join(dir, "sub"), 0o755) },
		"is empty": func(dir string) { write(t, filepath.Join(dir, "e"), nil) },
		"symbolic link": func(dir string) {
			write(t, filepath.Join(dir, "x"), []byte("x"))
			_ = os.Symlink("x", filepath.Join(dir, "l"))
		},
	} {
		dir := filepath.Join(root, strings.ReplaceAll(what, " ", "-"))
		prepare(dir)
		_, err := HashFolder(context.Background(), dir, nil)
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
}

func TestFolderThatChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), bytes.Repeat([]byte("a"), 10))
	once := atomic.Bool{}
	_, err := HashFolder(context.Background(), dir, func(int64) {
		if once.CompareAndSwap(false, true) {
			write(t, filepath.Join(dir, "b"), []byte("late"))
		}
	})
	if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "came or went") {
		t.Errorf("got %v, want that files came or went", err)
	}
}

func TestHashCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big")
	write(t, path, bytes.Repeat([]byte("x"), 4*readSize))
	ctx, cancel := context.WithCancel(context.Background())
	_, err := HashFile(ctx, path, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled", err)
	}
}
