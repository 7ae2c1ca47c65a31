package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// TestOpenReadOnly reads a closed store, and one that a crash left with its
// write-ahead log: neither file changes, and nothing is made beside a closed one.
func TestOpenReadOnly(t *testing.T) {
	path := filled(t)(t)
	t.Run("closed", func(t *testing.T) {
		before := folderOf(t, path)
		readsOnly(t, path, 40)
		if after := folderOf(t, path); len(after) != 1 || after["copy.db"] != before["copy.db"] {
			t.Errorf("the folder changed: got %d files", len(after))
		}
	})
	t.Run("crashed", func(t *testing.T) {
		s := openStore(t, path)
		putPlaced(t, s, 40, newRecord("in the write-ahead log"))
		crashed := filepath.Join(t.TempDir(), "copy.db")
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(crashed+suffix, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := folderOf(t, crashed)
		readsOnly(t, crashed, 41)
		for name, content := range folderOf(t, crashed) {
			if name != "copy.db-shm" && content != before[name] {
				t.Errorf("%s changed", name)
			}
		}
	})
}

func readsOnly(t *testing.T, path string, placed int) {
	t.Helper()
	s, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := s.List(t.Context(), notary.Query{After: -1, Limit: 100}); err != nil || len(got) != placed {
		t.Errorf("got %d statements, %v, want %d", len(got), err, placed)
	}
	if err := s.AdvanceMark(t.Context(), mark(40), mark(41)); err == nil {
		t.Error("wrote to a store that was opened for reading")
	}
}

func folderOf(t *testing.T, path string) map[string]string {
	t.Helper()
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), name.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[name.Name()] = string(content)
	}
	return files
}

func TestOpenReadOnlyRefusals(t *testing.T) {
	fresh := filled(t)
	for name, tc := range map[string]struct {
		query string
		want  error
	}{
		"older schema": {"PRAGMA user_version = 0", ErrOlderSchema},
		"newer schema": {"PRAGMA user_version = 99", ErrNewerSchema},
		"other schema": {"DROP INDEX entries_trial", notary.ErrStoreDamaged},
	} {
		path := fresh(t)
		execForeign(t, path, tc.query)
		if _, err := OpenReadOnly(path); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	if _, err := OpenReadOnly(filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
}
