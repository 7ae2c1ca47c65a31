package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// profiles names a folder for a CPU profile of the server alone, one for each
// benchmark of Submit.
const profiles = "NOTARYD_BENCH_PROFILES"

// BenchmarkSubmit measures the whole path over gRPC and TLS on loopback. The
// load runs in a process of its own, with envelopes signed in advance, so that
// the CPU time of both sides is known apart: it is steadier than the rate on a
// machine that does other things. Beside the rate it reports the ratio to what
// one core does in bare P-256 verifications in the same run, which is the part
// that no notary can leave out. The stages have benchmarks of their own in the
// packages below.
func BenchmarkSubmit(b *testing.B) {
	for _, inFlight := range []int{1, 16, 256, 1024, 2048, 8192} {
		b.Run(fmt.Sprintf("unary/inflight=%d", inFlight), func(b *testing.B) {
			benchmarkSubmit(b, load{InFlight: inFlight})
		})
	}
	for _, inFlight := range []int{1024, 8192} {
		b.Run(fmt.Sprintf("stream/inflight=%d", inFlight), func(b *testing.B) {
			benchmarkSubmit(b, load{InFlight: inFlight, Stream: true})
		})
	}
	b.Run("unary/subjects=1000", func(b *testing.B) {
		benchmarkSubmit(b, load{InFlight: 256, Subjects: 1000})
	})
	b.Run("unary/subjects=1", func(b *testing.B) {
		benchmarkSubmit(b, load{InFlight: 256})
	})
}

func benchmarkSubmit(b *testing.B, l load) {
	b.Helper()
	benchmarkTrial(b, runningTrial(b), l)
}

// benchmarkTrial drives a trial that is served.
func benchmarkTrial(b *testing.B, s *story, l load) {
	b.Helper()
	collectLess()
	l.Count = b.N
	s.fill(b, &l)
	process := startLoad(b, &l)
	bare := bareVerifications(b)
	stopProfile := profile(b)
	began := benchtest.CPU()
	b.ResetTimer()
	result := process.run(b)
	b.StopTimer()
	server := benchtest.CPU() - began
	stopProfile()
	rate := float64(b.N) / result.Took.Seconds()
	took := result.Latencies
	slices.Sort(took)
	b.ReportMetric(rate, "receipts/s")
	b.ReportMetric(rate/bare, "of-bare-P256")
	b.ReportMetric(float64(server.Microseconds())/float64(b.N), "server-CPU-µs")
	b.ReportMetric(float64(result.CPU.Microseconds())/float64(b.N), "load-CPU-µs")
	b.ReportMetric(1e6/bare, "P256-µs")
	b.ReportMetric(float64(peakMemory(b))/1e6, "peak-RSS-MB")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// profile writes a CPU profile of what follows, if one is asked for.
func profile(b *testing.B) (stop func()) {
	b.Helper()
	dir := os.Getenv(profiles)
	if dir == "" {
		return func() {}
	}
	name := strings.NewReplacer("/", "-", "=", "-").Replace(b.Name()) + ".cpu"
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		b.Fatal(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		b.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// peakMemory returns the largest resident set of this process so far, in bytes.
func peakMemory(tb testing.TB) int64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Maxrss << 10
}

// runningTrial is the demo's trial, served.
func runningTrial(b *testing.B) *story {
	b.Helper()
	s := &story{dir: b.TempDir() + "/n", out: io.Discard}
	ctx := context.WithoutCancel(b.Context())
	for _, step := range []func(context.Context) error{s.createNotary, s.openTrial, s.enrolPeople} {
		if err := step(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		if err := s.end(ctx); err != nil {
			b.Error(err)
		}
	})
	return s
}

// fill says whom the load sends to, and what it signs.
func (s *story) fill(b *testing.B, l *load) {
	b.Helper()
	who := s.people["coordinator-"+siteNorth]
	token, err := os.ReadFile(s.path("tokens", "site-"+siteNorth))
	if err != nil {
		b.Fatal(err)
	}
	if l.Key, err = trial.MarshalPrivateKeyPEM(who.key); err != nil {
		b.Fatal(err)
	}
	l.Address, l.CA, l.Token = s.config.Listen.GRPC, s.path("tls/ca.crt"), strings.TrimSpace(string(token))
	l.LogKey = s.trust.LogKeys[0].VKey()
	l.Template = s.signDataset(b, who, b.Name()).Payload
}

// loadProcess is this test binary as a load generator.
type loadProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startLoad returns once every envelope is signed.
func startLoad(b *testing.B, l *load) *loadProcess {
	b.Helper()
	order, err := json.Marshal(l)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), asLoad+"="+string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &loadProcess{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if line, err := p.out.ReadString('\n'); err != nil || line != loadReady {
		b.Fatalf("the load generator did not get ready: %q, %v", line, err)
	}
	return p
}

func (p *loadProcess) run(b *testing.B) *loadResult {
	b.Helper()
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		b.Fatal(err)
	}
	r := new(loadResult)
	if err := json.NewDecoder(p.out).Decode(r); err != nil {
		b.Fatalf("the load generator: %v", err)
	}
	if err := p.cmd.Wait(); err != nil {
		b.Fatalf("the load generator: %v", err)
	}
	if len(r.Latencies) != b.N {
		b.Fatalf("got %d answers, want %d", len(r.Latencies), b.N)
	}
	return r
}

// bareVerifications returns how many P-256 signatures one core verifies a
// second.
func bareVerifications(b *testing.B) float64 {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte(trial.PredicateType))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	const n = 4000
	began := benchtest.CPU()
	for range n {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("the baseline's signature does not verify")
		}
	}
	return n / (benchtest.CPU() - began).Seconds()
}
