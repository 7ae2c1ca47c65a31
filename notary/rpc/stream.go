package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// reauthenticate is how long a stream trusts what it knows of its caller, with
// the age of what is remembered.
const reauthenticate = 10 * time.Second

// submitStream is one SubmitStream call. Its loop alone reads caller, asked and
// takes places in the window; many goroutines submit and answer.
type submitStream struct {
	*api
	stream notaryv1.NotaryService_SubmitStreamServer
	caller *call
	asked  time.Time
	window chan struct{}

	// mu guards the fields below and orders the answers on the stream, which
	// takes one Send at a time.
	mu       sync.Mutex
	inFlight map[string]bool
	created  bool  // a trial was created: the caller has a new grant
	sendErr  error // the first failure to answer
}

// SubmitStream submits many statements. It answers each under its id, and ends
// only once everything that it took was answered.
func (a *api) SubmitStream(stream notaryv1.NotaryService_SubmitStreamServer) error {
	// The HTTP front waits for the headers to know that the caller was admitted.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	s := &submitStream{
		api: a, stream: stream, caller: callOf(stream.Context()), asked: time.Now(),
		window: make(chan struct{}, a.cfg.Limits.StreamWindow), inFlight: make(map[string]bool),
	}
	err := s.run(stream.Context())
	for range cap(s.window) { // until the last one has left
		s.window <- struct{}{}
	}
	if err != nil {
		return err
	}
	return s.sendErr
}

// incoming is a received request or what ended the requests.
type incoming struct {
	req *notaryv1.SubmitStreamRequest
	err error
}

// run takes requests until the caller ends them, one of them ends the stream, or
// the server shuts down.
func (s *submitStream) run(ctx context.Context) error {
	requests := make(chan incoming)
	go func() {
		for {
			req, err := s.stream.Recv()
			select {
			case requests <- incoming{req, err}:
			case <-ctx.Done(): // grpc ends it when the handler has returned
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case in := <-requests:
			if errors.Is(in.err, io.EOF) {
				return nil
			}
			if in.err != nil {
				return in.err
			}
			if err := s.take(ctx, in.req); err != nil {
				return err
			}
		case <-s.draining:
			return errDraining
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take starts one request once there is room for it.
func (s *submitStream) take(ctx context.Context, req *notaryv1.SubmitStreamRequest) error {
	id := req.GetId()
	if err := checkStreamID(id); err != nil {
		return err
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	places := s.places(req)
	if err := s.enter(ctx, places); err != nil {
		return err
	}
	if err := s.begin(id); err != nil {
		s.leave(places)
		return err
	}
	go func(ctx context.Context) {
		defer s.leave(places)
		growStack()
		s.answer(ctx, req)
	}(withCall(ctx, s.caller))
	return nil
}

// placeSize is how many bytes of a statement one place of the window holds, so
// that the window bounds what a stream keeps in memory and not only its number.
const placeSize = 4 << 10

// places returns how many places a request takes.
func (s *submitStream) places(req *notaryv1.SubmitStreamRequest) int {
	size := len(req.GetEnvelope().GetPayload())
	return min(cap(s.window), max(1, (size+placeSize-1)/placeSize))
}

// enter takes places in the window. Only the loop does, so that two requests
// never wait for each other's places.
func (s *submitStream) enter(ctx context.Context, places int) error {
	for taken := range places {
		var err error
		select {
		case s.window <- struct{}{}:
			continue
		case <-s.draining:
			err = errDraining
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		s.leave(taken)
		return err
	}
	return nil
}

func (s *submitStream) leave(places int) {
	for range places {
		<-s.window
	}
}

// refresh asks again who the caller is, so that a removed user's stream ends and
// the creator of a trial may go on in it. Every item gets a call of its own.
func (s *submitStream) refresh(ctx context.Context) error {
	s.mu.Lock()
	created := s.created
	s.created = false
	s.mu.Unlock()
	if !created && time.Since(s.asked) < s.reauth {
		return nil
	}
	next := *s.caller
	if _, err := s.Server.caller(ctx, &next); err != nil {
		return err
	}
	s.caller, s.asked = &next, time.Now()
	return nil
}

// begin marks an id as in flight.
func (s *submitStream) begin(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sendErr != nil:
		return s.sendErr
	case s.inFlight[id]:
		return badRequest("id", "an id that is in flight was used again")
	}
	s.inFlight[id] = true
	return nil
}

// answer submits one statement and sends what Submit would have answered.
func (s *submitStream) answer(ctx context.Context, req *notaryv1.SubmitStreamRequest) {
	resp := &notaryv1.SubmitStreamResponse{Id: req.GetId()}
	var done *submitted
	s.observed(ctx, func(ctx context.Context) *status.Status {
		var err error
		if done, err = s.guarded(ctx, req); err != nil {
			st := s.refuse(ctx, err)
			resp.Result = &notaryv1.SubmitStreamResponse_Error{Error: st.Proto()}
			return st
		}
		resp.Result = &notaryv1.SubmitStreamResponse_Receipt{Receipt: done.receipt}
		return nil
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inFlight, req.GetId())
	s.created = s.created || done != nil && done.created
	if s.sendErr == nil {
		s.sendErr = s.stream.Send(resp)
	}
}

// guarded is submit with a panic turned into an error: the interceptor's
// recovery does not reach other goroutines.
func (s *submitStream) guarded(ctx context.Context, req *notaryv1.SubmitStreamRequest) (done *submitted, err error) {
	err = s.recoverPanic(ctx, callOf(ctx).method, func(ctx context.Context) error {
		leave, err := s.limiter.enter(callOf(ctx), classSubmit)
		if err != nil {
			return err
		}
		defer leave()
		done, err = s.submit(ctx, req)
		return err
	})
	return done, err
}

// checkStreamID accepts 1 to 128 printable ASCII characters.
func checkStreamID(id string) error {
	if id == "" || len(id) > 128 {
		return badRequest("id", "got %d characters, want 1 to 128", len(id))
	}
	for _, c := range []byte(id) {
		if c < 0x20 || c > 0x7e {
			return badRequest("id", "want printable ASCII characters")
		}
	}
	return nil
}
