//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	bin := filepath.Join(b.scratch, "tesseralog.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "./notary/tesseralog")
	build.Dir = b.source
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the log's benchmarks (-source names the module's folder): %w: %s", err, out)
	}
	for range b.rounds {
		pairs, err := b.proofRounds(ctx, bin)
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
func (b *bench) proofRounds(ctx context.Context, bin string) ([]pair, error) {
	dir, err := os.MkdirTemp(memoryDir, "bench-")
	if err != nil { // there is none
		dir, err = os.MkdirTemp(b.scratch, "")
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "-test.run=^$", "-test.bench=^BenchmarkProofs$", "-test.benchtime=1x",
		fmt.Sprintf("-test.count=%d", proofTurns))
	cmd.Dir = filepath.Join(b.source, "notary/tesseralog")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return nil, fmt.Errorf("running BenchmarkProofs: %w: %s", err, out)
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
func parseProofs(out []byte) (pairs []pair, err error) {
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "BenchmarkProofs") {
			continue
		}
		var p pair
		of := map[string]*float64{"proofs/s": &p.Ours, "entries/s": &p.Other, "proofs/CPU-s": &p.OursCPU, "entries/CPU-s": &p.OtherCPU}
		for i := 2; i+1 < len(fields); i += 2 {
			to := of[fields[i+1]]
			if to == nil {
				continue
			}
			if *to, err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, err
			}
			delete(of, fields[i+1])
		}
		if len(of) > 0 {
			return nil, fmt.Errorf("missing figures in %q", line)
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, errors.New("no figures")
	}
	return pairs, nil
}
