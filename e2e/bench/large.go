//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The large log is held against an empty one.
const (
	largeRow      = "notaryd unary, large log"
	emptyRow      = "notaryd unary, empty log"
	largeInFlight = 1024
)

// outgrown is by how much the large log may have grown by being measured before
// it is made anew.
const outgrown = 1.5

// measureLarge compares a log of a million entries with an empty one, in
// turns: rate, the time to start, memory. The large log is kept for later runs.
func (b *bench) measureLarge(ctx context.Context) error {
	dir, err := b.largeLog(ctx)
	if err != nil {
		return err
	}
	id, err := loadIdentity(filepath.Join(dir, identityFile))
	if err != nil {
		return err
	}
	own := *b
	own.id = id
	p, err := newPool(id, b.poolSize(largeInFlight), 1, b.began)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		if err := p.renew(); err != nil { // the large log has seen the last ones
			return err
		}
		turns := []func() error{
			func() error {
				f, err := own.once(ctx, variant{name: emptyRow, start: unary.start}, p, largeInFlight)
				b.result.add(emptyRow, largeInFlight, f)
				return err
			},
			func() error {
				f, err := own.onLarge(ctx, dir, p)
				b.result.add(largeRow, largeInFlight, f)
				return err
			},
		}
		if round%2 == 1 { // neither is always the second
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
	}
	return nil
}

// onLarge starts the large log, which is timed, and drives it.
func (b *bench) onLarge(ctx context.Context, dir string, p *pool) (f figures, err error) {
	began := time.Now()
	n, err := startNotaryd(b.notaryd, dir, false)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	start := time.Since(began)
	now, _, err := n.memory()
	if err != nil {
		return f, err
	}
	if err := n.openTrial(ctx, b.id); err != nil {
		return f, err
	}
	l := newLoad(n, p, largeInFlight, false)
	if err := n.dial(l.conns, p); err != nil {
		return f, err
	}
	if f, err = l.run(ctx, n.process, warmUp(largeInFlight, b.duration), b.duration); err != nil {
		return f, err
	}
	b.result.Starts = append(b.result.Starts, start.Seconds())
	b.result.Resident = append(b.result.Resident, float64(now)/(1<<20))
	b.logf("%s: served after %.2f s with %d MiB; %.0f/s, %.0f us of server CPU", largeRow, start.Seconds(), now>>20, f.Rate, f.Server)
	return f, b.grown(dir, f.All)
}

const (
	identityFile = "bench-identity.json"
	sizeFile     = "bench-size"
)

// grown keeps count of what a measurement added.
func (b *bench) grown(dir string, more int64) error {
	size, err := readSize(dir)
	if err != nil {
		return err
	}
	return writeSize(dir, size+more)
}

func readSize(dir string) (size int64, err error) {
	text, err := os.ReadFile(filepath.Join(dir, sizeFile))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(text), &size)
	return size, err
}

func writeSize(dir string, size int64) error {
	return os.WriteFile(filepath.Join(dir, sizeFile), fmt.Appendln(nil, size), 0o644)
}

// largeLog returns the folder of the large log, and makes it where there is
// none, or one that has outgrown its name or that this server does not take.
func (b *bench) largeLog(ctx context.Context) (string, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("log-%d", b.entries))
	size, err := readSize(dir)
	if err == nil && float64(size) <= outgrown*float64(b.entries) {
		n, err := startNotaryd(b.notaryd, dir, false)
		if err == nil {
			return dir, n.close()
		}
		b.logf("the kept large log is made anew: %v", err)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	making := filepath.Join(b.scratch, "large")
	if err := b.makeLarge(ctx, making); err != nil {
		return "", fmt.Errorf("making a large log: %w", err)
	}
	return dir, os.Rename(making, dir)
}

// makeLarge fills a log over streams, as fast as it goes, with statements that
// are signed between two measures of it.
func (b *bench) makeLarge(ctx context.Context, dir string) (err error) {
	const inFlight = 4096
	part := min(50_000, b.entries)
	s, err := stream.start(ctx, b, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p, err := newPool(b.id, part, 1, b.began)
	if err != nil {
		return err
	}
	if err := s.dial(connections(inFlight), p); err != nil {
		return err
	}
	for done := 0; done < b.entries; done += part {
		if err := p.renew(); err != nil {
			return err
		}
		f, err := newLoad(s, p, inFlight, true).runAll(ctx, s.proc())
		if err != nil {
			return err
		}
		b.logf("making a log of %d entries: %d, at %.0f/s", b.entries, done+part, f.Rate)
	}
	return errors.Join(writeSize(dir, int64(b.entries)), b.id.save(filepath.Join(dir, identityFile)))
}
