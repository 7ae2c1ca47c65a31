package dataset_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// manyRows is a file whose middle is there many times.
type manyRows struct {
	head, middle, tail string
	times              int64
}

func (r *manyRows) Size() int64 {
	return int64(len(r.head)) + int64(len(r.middle))*r.times + int64(len(r.tail))
}

func (r *manyRows) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		piece := r.at(off + int64(n))
		if piece == "" {
			return n, io.EOF
		}
		n += copy(p[n:], piece)
	}
	return n, nil
}

// at returns bytes from an offset on.
func (r *manyRows) at(off int64) string {
	if off < int64(len(r.head)) {
		return r.head[off:]
	}
	off -= int64(len(r.head))
	if length := int64(len(r.middle)) * r.times; off < length {
		return r.middle[off%int64(len(r.middle)):]
	} else if off -= length; off < int64(len(r.tail)) {
		return r.tail[off:]
	}
	return ""
}

const wideRow = `"CDISCPILOT01","LB","01-701-1015",1,"ALB","Albumin","CHEMISTRY","3.8","g/dL","3.3","4.9",38.125,"g/L",33,49,"NORMAL",null,1,"SCREENING 1","2014-01-02"`

func wideColumns() []string {
	var columns []string
	for i, dataType := range strings.Split("string,string,string,integer,string,string,string,string,string,string,string,float,string,integer,integer,string,string,integer,string,date>integer", ",") {
		columns = append(columns, fmt.Sprintf("C%d %s", i, dataType))
	}
	return columns
}

// large makes a file of rows, after or before their description.
func large(rows int64, first bool) *manyRows {
	f := file(wideColumns(), "\x00")
	f.head[3] = fmt.Sprintf(`"records":%d`, rows+1)
	text := f.json()
	if first {
		text = f.rowsFirst()
	}
	head, tail, _ := strings.Cut(text, "[\x00]")
	return &manyRows{head: head, middle: "[" + wideRow + "],", times: rows, tail: "[" + wideRow + "]" + tail}
}

// TestJSONMemory digests a large file, in both orders, with little memory.
// DATASET_TEST_BYTES=5000000000 makes it a very large one.
func TestJSONMemory(t *testing.T) {
	size := int64(32 << 20)
	if s := os.Getenv("DATASET_TEST_BYTES"); s != "" {
		var err error
		if size, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rows := size / int64(len(wideRow))
	for _, first := range []bool{false, true} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		src := large(rows, first)
		r, err := dataset.Open(src, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := dataset.Digest(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got.Rows != uint64(rows)+1 {
			t.Errorf("got %d rows, want %d", got.Rows, rows+1)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
			t.Errorf("rows first %v: the heap grew by %d bytes over a file of %d", first, grown, src.Size())
		}
	}
}

// BenchmarkJSON compares the content digest with SHA-256 over the same bytes.
func BenchmarkJSON(b *testing.B) {
	const rows = 100_000
	for _, first := range []bool{false, true} {
		src := large(rows, first)
		b.Run(fmt.Sprintf("rows first %v", first), func(b *testing.B) {
			b.SetBytes(src.Size())
			for b.Loop() {
				r, err := dataset.Open(src, dataset.Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := dataset.Digest(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	src := large(rows, false)
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(src.Size())
		for b.Loop() {
			if _, err := io.Copy(sha256.New(), io.NewSectionReader(src, 0, src.Size())); err != nil {
				b.Fatal(err)
			}
		}
	})
}
