//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

const proofsName = "log in process, entries/s with proofs; without"

// proofTurns is how often the log's benchmark runs in one round. Each time it
// measures a second or two with proofs and as long without, in turns.
const proofTurns = 5

// memoryDir is a folder in memory, where the log's files are put for this: syncing
// them costs a multiple of what proofs do, more at one time and less at another.
// Without a disk the log is faster, so that proofs cost the larger share of it.
const memoryDir = "/dev/shm"

// measureProofs runs the log's own benchmark in process, with each caller
// waiting for a checkpoint that covers its entry, and with each getting a proof
// besides: the difference is what proofs cost, without what surrounds the log.
func (b *bench) measureProofs(ctx context.Context) error {
	run, err := b.buildBenchmarks(ctx, "notary/tesseralog")
	if err != nil {
		return err
	}
	for range b.rounds {
		pairs, err := b.proofRounds(run)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			b.logf("log in process: %.0f entries/s, %.0f with proofs; of CPU time %.0f and %.0f", p.Other, p.Ours, p.OtherCPU, p.OursCPU)
			b.result.pair(proofsName, p)
		}
	}
	return nil
}

// proofRounds returns the entries a second with proofs and without.
func (b *bench) proofRounds(run benchmarks) ([]pair, error) {
	dir, err := os.MkdirTemp(memoryDir, "bench-")
	if err != nil { // there is none
		dir, err = os.MkdirTemp(b.scratch, "")
	}
	if err != nil {
		return nil, err
	}
	out, err := run([]string{"TMPDIR=" + dir}, "-test.bench=^BenchmarkProofs$", "-test.benchtime=1x", fmt.Sprintf("-test.count=%d", proofTurns))
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	pairs, err := parseProofs(out)
	if err != nil {
		return nil, fmt.Errorf("running BenchmarkProofs: %w: %s", err, out)
	}
	return pairs, nil
}

// parseProofs reads lines such as
//
//	BenchmarkProofs-2  1  4001 ns/op  120538 entries/CPU-s  30259 entries/s  121493 proofs/CPU-s  27573 proofs/s
func parseProofs(out []byte) ([]pair, error) {
	var pairs []pair
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "BenchmarkProofs") {
			continue
		}
		p, err := parsePair(fields[2:], "proofs", "entries")
		if err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, errors.New("no figures")
	}
	return pairs, nil
}
