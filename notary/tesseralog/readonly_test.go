package tesseralog

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// TestReadOnly opens a folder to read it: everything answers but Add, and no
// file changes, not even where entries wait to be published.
func TestReadOnly(t *testing.T) {
	f := newFixture(t)
	l, err := Open(t.Context(), f.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{"one", "two", "three"} {
		index, err := l.Add(t.Context(), []byte(entry))(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Prove(t.Context(), index); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	before := filesOf(t, f.config().Dir)

	c := f.config()
	c.ReadOnly = true
	l, err = Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Check(t.Context()); err != nil || n != 3 {
		t.Errorf("Check: got %d, %v, want 3 entries", n, err)
	}
	if _, err := l.Prove(t.Context(), 1); err != nil {
		t.Errorf("Prove: %v", err)
	}
	_, err = l.Add(t.Context(), []byte("four"))(t.Context())
	if !errors.Is(err, notary.ErrLogStopped) || !errors.Is(err, ErrReadOnly) {
		t.Errorf("Add: got %v, want ErrLogStopped because of ErrReadOnly", err)
	}
	if _, err := Open(t.Context(), f.config()); !errors.Is(err, ErrInUse) {
		t.Errorf("Open beside it: got %v, want ErrInUse", err)
	}
	other, err := Open(t.Context(), c)
	if err != nil {
		t.Fatalf("another reader: %v", err)
	}
	closeLog(t, other)
	closeLog(t, l)
	for name, content := range filesOf(t, f.config().Dir) {
		if before[name] != content {
			t.Errorf("%s changed", name)
		}
	}
}

// TestReadOnlyMakesNoFile reads a folder that came without its locks, as a copy may.
func TestReadOnlyMakesNoFile(t *testing.T) {
	f := newFixture(t)
	f.fill(3)
	c := f.config()
	for _, name := range append([]string{lockName}, tesseraLocks...) {
		if err := os.RemoveAll(folder(c.Dir).path(name)); err != nil {
			t.Fatal(err)
		}
	}
	before := filesOf(t, c.Dir)
	c.ReadOnly = true
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if after := filesOf(t, c.Dir); !maps.Equal(before, after) {
		t.Errorf("got %d files, want the %d of before", len(after), len(before))
	}
}

func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
