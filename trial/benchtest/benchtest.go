//go:build unix

// Package benchtest measures benchmarks by the processor's time: other programs
// share the machine, and the clock counts them too. Only tests import it, and it
// imports nothing of ours.
package benchtest

import (
	"syscall"
	"testing"
	"time"
)

// CPU returns the time that this process has had of the processors so far.
func CPU() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // fails for other arguments only
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// PerOp runs f for a while and reports its processor time and allocations.
func PerOp(b *testing.B, f func()) {
	b.Helper()
	b.ReportAllocs()
	began := CPU()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(CPU()-began)/float64(b.N), "cpu-ns/op")
}
