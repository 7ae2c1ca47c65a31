//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const proofsName = "log in process, entries/s with proofs; without"

// measureProofs runs the log's own benchmark in process, with each caller
// waiting for a checkpoint that covers its entry, and with each getting a proof
// besides: the difference is what proofs cost, without what surrounds the log.
func (b *bench) measureProofs(ctx context.Context) error {
	bin := filepath.Join(b.scratch, "tesseralog.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "./notary/tesseralog")
	build.Dir = b.source
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the log's benchmarks (-source names the module's folder): %w: %s", err, out)
	}
	entries := "100000x"
	if b.quick {
		entries = "30000x"
	}
	for range b.rounds {
		without, withoutCPU, err := b.addEntries(ctx, bin, "index", entries)
		if err != nil {
			return err
		}
		with, withCPU, err := b.addEntries(ctx, bin, "proof", entries)
		if err != nil {
			return err
		}
		b.logf("log in process: %.0f entries/s, %.0f with proofs", without, with)
		b.result.pair(proofsName, pair{with, without, withCPU, withoutCPU})
	}
	return nil
}

var entriesPerSecond = regexp.MustCompile(`([0-9.e+]+) entries/s`)

// addEntries returns entries a second by the clock, and of CPU time.
func (b *bench) addEntries(ctx context.Context, bin, kind, entries string) (byClock, byCPU float64, err error) {
	cmd := exec.CommandContext(ctx, bin, "-test.run=^$", "-test.bench=^BenchmarkAdd$/^"+kind+"$", "-test.benchtime="+entries)
	cmd.Dir = filepath.Join(b.source, "notary/tesseralog")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("running BenchmarkAdd/%s: %w: %s", kind, err, out)
	}
	found := entriesPerSecond.FindSubmatch(out)
	if found == nil {
		return 0, 0, fmt.Errorf("running BenchmarkAdd/%s: got no entries/s in %s", kind, out)
	}
	if byClock, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
		return 0, 0, err
	}
	n, err := strconv.ParseFloat(entries[:len(entries)-1], 64)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return byClock, n / cpu.Seconds(), err
}
