package trial

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// benchStatement is a dataset of about 1.2 KB with one file, or of many.
func benchEnvelope(b *testing.B, files int) []byte {
	b.Helper()
	w := newWorld(b)
	e := w.enrolment("dm")
	st := w.signed(e, "701", KindDataset, &DataBody{
		Origin: OriginEDC, Purpose: PurposeRoutine, Dataset: "DM", SourceSystem: "Example EDC 4.2", Cutoff: "2026-02-27",
		Dictionaries: map[string]string{"MedDRA": "28.1"},
	})
	st.Predicate.Trial = Registry{RegistryNCT: "NCT04573309"}
	st.Predicate.Reason = strings.Repeat("x", 150)
	for i := range files {
		st.Subjects = append(st.Subjects, Subject{Name: fmt.Sprintf("dm%04d.json", i), Digests: SHA256(hash32(anyHex))})
	}
	env, err := Sign(testKey(b, "dm"), marshal(b, st).Payload)
	if err != nil {
		b.Fatal(err)
	}
	return env.Marshal()
}

func BenchmarkParse(b *testing.B) {
	for _, files := range []int{1, 10, 100, 1000} {
		text := benchEnvelope(b, files)
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			benchtest.PerOp(b, func() {
				if _, _, err := Open(text); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(files), "ns/file")
		})
	}
}

// BenchmarkParseStatement reads payloads as they come over gRPC, not in base64.
func BenchmarkParseStatement(b *testing.B) {
	for _, files := range []int{1, 10, 100, 1000} {
		env, err := ParseEnvelope(benchEnvelope(b, files))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			b.SetBytes(int64(len(env.Payload)))
			benchtest.PerOp(b, func() {
				if _, err := ParseStatement(env.Payload); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkParticipantWarnings looks at the names of a statement's files.
func BenchmarkParticipantWarnings(b *testing.B) {
	for _, files := range []int{1, 1000} {
		_, st, err := Open(benchEnvelope(b, files))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			benchtest.PerOp(b, func() { st.ParticipantWarnings() })
		})
	}
}

// BenchmarkVerify compares parsing and verifying a statement with the bare
// verification of its signature, which nothing can be faster than.
func BenchmarkVerify(b *testing.B) {
	text := benchEnvelope(b, 1)
	key := publicKey(b, "dm")
	env, err := ParseEnvelope(text)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256(env.PAE())
	bare := func() bool { return ecdsa.VerifyASN1(key.Key, digest[:], env.Sig) }
	began := time.Now()
	const rounds = 500
	for range rounds {
		if !bare() {
			b.Fatal("the signature does not verify")
		}
	}
	floor := time.Since(began) / rounds
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if !bare() {
				b.Fatal("the signature does not verify")
			}
		}
	})
	b.Run("statement", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e, st, err := Open(text)
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Verify(key); err != nil || st == nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(floor), "x-bare")
	})
}

// BenchmarkAdmit judges a dataset in a trial of 1,000 keys.
func BenchmarkAdmit(b *testing.B) {
	w := newWorld(b)
	e := w.enrolment("dm")
	w.log(e, "")
	for i := range 1000 {
		k := *publicKey(b, "dm")
		k.ID = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		body := *e.Predicate.Body.(*EnrolmentBody)
		body.Key, body.HolderID = &k, fmt.Sprintf("h-%d", i)
		w.auth.enrol(ID(k.ID), &body, w.at)
		w.at++
	}
	st := w.dataset(e, "701")
	b.ReportAllocs()
	for b.Loop() {
		if err := w.auth.Admit(st, w.now); err != nil {
			b.Fatal(err)
		}
	}
}
