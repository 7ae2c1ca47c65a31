//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// target takes statements of a pool and has them verified.
type target interface {
	// authorised makes the context of a run that of calls which the server takes.
	authorised(ctx context.Context) context.Context
	// submit hands in the i-th statement over one of the connections, waits for
	// the answer and verifies it.
	submit(ctx context.Context, conn, i int) error
	// stream submits what next gives, at most window unanswered, until next has
	// no more; it calls done for each statement once its receipt is verified.
	stream(ctx context.Context, conn, window int, next func() (int, bool), done func(i int)) error
}

// errNoStream means that a target takes one statement a call.
var errNoStream = errors.New("this server has no streams")

// Phases of a run.
const (
	warming = iota
	measuring
	ending
)

// load is one run of the generator: a closed loop with a fixed number in flight.
type load struct {
	target   target
	p        *pool
	inFlight int
	streams  bool
	conns    int

	phase atomic.Int32
	next  atomic.Int64
	dry   chan struct{} // closed when the pool is used up
	once  sync.Once

	// took holds the latencies of the measured ones; measured and all count.
	took     []time.Duration
	measured atomic.Int64
	all      atomic.Int64
	pushed   atomic.Int64 // answers that said "come back later"
}

// Limits of one connection, the same for every server.
const (
	callsPerConn  = 512
	perStream     = 4096 // notaryd takes so many of one stream at a time
	pushbackPause = 50 * time.Millisecond
)

func connections(inFlight int) int { return (inFlight + callsPerConn - 1) / callsPerConn }

func newLoad(t target, p *pool, inFlight int, streams bool) *load {
	return &load{
		target: t, p: p, inFlight: inFlight, streams: streams, conns: connections(inFlight),
		dry: make(chan struct{}), took: make([]time.Duration, p.size()),
	}
}

// take gives the next statement, until the measurement is over or the pool is
// used up.
func (l *load) take() (int, bool) {
	if l.phase.Load() == ending {
		return 0, false
	}
	i := int(l.next.Add(1)) - 1
	if i >= l.p.size() {
		l.once.Do(func() { close(l.dry) })
		return 0, false
	}
	return i, true
}

// done records a statement whose receipt is verified.
func (l *load) done(began time.Time) {
	l.all.Add(1)
	if l.phase.Load() == measuring {
		l.took[l.measured.Add(1)-1] = time.Since(began)
	}
}

// start sets the callers off; the function that it returns waits for their end.
func (l *load) start(ctx context.Context) func() error {
	ctx, cancel := context.WithCancelCause(l.target.authorised(ctx))
	var wait sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			l.phase.Store(ending)
			cancel(err)
		}
	}
	if l.streams {
		streams := (l.inFlight + perStream - 1) / perStream
		for i := range streams {
			window := l.inFlight / streams
			if i < l.inFlight%streams {
				window++
			}
			wait.Go(func() { fail(l.oneStream(ctx, i%l.conns, window)) })
		}
	} else {
		for i := range l.inFlight {
			wait.Go(func() { fail(l.caller(ctx, i%l.conns)) })
		}
	}
	return func() error {
		wait.Wait()
		err := context.Cause(ctx)
		cancel(nil)
		return err
	}
}

// caller submits one statement after the other.
func (l *load) caller(ctx context.Context, conn int) error {
	for {
		i, ok := l.take()
		if !ok {
			return nil
		}
		began := time.Now()
		err := l.target.submit(ctx, conn, i)
		for pushedBack(err) {
			l.pushed.Add(1)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pushbackPause):
			}
			err = l.target.submit(ctx, conn, i)
		}
		if err != nil {
			return err
		}
		l.done(began)
	}
}

// pushedBack tells a server that is full from one that failed.
func pushedBack(err error) bool {
	s, ok := status.FromError(err)
	return ok && err != nil && (s.Code() == codes.Unavailable || s.Code() == codes.ResourceExhausted)
}

func (l *load) oneStream(ctx context.Context, conn, window int) error {
	var mu sync.Mutex
	began := map[int]time.Time{}
	return l.target.stream(ctx, conn, window, func() (int, bool) {
		i, ok := l.take()
		if ok {
			mu.Lock()
			began[i] = time.Now()
			mu.Unlock()
		}
		return i, ok
	}, func(i int) {
		mu.Lock()
		at := began[i]
		delete(began, i)
		mu.Unlock()
		l.done(at)
	})
}

// sample is what the clocks said at one moment.
type sample struct {
	at                time.Time
	server, own, busy time.Duration
}

