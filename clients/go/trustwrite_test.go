package client

import (
	"os"
	"path/filepath"
	"testing"
)

// A trust folder is there whole or not at all: what a process leaves that is ended
// while it writes is in nobody's way.
func TestNewTrustFolderInOneStep(t *testing.T) {
	files := map[string][]byte{"authority/1.receipt.json": []byte("a"), "policy": []byte("b")}
	paths := []string{"authority/1.receipt.json", "policy"}
	parent := t.TempDir()
	dir := filepath.Join(parent, "sub", "trust")
	must(t, writeNewTrust(dir, paths, files))
	// Into an empty folder, and beside somebody's own file.
	empty, other := filepath.Join(parent, "empty"), filepath.Join(parent, "other")
	must(t, os.Mkdir(empty, 0o755))
	must(t, os.Mkdir(other, 0o755))
	must(t, os.WriteFile(filepath.Join(other, "notes.txt"), []byte("mine"), 0o600))
	must(t, writeNewTrust(empty, paths, files))
	must(t, writeNewTrust(other, paths, files))
	for _, d := range []string{dir, empty, other} {
		for path, want := range files {
			got, err := os.ReadFile(filepath.Join(d, filepath.FromSlash(path)))
			must(t, err)
			if string(got) != string(want) {
				t.Errorf("%s/%s: got %q, want %q", d, path, got, want)
			}
		}
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: got %v, %v", d, info.Mode(), err)
		}
	}
	if _, err := os.Stat(filepath.Join(other, "notes.txt")); err != nil {
		t.Error(err)
	}
	// A file in the middle that cannot be written: nothing is there.
	broken := filepath.Join(parent, "broken")
	bad := map[string][]byte{"a": []byte("a"), "a/b": []byte("b")}
	if err := writeNewTrust(broken, []string{"a", "a/b"}, bad); err == nil {
		t.Error("got no error, want one")
	}
	if _, err := os.Stat(broken); err == nil {
		t.Error("a part of a trust folder is left")
	}
	for _, d := range []string{parent, filepath.Dir(dir)} {
		left, err := filepath.Glob(filepath.Join(d, ".tmp-trust-*"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
