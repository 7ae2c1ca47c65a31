package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// refusalQueue is how many refusals may wait to be written.
const refusalQueue = 1024

// recorder hands refusals to the store, one at a time and in order, without
// making any call wait: a flood of refused calls must not slow the database down
// for those that are admitted. What does not fit into the queue, or is too much
// from calls without a caller, is counted, and the count is logged.
type recorder struct {
	to      Refusals
	log     *zap.Logger
	queue   chan Refused
	dropped atomic.Uint64
	done    chan struct{}

	// mu guards the fields below: nobody sends to queue once closed is set.
	mu        sync.Mutex
	closed    bool
	strangers bucket
}

// strangerRefusals bounds the refusals of calls without a caller that are kept:
// whoever can connect must not be able to fill the database.
var strangerRefusals = rate{perSecond: 10, burst: 1000}

func newRecorder(to Refusals, log *zap.Logger) *recorder {
	r := &recorder{to: to, log: log, queue: make(chan Refused, refusalQueue), done: make(chan struct{})}
	go r.run()
	return r
}

func (r *recorder) record(x Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.dropped.Add(1)
		return
	}
	if x.User == "" {
		if _, ok := r.strangers.take(time.Now(), strangerRefusals); !ok {
			r.dropped.Add(1)
			return
		}
	}
	select {
	case r.queue <- x:
	default:
		r.dropped.Add(1)
	}
}

// refusalBatch is how many refusals are written at once.
const refusalBatch = 64

func (r *recorder) run() {
	defer close(r.done)
	for x := range r.queue {
		batch := append(make([]Refused, 0, refusalBatch), x)
		for len(batch) < refusalBatch && len(r.queue) > 0 {
			batch = append(batch, <-r.queue) // this goroutine alone receives
		}
		r.write(batch)
		if n := r.dropped.Swap(0); n > 0 {
			r.log.Error("refusals not recorded: there were too many", zap.Uint64("refusals", n))
		}
	}
}

func (r *recorder) write(batch []Refused) {
	if r.to == nil {
		return
	}
	// A fresh context: the refused calls are over, their record is not.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.to.RecordRefusals(ctx, batch); err != nil {
		r.log.Error("refusals not recorded", zap.Int("refusals", len(batch)),
			zap.String("first_request_id", batch[0].RequestID), zap.Error(err))
	}
}

// close writes what is queued and stops.
func (r *recorder) close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if !closed {
		close(r.queue)
	}
	<-r.done
}
