package client

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkHashFolder compares HashFolder with sha256sum of coreutils on the same
// files in the same run: the two take turns, and the files are in the page cache.
// x-sha256sum is by the clock, for each core, and is to reach 0.9; cpu-x-sha256sum
// is the same by processor time, which other programs on the machine disturb
// less. of-memory compares with hashing the same bytes in memory, which is what
// the processor can do. One large file is hashed on one core: SHA-256 is
// sequential.
func BenchmarkHashFolder(b *testing.B) {
	for name, f := range map[string]struct {
		files int
		size  int64
	}{
		"large":    {files: 8, size: 64 << 20},
		"small":    {files: 4000, size: 16 << 10},
		"one-file": {files: 1, size: 256 << 20},
	} {
		b.Run(name, func(b *testing.B) { benchmarkHashFolder(b, f.files, f.size) })
	}
}

func benchmarkHashFolder(b *testing.B, n int, size int64) {
	b.Helper()
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		b.Skip("no sha256sum to compare with")
	}
	root := b.TempDir()
	content := make([]byte, size)
	paths := make([]string, n)
	for i := range paths {
		paths[i] = filepath.Join(root, fmt.Sprintf("%05d.csv", i))
		copy(content, paths[i])
		if err := os.WriteFile(paths[i], content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var ours, theirs, memory spent
	bytes := int64(n) * size
	b.SetBytes(bytes)
	for b.Loop() {
		ours.add(b, func() time.Duration {
			if _, err := HashFolder(b.Context(), root, nil); err != nil {
				b.Fatal(err)
			}
			return 0
		})
		theirs.add(b, func() time.Duration {
			cmd := exec.CommandContext(b.Context(), tool, paths...)
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		})
		memory.add(b, func() time.Duration {
			for range n {
				sha256.Sum256(content)
			}
			return 0
		})
	}
	cores := float64(min(runtime.GOMAXPROCS(0), n))
	b.ReportMetric(float64(theirs.clock)/float64(ours.clock)/cores, "x-sha256sum")
	b.ReportMetric(float64(theirs.child)/float64(ours.cpu), "cpu-x-sha256sum")
	b.ReportMetric(float64(memory.cpu)/float64(ours.cpu), "of-memory")
	rate := float64(bytes) * float64(b.N) / 1e9
	b.ReportMetric(rate/ours.clock.Seconds(), "GB/s")
	b.ReportMetric(rate/ours.cpu.Seconds(), "GB/cpu-s")
	b.ReportMetric(rate/theirs.child.Seconds(), "sha256sum-GB/cpu-s")
}

// spent is the time of something, by the clock and of the processor: of this
// process, and of a child.
type spent struct{ clock, cpu, child time.Duration }

func (s *spent) add(tb testing.TB, f func() (child time.Duration)) {
	tb.Helper()
	began, before := time.Now(), benchtest.CPU()
	s.child += f()
	s.clock += time.Since(began)
	s.cpu += benchtest.CPU() - before
}
