//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// options are what a run is made of.
type options struct {
	notaryd, rekor string // programs
	dir            string // of results and of what is kept
	source         string // of the main module
	inFlight       []int
	rounds         int
	entries        int // of the large log
	duration       time.Duration
	quick          bool
	only           *regexp.Regexp // sections
	servers        *regexp.Regexp // rows of the load
	profile        string         // of the generator
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.notaryd, "notaryd", "notaryd", "the notary's server")
	f.StringVar(&o.rekor, "rekor", "rekor-server", "Rekor v2's POSIX server")
	f.StringVar(&o.dir, "dir", ".cache/bench", "folder for logs while they are measured, and for the results")
	f.StringVar(&o.source, "source", ".", "folder of the main module, whose benchmarks of the log and the rules are run")
	f.BoolVar(&o.quick, "quick", false, "one short round of each, in about two minutes: an impression, not a measurement")
	f.DurationVar(&o.duration, "time", 0, "how long each run is measured, after its warm-up (default 5s, quick 2s)")
	f.IntVar(&o.rounds, "rounds", 0, "how often each run is repeated, the servers taking turns (default 3, quick 1)")
	f.IntVar(&o.entries, "entries", 1_000_000, "entries of the large log, which is made once and kept")
	levels := f.String("inflight", "", "comma-separated numbers of statements in flight (default 1,16,256,1024,8192)")
	only := f.String("only", ".", "run the sections whose names match: "+strings.Join(sectionNames(), ", "))
	servers := f.String("servers", ".", "in the section load, drive the servers whose rows match, such as \"notaryd unary$\"")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the generator to this file")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	// Benchmarks of packages run in folders of their own.
	var err error
	for _, dir := range []*string{&o.dir, &o.source} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return o, err
		}
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	if o.servers, err = regexp.Compile(*servers); err != nil {
		return o, fmt.Errorf("-servers: %w", err)
	}
	if o.entries < 1 {
		return o, fmt.Errorf("-entries: got %d, want a positive number", o.entries)
	}
	o.defaults(levels)
	for level := range strings.SplitSeq(*levels, ",") {
		n, err := strconv.Atoi(level)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-inflight: got %q, want positive numbers", level)
		}
		o.inFlight = append(o.inFlight, n)
	}
	return o, nil
}

func (o *options) defaults(levels *string) {
	duration, rounds, all := 5*time.Second, 3, "1,16,256,1024,8192"
	if o.quick {
		duration, rounds, all = 2*time.Second, 1, "1,256,1024,8192"
	}
	if o.duration <= 0 {
		o.duration = duration
	}
	if o.rounds <= 0 {
		o.rounds = rounds
	}
	if *levels == "" {
		*levels = all
	}
}

// section is a part of the run that can be chosen by name.
type section struct {
	name string
	long bool // is left out of a quick run
	run  func(context.Context, *bench) error
}

func sections() []section {
	return []section{
		{"load", false, func(ctx context.Context, b *bench) error { return b.measureLoad(ctx) }},
		{"rekor-defaults", true, func(ctx context.Context, b *bench) error { return b.measureDefaults(ctx) }},
		{"proofs", false, func(ctx context.Context, b *bench) error { return b.measureProofs(ctx) }},
		{"subjects", false, func(ctx context.Context, b *bench) error { return b.measureSubjects(ctx) }},
		{"offline", false, func(ctx context.Context, b *bench) error { return b.measureOffline(ctx) }},
		{"hashing", false, func(ctx context.Context, b *bench) error { return b.measureHashing(ctx) }},
		{"digest", false, func(ctx context.Context, b *bench) error { return b.measureDigest(ctx) }},
		{"rules", false, func(ctx context.Context, b *bench) error { return b.measureRules(ctx) }},
		{"monitor", true, func(ctx context.Context, b *bench) error { return b.measureMonitor(ctx) }},
		{"large", true, func(ctx context.Context, b *bench) error { return b.measureLarge(ctx) }},
	}
}

func sectionNames() []string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return names
}

// bench is one run.
type bench struct {
	options
	out, progress io.Writer
	scratch       string
	id            *identity
	began         time.Time
	result        *result
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	b := &bench{options: o, out: stdout, progress: stderr, began: time.Now(), result: &result{}}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	if b.scratch, err = os.MkdirTemp(o.dir, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.scratch)) }()
	if b.id, err = newIdentity(b.began); err != nil {
		return err
	}
	b.result.describe(b)
	if err := b.profiled(func() error { return b.runSections(ctx) }); err != nil {
		return err
	}
	b.result.Seconds = time.Since(b.began).Seconds()
	b.result.print(stdout)
	path := filepath.Join(o.dir, "bench-"+b.began.UTC().Format("20060102-150405")+".json")
	if err := b.result.save(path); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nwritten to %s in %.0f s\n", path, b.result.Seconds)
	return nil
}

func (b *bench) runSections(ctx context.Context) error {
	none := true
	for _, s := range sections() {
		if !b.only.MatchString(s.name) || (b.quick && s.long) {
			continue
		}
		none = false
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if none {
		return fmt.Errorf("invalid -only: %q matches no section, or none that a quick run has", b.only)
	}
	return nil
}

// profiled writes a profile of what f does, if one was asked for.
func (b *bench) profiled(f func() error) error {
	if b.profile == "" {
		return f()
	}
	out, err := os.Create(b.profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(err, out.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

// fresh makes an empty folder; remove takes it away with all that is in it.
func (b *bench) fresh() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(b.scratch, "")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.progress, "%6.0f s  "+format+"\n", append([]any{time.Since(b.began).Seconds()}, args...)...)
}
