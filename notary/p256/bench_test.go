package p256

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// signed is a good signature with the table of its key.
type signed struct {
	key         *ecdsa.PublicKey
	table       *Table
	digest, sig []byte
}

func newSigned(tb testing.TB) signed {
	tb.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	digest := make([]byte, 32)
	_, _ = rand.Read(digest) // never fails
	sig, err := ecdsa.SignASN1(rand.Reader, priv, digest)
	if err != nil {
		tb.Fatal(err)
	}
	return signed{&priv.PublicKey, mustTable(tb, &priv.PublicKey), digest, sig}
}

// BenchmarkVerify compares a table with crypto/ecdsa in the same run: the two
// take turns, and the processor's time counts. With one key the points stay in
// the processor's cache; the more keys take turns, the less do they.
func BenchmarkVerify(b *testing.B) {
	for _, keys := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			all := make([]signed, keys)
			for i := range all {
				all[i] = newSigned(b)
			}
			const turn = 128
			var table, library time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := benchtest.CPU()
				for i := range turn {
					if s := all[i%keys]; !ecdsa.VerifyASN1(s.key, s.digest, s.sig) {
						b.Fatal("refused by crypto/ecdsa")
					}
				}
				between := benchtest.CPU()
				for i := range turn {
					if s := all[i%keys]; !s.table.Verify(s.digest, s.sig) {
						b.Fatal("refused by its table")
					}
				}
				library += between - began
				table += benchtest.CPU() - between
			}
			b.ReportMetric(float64(library)/float64(table), "x-library")
			b.ReportMetric(float64(table.Nanoseconds())/float64(b.N*turn), "cpu-ns/table")
			b.ReportMetric(float64(library.Nanoseconds())/float64(b.N*turn), "cpu-ns/library")
		})
	}
}

func BenchmarkNewTable(b *testing.B) {
	s := newSigned(b)
	began := benchtest.CPU()
	for b.Loop() {
		mustTable(b, s.key)
	}
	b.ReportMetric(float64((benchtest.CPU()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(unsafe.Sizeof(Table{})), "B/table")
}

func mustTable(tb testing.TB, key *ecdsa.PublicKey) *Table {
	tb.Helper()
	t, err := NewTable(key)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}
