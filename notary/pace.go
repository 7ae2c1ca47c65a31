package notary

import (
	"context"
	"sync"
	"time"
)

// pieceTime is the least work after which a pause is worth its timer.
const pieceTime = 2 * time.Millisecond

// pacer bounds the share of its time that a goroutine works.
type pacer struct {
	share float64
	mu    sync.Mutex
	since time.Time // when the work of this piece began
}

type pacerKey struct{}

// WithShare bounds the work done under a context to a share of one core, above 0
// and below 1; any other share is no bound. The work calls Pause between its
// pieces. It travels in the context, as a deadline does, because a full check goes
// through every driver.
func WithShare(ctx context.Context, share float64) context.Context {
	if share <= 0 || share >= 1 {
		return ctx
	}
	return context.WithValue(ctx, pacerKey{}, &pacer{share: share, since: time.Now()})
}

// HasShare tells whether the work under a context is bounded: then it SHOULD be in
// pieces as small as can be.
func HasShare(ctx context.Context) bool {
	_, ok := ctx.Value(pacerKey{}).(*pacer)
	return ok
}

// Pause returns when the next piece of work may begin, or with the context's error.
// It MUST NOT be called with a lock or a transaction held.
func Pause(ctx context.Context) error {
	p, ok := ctx.Value(pacerKey{}).(*pacer)
	if !ok {
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	worked := time.Since(p.since)
	if worked < pieceTime {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(float64(worked) * (1/p.share - 1)))
	defer timer.Stop()
	select {
	case <-timer.C:
		p.since = time.Now()
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