func takeSample(p *process) (sample, error) {
	server, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	busy, err := busyCPU()
	return sample{at: time.Now(), server: server, own: ownCPU(), busy: busy}, err
}

// figures are what one run measured.
type figures struct {
	Receipts int     `json:"receipts"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"receiptsPerSecond"`
	P50      float64 `json:"p50ms"`
	P99      float64 `json:"p99ms"`
	P999     float64 `json:"p999ms"`
	// Server and Generator are CPU in µs a receipt, verification included.
	Server    float64 `json:"serverMicroseconds"`
	Generator float64 `json:"generatorMicroseconds"`
	// Others is the share of the machine's CPU that went elsewhere.
	Others float64 `json:"othersShare"`
	Peak   float64 `json:"serverPeakMiB"`
	Pushed int64   `json:"pushedBack"`
	// All counts the receipts outside the measured time too.
	All int64 `json:"verified"`
}

// turns is how often the statements in flight must change while a run is
// measured: the CPU time of those that are on their way at its beginning and of
// those at its end is what makes short measurements wrong.
const turns = 2

// patience bounds how much longer than asked for warm-up and measurement may
// take until then, on a machine that is slow or busy with others.
const patience = time.Minute

// run drives the server for so long after a warm-up. A pool that is used up ends
// the measurement early, which shortens it and falsifies nothing.
func (l *load) run(ctx context.Context, server *process, warmUp, duration time.Duration) (figures, error) {
	server.resetPeak()
	wait := l.start(ctx)
	before, err := l.pause(ctx, server, warmUp, func() bool { return l.all.Load() >= int64(l.inFlight) })
	if err != nil {
		return figures{}, l.abort(wait, err)
	}
	l.phase.CompareAndSwap(warming, measuring)
	after, err := l.pause(ctx, server, duration, func() bool { return l.measured.Load() >= turns*int64(l.inFlight) })
	if err != nil {
		return figures{}, l.abort(wait, err)
	}
	l.phase.CompareAndSwap(measuring, ending)
	if err := wait(); err != nil {
		return figures{}, server.failed(err)
	}
	return l.figures(server, before, after)
}

// runAll submits the whole pool and measures from the first to the last: CPU a
// receipt then has no beginning and end to leave out.
func (l *load) runAll(ctx context.Context, server *process) (figures, error) {
	server.resetPeak()
	before, err := takeSample(server)
	if err != nil {
		return figures{}, err
	}
	l.phase.Store(measuring)
	if err := l.start(ctx)(); err != nil {
		return figures{}, server.failed(err)
	}
	after, err := takeSample(server)
	if err != nil {
		return figures{}, err
	}
	return l.figures(server, before, after)
}

// pause waits for a time and until there is enough, or ends early with the pool,
// the callers or its patience. It returns what the clocks say then.
func (l *load) pause(ctx context.Context, server *process, d time.Duration, enough func() bool) (sample, error) {
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return sample{}, ctx.Err()
		case <-l.dry:
			return takeSample(server)
		case <-tick.C:
		}
		took := time.Since(began)
		failed := l.phase.Load() == ending
		if failed || (took >= d && enough()) || took >= d+patience {
			return takeSample(server)
		}
	}
}

func (l *load) abort(wait func() error, err error) error {
	l.phase.Store(ending)
	return errors.Join(wait(), err)
}

func (l *load) figures(server *process, before, after sample) (figures, error) {
	n := int(l.measured.Load())
	if n == 0 {
		return figures{}, fmt.Errorf("no receipt came within %v with %d in flight", after.at.Sub(before.at), l.inFlight)
	}
	_, peak, err := server.memory()
	if err != nil {
		return figures{}, err
	}
	took := slices.Clone(l.took[:n])
	slices.Sort(took)
	wall := after.at.Sub(before.at)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	serverCPU, ownCPU := after.server-before.server, after.own-before.own
	f := figures{
		Receipts: n, Seconds: wall.Seconds(), Rate: float64(n) / wall.Seconds(),
		P50: quantile(took, 0.5), P99: quantile(took, 0.99), P999: quantile(took, 0.999),
		Server: micros(serverCPU), Generator: micros(ownCPU),
		Others: max(0, (after.busy-before.busy-serverCPU-ownCPU).Seconds()) / (wall.Seconds() * float64(cores)),
		Peak:   float64(peak) / (1 << 20), Pushed: l.pushed.Load(), All: l.all.Load(),
	}
	return f, nil
}

// quantile of sorted latencies, in ms.
func quantile(took []time.Duration, q float64) float64 {
	return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1e3
}
