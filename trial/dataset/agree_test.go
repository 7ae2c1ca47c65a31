package dataset_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// Every published table that is there in several formats has one content digest.
func TestFormatsAgree(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(datasettest.Data(t, "cdisc-datasetjson"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "schema.json") || filepath.Base(filepath.Dir(path)) == "schema" {
			continue
		}
		var want dataset.Result
		for i, ext := range []string{".json", ".ndjson", ".dsjc", ".xpt"} {
			path := strings.TrimSuffix(path, ".json") + ext
			f, err := os.Open(path)
			if os.IsNotExist(err) && ext == ".xpt" {
				continue // LB has none
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			r, err := dataset.Open(io.NewSectionReader(f, 0, info.Size()), dataset.Options{})
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			got, err := dataset.Digest(t.Context(), r)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if i == 0 {
				want = got
			}
			if got != want {
				t.Errorf("%s: got %x over %d rows, want %x over %d", path, got.Digest, got.Rows, want.Digest, want.Rows)
			}
			compared++
			_ = r.Close()
			_ = f.Close()
		}
	}
	if compared < 40 {
		t.Errorf("compared %d files, want 40 and more", compared)
	}
}
