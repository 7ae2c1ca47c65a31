package dataset_test

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// repeated is a file that begins with head and goes on with block, over and over.
type repeated struct {
	head, block []byte
	size        int64
}

func (r *repeated) Size() int64 { return r.size }

func (r *repeated) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) && off < r.size {
		from := r.head
		if at := off - int64(len(r.head)); at >= 0 {
			from = r.block[at%int64(len(r.block)):]
		} else {
			from = from[off:]
		}
		c := copy(b[n:], from[:min(int64(len(from)), r.size-off)])
		n, off = n+c, off+int64(c)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// A file of any size needs the same memory. DATASET_TEST_BYTES=5000000000 makes
// it a large one.
func TestXPTBoundedMemory(t *testing.T) {
	size := int64(64 << 20)
	if s := os.Getenv("DATASET_TEST_BYTES"); s != "" {
		var err error
		if size, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	// Eighty rows fill whole records, whatever the length of a row.
	file := xptFile(t, datasettest.XPT{}, datasettest.Subjects(80))
	data := bytes.Index(file, []byte("HEADER RECORD*******OBS ")) + 80
	src := &repeated{head: file[:data], block: file[data:]}
	blocks := (size - int64(data)) / int64(len(src.block))
	src.size = int64(data) + blocks*int64(len(src.block))

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := dataset.Open(src, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := dataset.Digest(t.Context(), r)
	if err != nil || got.Rows != uint64(80*blocks) {
		t.Fatalf("got %d rows, %v, want %d", got.Rows, err, 80*blocks)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes, %d cells: %d bytes were allocated", src.size, got.Cells(), allocated)
	if allocated > 4<<20 {
		t.Errorf("%d bytes were allocated in all, want at most 4 MiB", allocated)
	}
}
