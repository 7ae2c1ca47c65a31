package rpc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

const (
	// heartbeat is how often WatchTrial says something.
	heartbeat = 15 * time.Second
	// watchPause is how often WatchTrial looks for news. A checkpoint is published
	// many times a second while anybody submits: to look at each would cost more
	// than it tells.
	watchPause = 200 * time.Millisecond
	// watchEvents is how many events a message of WatchTrial has at most; maxPageBytes
	// bounds it as well.
	watchEvents = 200
)

// errViewChanged ends a watch whose caller may see something else now.
var errViewChanged = errors.New("what the caller may see of the trial has changed: watch again")

// watch is one WatchTrial call.
type watch struct {
	*api
	stream  notaryv1.NotaryService_WatchTrialServer
	caller  *call
	asked   time.Time
	charter trial.ID
	of      notary.ViewOf

	index uint64 // of the next event
	skip  int    // events at index that were sent
	size  uint64 // of the log when it was looked at last
	sent  time.Time
}

// WatchTrial sends what happens in a trial. It holds no more than one message for a
// caller that does not read.
func (a *api) WatchTrial(req *notaryv1.WatchTrialRequest, stream notaryv1.NotaryService_WatchTrialServer) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	// A fold of many statements is not to hold a shutdown.
	stop := context.AfterFunc(a.ending, func() { cancel(errDraining) })
	defer stop()
	charter, err := a.trialOf(ctx, req.GetTrial())
	if err != nil {
		return err
	}
	c := callOf(ctx)
	w := &watch{
		api: a, stream: stream, caller: c, asked: time.Now(), charter: charter, of: c.user.viewOf(charter), index: req.GetFromIndex(),
	}
	for {
		if err := w.round(ctx); err != nil {
			return err
		}
		pause := time.NewTimer(watchPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// round sends all the news there are, or that there are none.
func (w *watch) round(ctx context.Context) error {
	if err := w.refresh(ctx); err != nil {
		return err
	}
	if size := w.cfg.Service.LogSize(); size == w.size && time.Since(w.sent) < heartbeat {
		return nil
	}
	for more := true; more; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var m *notaryv1.WatchTrialResponse
		err := w.cfg.Service.ReadTrial(ctx, notary.ViewQuery{ViewOf: w.of}, func(v *notary.TrialView) (err error) {
			m, more, err = w.message(v)
			return err
		})
		if err != nil {
			return err
		}
		if len(m.GetEvents()) == 0 && !w.sent.IsZero() && time.Since(w.sent) < heartbeat {
			return nil
		}
		if err := w.stream.Send(m); err != nil {
			return err
		}
		w.sent = time.Now()
	}
	return nil
}

// message makes the next message, and tells whether there is another.
func (w *watch) message(v *notary.TrialView) (m *notaryv1.WatchTrialResponse, more bool, err error) {
	if w.size == 0 && w.index > v.Size {
		return nil, false, badRequest("fromIndex", "got %d, want at most %d, the size of the log", w.index, v.Size)
	}
	w.size = v.Size
	m = &notaryv1.WatchTrialResponse{View: viewMessage(v)}
	events := v.Fold.EventsBelow(v.Size)
	first := len(v.Fold.EventsBelow(w.index)) + w.skip
	last := first
	for size := 0; last < min(first+watchEvents, len(events)); last++ {
		e := eventMessage(v, &events[last])
		if size += proto.Size(e); size > maxPageBytes && last > first {
			break
		}
		m.Events = append(m.Events, e)
	}
	if last < len(events) { // whole indexes, so that going on at the next one repeats nothing
		if n := len(v.Fold.EventsBelow(events[last].Index)); n > first {
			m.Events, last = m.GetEvents()[:n-first], n
		}
	}
	switch more = last < len(events); {
	case !more:
		w.index, w.skip = max(w.index, v.Size), 0
	case events[last].Index == w.index:
		w.skip += last - first
	default:
		w.index = events[last].Index
		w.skip = last - len(v.Fold.EventsBelow(w.index))
	}
	m.NextIndex = w.index
	return m, more, nil
}

// refresh asks from time to time who the caller is and what they may see.
func (w *watch) refresh(ctx context.Context) error {
	if time.Since(w.asked) < w.reauth {
		return nil
	}
	next := *w.caller
	u, err := w.Server.caller(ctx, &next)
	if err != nil {
		return err
	}
	if !u.sees(w.charter) {
		return notYours{}
	}
	if of := u.viewOf(w.charter); of.Whole != w.of.Whole || !slices.Equal(sortedSet(of.Sites), sortedSet(w.of.Sites)) {
		return errViewChanged
	}
	w.asked = time.Now()
	return nil
}

// watch is WatchTrial over HTTP: one message a line.
func (f *front) watch(w *statusWriter, r *http.Request, rt *route) error {
	if err := noBody(r); err != nil {
		return err
	}
	req := &notaryv1.WatchTrialRequest{}
	if err := rt.fill(req, r); err != nil {
		return err
	}
	leave, err := f.limiter.enter(callOf(r.Context()), classStream)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	md := f.outgoing(ctx)
	if values := r.Header.Values(authorizationHeader); len(values) > 0 {
		md.Set(authorizationKey, values...)
	}
	stream, err := f.client.WatchTrial(metadata.NewOutgoingContext(ctx, md), req)
	if err != nil {
		return err
	}
	w.forwarded = true
	// The deadline for reading the request would end the answer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	f.writeLines(w, r, func() (proto.Message, error) { return stream.Recv() })
	return nil
}
