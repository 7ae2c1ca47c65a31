package dataset_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// TestSuccessiveExports reads a site's exports over years: each has other bytes,
// many have the same rows as the one before.
func TestSuccessiveExports(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(datasettest.Data(t, "demo", "files"), "*.ndjson"))
	if err != nil || len(paths) < 90 {
		t.Fatalf("got %d files, %v", len(paths), err)
	}
	files, tables := map[[32]byte]bool{}, map[[32]byte]string{}
	same := 0
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := digestOf(t, string(content))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		sum := sha256.Sum256(content)
		if files[sum] {
			t.Errorf("%s: another export has the same bytes", path)
		}
		files[sum] = true
		site, _, _ := strings.Cut(filepath.Base(path), "_20")
		if other, ok := tables[got.Digest]; ok {
			same++
			if got.Rows > 0 && other != site {
				t.Errorf("%s: has the content digest of an export of %s", path, other)
			}
		}
		tables[got.Digest] = site
	}
	if same < 24 {
		t.Errorf("%d exports have the rows of another one, want 24", same)
	}
}
