//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	rulesName  = "replay of 40,000 statements, statements/s with rules; without"
	linearName = "folding without rules, statements/s of 1,000,000; of 40,000"
	judgedName = "replay with rules, statements/s of 1,000,000; of 40,000"
	// yearName is what a replay takes over one second.
	yearName = "seconds to replay 40,000 statements with rules; one second"
)

// Sizes of trials: a large one's year, and 25 of it.
const (
	yearSize = 40_000
	longSize = 1_000_000
)

// measureRules runs the benchmark of the rules' own package: it folds trials in
// process, with rules and without, in turns. Statements were parsed and their
// signatures verified before, as the notary and a monitor do once a statement.
func (b *bench) measureRules(ctx context.Context) error {
	run, err := b.buildBenchmarks(ctx, "trial/rules")
	if err != nil {
		return err
	}
	for range b.rounds {
		out, err := run(nil, "-test.bench=^BenchmarkReplay$", "-test.benchtime=1x")
		if err != nil {
			return err
		}
		replays, err := parseReplays(out)
		if err != nil {
			return fmt.Errorf("running BenchmarkReplay: %w: %s", err, out)
		}
		year, long := replays[yearSize], replays[longSize]
		b.logf("rules: %.0f statements/s of CPU time, %.0f without rules; of a million %.0f and %.0f", year.OursCPU, year.OtherCPU, long.OursCPU, long.OtherCPU)
		b.result.pair(rulesName, year)
		b.result.pair(linearName, pair{long.Other, year.Other, long.OtherCPU, year.OtherCPU})
		b.result.pair(judgedName, pair{long.Ours, year.Ours, long.OursCPU, year.OursCPU})
		b.result.pair(yearName, pair{yearSize / year.Ours, 1, yearSize / year.OursCPU, 1})
	}
	return nil
}

// parseReplays reads lines such as
//
//	BenchmarkReplay/statements=40000-2  1  26201 ns/op  481513 folded/CPU-s  479521 folded/s  187133 judged/CPU-s  185185 judged/s
//
// into what was judged and folded a second, by the number of statements.
func parseReplays(out []byte) (map[int]pair, error) {
	replays := map[int]pair{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		size, ok := strings.CutPrefix(fields[0], "BenchmarkReplay/statements=")
		if !ok {
			continue
		}
		size, _, _ = strings.Cut(size, "-")
		n, err := strconv.Atoi(size)
		if err != nil {
			return nil, err
		}
		if replays[n], err = parsePair(fields[2:], "judged", "folded"); err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
	}
	if len(replays) != 2 || replays[yearSize].Ours == 0 || replays[longSize].Ours == 0 {
		return nil, errors.New("no figures of both sizes")
	}
	return replays, nil
}
