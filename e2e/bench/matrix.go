//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// server is a running server of either kind.
type server interface {
	target
	dial(conns int, p *pool) error
	close() error
	proc() *process
}

func (n *notaryd) proc() *process { return n.process }
func (r *rekor) proc() *process   { return r.process }

// variant is a server with its settings and the way that it is driven.
type variant struct {
	name   string
	stream bool
	start  func(ctx context.Context, b *bench, dir string) (server, error)
}

var (
	unary  = variant{name: "notaryd unary", start: startFresh(false)}
	stream = variant{name: "notaryd stream", stream: true, start: startFresh(false)}
	tlsRow = variant{name: "notaryd unary, TLS", start: startFresh(true)}
	best   = variant{name: "rekor v2", start: startFreshRekor(rekorBest)}
	plain  = variant{name: "rekor v2, defaults", start: startFreshRekor(nil)}
)

// startFresh starts a notary with a log of its own, and the trial in it.
func startFresh(withTLS bool) func(context.Context, *bench, string) (server, error) {
	return func(ctx context.Context, b *bench, dir string) (server, error) {
		if err := initNotaryd(ctx, b.notaryd, dir, withTLS); err != nil {
			return nil, err
		}
		n, err := startNotaryd(b.notaryd, dir, withTLS)
		if err != nil {
			return nil, err
		}
		if err := n.openTrial(ctx, b.id); err != nil {
			return nil, errors.Join(err, n.close())
		}
		return n, nil
	}
}

func startFreshRekor(settings []string) func(context.Context, *bench, string) (server, error) {
	return func(ctx context.Context, b *bench, dir string) (server, error) {
		return startRekor(ctx, b.rekor, dir, settings)
	}
}

// generatorGC is the generator's GOGC while it drives a server: the block of
// signed statements is most of its memory and needs no collecting.
const generatorGC = 300

// with starts a fresh server, has it driven and takes everything away again.
func (b *bench) with(ctx context.Context, v variant, p *pool, inFlight int, drive func(*load, *process) (figures, error)) (f figures, err error) {
	dir, remove, err := b.fresh()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := v.start(ctx, b, dir)
	if err != nil {
		return f, fmt.Errorf("starting %s: %w", v.name, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	// Each collection reads the stacks of all callers, which is no site's work.
	// Only here: how often an offline verifier collects is part of what it costs.
	defer debug.SetGCPercent(debug.SetGCPercent(generatorGC))
	l := newLoad(s, p, inFlight, v.stream)
	if err := s.dial(l.conns, p); err != nil {
		return f, err
	}
	if f, err = drive(l, s.proc()); err != nil {
		return f, fmt.Errorf("%s, %d in flight: %w", v.name, inFlight, err)
	}
	return f, nil
}

// once measures a fresh server for the run's time.
func (b *bench) once(ctx context.Context, v variant, p *pool, inFlight int) (figures, error) {
	f, err := b.with(ctx, v, p, inFlight, func(l *load, server *process) (figures, error) {
		return l.run(ctx, server, warmUp(inFlight, b.duration), b.duration)
	})
	if err == nil {
		b.logf("%-20s %5d in flight: %6.0f/s, p50 %.0f ms, p99 %.0f ms; server %.0f us, generator %.0f us; others had %.0f %%",
			v.name, inFlight, f.Rate, f.P50, f.P99, f.Server, f.Generator, 100*f.Others)
	}
	return f, err
}

// warmUp lets the callers get out of step: they all begin at once.
func warmUp(inFlight int, d time.Duration) time.Duration {
	switch {
	case d >= defaultInterval:
		return defaultInterval
	case inFlight >= 8192:
		return min(4*time.Second, 2*d)
	case inFlight >= 1024:
		return min(2*time.Second, 2*d)
	}
	return min(time.Second, d)
}

// fastest bounds how many receipts a second a run can want of the pool. A faster
// server ends its run before the time is over.
const fastest = 16_000

// poolSize is what the longest run of the matrix can use.
func (b *bench) poolSize(inFlight int) int {
	d := warmUp(inFlight, b.duration) + b.duration
	rate := min(fastest, 20*inFlight) // no receipt is faster than half a publication interval
	return max(64, int(d.Seconds()*float64(rate))+inFlight)
}

// measureLoad drives both servers at every number in flight, in turns.
func (b *bench) measureLoad(ctx context.Context) error {
	size := 0
	for _, n := range b.inFlight {
		size = max(size, b.poolSize(n))
	}
	p, err := newPool(b.id, size, 1, b.began)
	if err != nil {
		return err
	}
	b.result.Payload = p.length
	b.logf("%d statements of %d bytes signed", p.size(), p.length)
	for _, n := range b.inFlight {
		for range b.rounds {
			b.result.bare(bareP256(300 * time.Millisecond))
			for _, v := range []variant{unary, best, stream} {
				if err := b.row(ctx, v, p, n); err != nil {
					return err
				}
			}
		}
	}
	return b.row(ctx, tlsRow, p, 1024)
}

// defaultInFlight is what Rekor lets wait by default, and defaultInterval is the
// interval between its checkpoints then.
const (
	defaultInFlight = 4096
	defaultInterval = 10 * time.Second
)

// measureDefaults is Rekor with its defaults: whole intervals, because all
// answers of one come at once.
func (b *bench) measureDefaults(ctx context.Context) error {
	slow := *b
	slow.duration = 2 * defaultInterval
	p, err := newPool(b.id, 5*defaultInFlight, 1, b.began)
	if err != nil {
		return err
	}
	f, err := slow.once(ctx, plain, p, defaultInFlight)
	if err != nil {
		return err
	}
	b.result.add(plain.name, defaultInFlight, f)
	return nil
}

// row measures one server once, if it was asked for.
func (b *bench) row(ctx context.Context, v variant, p *pool, inFlight int) error {
	if !b.servers.MatchString(v.name) {
		return nil
	}
	f, err := b.once(ctx, v, p, inFlight)
	if err != nil {
		return err
	}
	b.result.add(v.name, inFlight, f)
	return nil
}
