package dataset_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"testing"

	"github.com/trialnotary/trialnotary/trial/benchtest"
	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// BenchmarkDigest compares the content digest of a transport file with SHA-256
// over the same bytes.
func BenchmarkDigest(b *testing.B) {
	var out bytes.Buffer
	if err := (datasettest.XPT{Repeat: 32}).Write(&out, datasettest.Subjects(1000)); err != nil {
		b.Fatal(err)
	}
	file := out.Bytes()
	measure(b, "narrow", file)
	path := datasettest.Data(b, "cdisc-datasetjson", "adam", "adae.xpt")
	file, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	measure(b, "adae", file)
}

func measure(b *testing.B, name string, file []byte) {
	b.Helper()
	b.Run(name+"/content", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		benchtest.PerOp(b, func() {
			r, err := dataset.Open(bytes.NewReader(file), dataset.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := dataset.Digest(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run(name+"/sha256", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		benchtest.PerOp(b, func() { sha256.Sum256(file) })
	})
}
