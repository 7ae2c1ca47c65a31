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

// benchmarks runs the benchmarks of a package with flags and additions to the
// environment, and returns what they print.
type benchmarks func(env []string, flags ...string) ([]byte, error)

// buildBenchmarks builds the benchmarks of a package of the main module: once, so
// that no round has the compiler beside it.
func (b *bench) buildBenchmarks(ctx context.Context, pkg string) (benchmarks, error) {
	bin := filepath.Join(b.scratch, filepath.Base(pkg)+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "./"+pkg)
	build.Dir = b.source
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the benchmarks of %s (-source names the module's folder): %w: %s", pkg, err, out)
	}
	return func(env []string, flags ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, bin, append([]string{"-test.run=^$"}, flags...)...)
		cmd.Dir = filepath.Join(b.source, pkg)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("running the benchmarks of %s: %w: %s", pkg, err, out)
		}
		return out, nil
	}, nil
}

// parsePair reads figures such as "401000 folded/s 152532 judged/CPU-s", a number
// and a unit each: those of ours and of the other, by the clock and of CPU time.
func parsePair(fields []string, ours, other string) (pair, error) {
	var p pair
	of := map[string]*float64{ours + "/s": &p.Ours, other + "/s": &p.Other, ours + "/CPU-s": &p.OursCPU, other + "/CPU-s": &p.OtherCPU}
	for i := 0; i+1 < len(fields); i += 2 {
		to := of[fields[i+1]]
		if to == nil {
			continue
		}
		var err error
		if *to, err = strconv.ParseFloat(fields[i], 64); err != nil {
			return pair{}, err
		}
		delete(of, fields[i+1])
	}
	if len(of) > 0 {
		return pair{}, errors.New("missing figures: got " + strings.Join(fields, " "))
	}
	return p, nil
}
