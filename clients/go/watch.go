package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// watchSilence is how long a watch may say nothing: the notary says something every
// 15 seconds.
const watchSilence = time.Minute

// errNoNews ends a stream that says nothing.
var errNoNews = fmt.Errorf("%w: the notary says nothing", ErrUnanswered)

// Watch yields what happens in a trial from a log index on, 0 for its beginning, and
// goes on until ctx ends or the caller stops. A stream that breaks is opened again
// where it ended, as often as [Options] allows without any news between; what came
// stays with the caller, whose next start goes on at the NextIndex of the last News.
// After an error it yields nothing more; where the notary refuses, that is a
// *Refused. The events are the notary's word: a sponsor's monitor computes them from
// the statements, and compares.
func (c *Client) Watch(ctx context.Context, name string, from uint64) iter.Seq2[*News, error] {
	return func(yield func(*News, error) bool) {
		w := &trialWatch{c: c, name: name, next: from}
		for n := 1; ; n++ {
			heard, stopped, err := w.listen(ctx, yield)
			switch {
			case stopped:
				return
			case ctx.Err() != nil:
				yield(nil, context.Cause(ctx))
				return
			case heard:
				n = 1
			}
			asked, again := retryable(err)
			if errors.Is(err, errNoNews) {
				again = true
			}
			if !again {
				yield(nil, asError(err))
				return
			}
			if n >= c.opts.Attempts {
				yield(nil, fmt.Errorf("watching from index %d: %w", w.next, asError(err)))
				return
			}
			if err := c.opts.sleep(ctx, backoff(n, asked)); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// trialWatch is a watch over all its streams.
type trialWatch struct {
	c       *Client
	name    string
	next    uint64 // index to go on at
	charter string // of the first answer
}

// listen reads one stream to its end. heard tells that a message came, stopped that
// the caller wants no more.
func (w *trialWatch) listen(ctx context.Context, yield func(*News, error) bool) (heard, stopped bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() { cancel(errNoNews) })
	defer silence.Stop()
	stream, err := w.c.api.WatchTrial(ctx, &notaryv1.WatchTrialRequest{Trial: w.name, FromIndex: w.next})
	if err != nil {
		return false, false, err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(context.Cause(ctx), errNoNews) {
				err = errNoNews
			}
			return heard, false, err
		}
		silence.Stop()
		if err := w.check(m); err != nil {
			return heard, false, err
		}
		heard, w.next = true, m.GetNextIndex()
		if !yield(m, nil) {
			return heard, true, nil
		}
		silence.Reset(watchSilence)
	}
}

// check demands that news follow what came before.
func (w *trialWatch) check(m *News) error {
	v := m.GetView()
	if err := checkView(v, w.name, 0); err != nil {
		return err
	}
	switch {
	case w.charter != "" && v.GetCharter() != w.charter:
		return fmt.Errorf("invalid answer: got the trial %s, want %s as before", v.GetCharter(), w.charter)
	case m.GetNextIndex() < w.next:
		return fmt.Errorf("invalid answer: got the next index %d, want %d or more", m.GetNextIndex(), w.next)
	}
	w.charter = v.GetCharter()
	at := w.next
	for _, e := range m.GetEvents() {
		if e.GetLogIndex() < at || e.GetLogIndex() >= v.GetLogSize() {
			return fmt.Errorf("invalid answer: got an event at index %d, want one from %d on and below %d", e.GetLogIndex(), at, v.GetLogSize())
		}
		at = e.GetLogIndex()
	}
	return nil
}
