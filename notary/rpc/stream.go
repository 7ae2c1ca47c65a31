package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// reauthenticate is how long a stream trusts what it knows of its caller, with
// the age of what is remembered.
const reauthenticate = 10 * time.Second

// submitStream is one SubmitStream call. One goroutine reads its requests and has
// the service begin them, and alone uses caller, ctx and asked and takes places in
// the window; another one makes the answers of those that ended, and a third sends
// them: whoever does not read them blocks it alone. The handler waits for all.
type submitStream struct {
	*api
	stream notaryv1.NotaryService_SubmitStreamServer
	caller *call
	ctx    context.Context // of the stream, with caller
	asked  time.Time
	window chan struct{}
	wake   chan struct{} // holds a value where ended, unsettled or over changed
	toSend chan struct{} // holds a value where answers or settled changed

	// mu guards the fields below.
	mu       sync.Mutex
	inFlight map[string]*item
	ended    []*item // to be concluded
	answers  []*item // to be sent; they are no more than the window has places
	open     int     // requests that were not concluded yet
	over     bool    // no more are taken
	settled  bool    // nothing more is to be sent
	created  bool    // a trial was created: the caller has a new grant
	sendErr  error   // the first failure to answer
}

// item is one request of a stream.
type item struct {
	attempt

	id      string
	ctx     context.Context
	seen    Call
	places  int
	leave   func()      // its place among the caller's statements, nil if it got none
	abandon func(error) // the stream's mu guards it

	// What came of it.
	res  *notary.Result
	err  error
	resp *notaryv1.SubmitStreamResponse
}

// SubmitStream submits many statements. It answers each under its id, and ends
// only once everything that it took was answered.
func (a *api) SubmitStream(stream notaryv1.NotaryService_SubmitStreamServer) error {
	// The HTTP front waits for the headers to know that the caller was admitted.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	ctx := stream.Context()
	s := &submitStream{
		api: a, stream: stream, caller: callOf(ctx), ctx: ctx, asked: time.Now(),
		window: make(chan struct{}, a.cfg.Limits.StreamWindow), wake: make(chan struct{}, 1), toSend: make(chan struct{}, 1),
		inFlight: make(map[string]*item),
	}
	stop := context.AfterFunc(ctx, s.abandon)
	defer stop()
	var answering sync.WaitGroup
	answering.Go(s.concludeLoop)
	answering.Go(s.sendLoop)
	err := s.run(ctx)
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	tell(s.wake)
	answering.Wait()
	if err != nil {
		return err
	}
	return s.sendErr
}

// run takes requests until the caller ends them, one of them ends the stream, or
// the server shuts down.
func (s *submitStream) run(ctx context.Context) error {
	end := make(chan error, 1)
	go func() { // grpc ends it when the handler has returned
		end <- s.recoverPanic(ctx, s.caller.method, s.receive)
	}()
	select {
	case err := <-end:
		return err
	case <-s.draining:
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *submitStream) receive(ctx context.Context) error {
	for {
		req, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.take(ctx, req)
		}
		if err != nil {
			return err
		}
	}
}

// take starts one request once there is room for it.
func (s *submitStream) take(ctx context.Context, req *notaryv1.SubmitStreamRequest) error {
	if err := checkStreamID(req.GetId()); err != nil {
		return err
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	places := s.places(req)
	if err := s.enter(ctx, places); err != nil {
		return err
	}
	it := &item{attempt: attempt{api: s.api, call: s.caller, req: req}, id: req.GetId(), places: places}
	if err := s.begin(it); err != nil {
		s.leave(places)
		return err
	}
	it.ctx, it.seen = s.beginStatement(s.ctx, s.caller.method, s.caller.http)
	if abandon := s.start(it); abandon != nil {
		s.mu.Lock()
		it.abandon = abandon
		s.mu.Unlock()
		if ctx.Err() != nil { // it may have ended before the item could be abandoned
			abandon(context.Cause(ctx))
		}
	}
	return nil
}

// start hands an item to the service. It returns nil where the item ended at once.
func (s *submitStream) start(it *item) (abandon func(error)) {
	var err error
	if it.leave, err = s.limiter.enter(it.call, classSubmit); err != nil {
		s.done(it, nil, err)
		return nil
	}
	sub, err := it.begin()
	if err != nil {
		s.done(it, nil, err)
		return nil
	}
	sub.Done = func(res *notary.Result, err error) { s.done(it, res, err) }
	return s.cfg.Service.Start(it.ctx, sub)
}

// done gives back what the item took of its caller, which is not to depend on who
// reads answers, and has it answered.
func (s *submitStream) done(it *item, res *notary.Result, err error) {
	it.res, it.err = res, err
	it.release()
	if it.leave != nil {
		it.leave()
	}
	s.mu.Lock()
	s.ended = append(s.ended, it)
	s.mu.Unlock()
	tell(s.wake)
}

func tell(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// abandon ends what is in flight of a caller that is gone.
func (s *submitStream) abandon() {
	cause := context.Cause(s.stream.Context())
	s.mu.Lock()
	var all []func(error)
	for _, it := range s.inFlight {
		if it.abandon != nil {
			all = append(all, it.abandon)
		}
	}
	s.mu.Unlock()
	for _, abandon := range all {
		abandon(cause)
	}
}

// placeSize is how many bytes of a statement one place of the window holds, so
// that the window bounds what a stream keeps in memory and not only its number.
const placeSize = 4 << 10

// places returns how many places a request takes.
func (s *submitStream) places(req *notaryv1.SubmitStreamRequest) int {
	size := len(req.GetEnvelope().GetPayload())
	return min(cap(s.window), max(1, (size+placeSize-1)/placeSize))
}

// enter takes places in the window. Only one goroutine does, so that two requests
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
	s.caller, s.ctx, s.asked = &next, withCall(ctx, &next), time.Now()
	return nil
}

// begin marks an item's id as in flight.
func (s *submitStream) begin(it *item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sendErr != nil:
		return s.sendErr
	case s.over:
		return errDraining
	case s.inFlight[it.id] != nil:
		return badRequest("id", "an id that is in flight was used again")
	}
	s.inFlight[it.id] = it
	s.open++
	return nil
}

// concludeLoop makes the answers of what ended until nothing is left and nothing
// more is taken.
func (s *submitStream) concludeLoop() {
	for {
		s.mu.Lock()
		items, over := s.ended, s.over && s.open == 0
		s.ended = nil
		s.settled = over
		s.mu.Unlock()
		if over {
			tell(s.toSend)
			return
		}
		for _, it := range items {
			if it.asks(it.err) {
				go s.conclude(it) // others are not to wait for the database
			} else {
				s.conclude(it)
			}
		}
		if len(items) == 0 {
			<-s.wake
		}
	}
}

// conclude makes an item's answer: what Submit would have answered.
func (s *submitStream) conclude(it *item) {
	it.resp = &notaryv1.SubmitStreamResponse{Id: it.id}
	var done *submitted
	// The interceptor's recovery does not reach other goroutines.
	err := s.recoverPanic(it.ctx, it.call.method, func(ctx context.Context) (err error) {
		if it.leave == nil {
			return it.err // above a limit
		}
		done, err = it.end(ctx, it.res, it.err)
		return err
	})
	var st *status.Status
	if err != nil {
		st = s.refuse(it.ctx, err)
		it.resp.Result = &notaryv1.SubmitStreamResponse_Error{Error: st.Proto()}
	} else {
		it.resp.Result = &notaryv1.SubmitStreamResponse_Receipt{Receipt: done.receipt}
	}
	s.endStatement(it.ctx, it.seen, st)
	s.mu.Lock()
	s.answers = append(s.answers, it)
	s.open--
	s.created = s.created || done != nil && done.created
	last := s.over && s.open == 0
	s.mu.Unlock()
	tell(s.toSend)
	if last {
		tell(s.wake)
	}
}

// sendLoop sends answers until there will be no more. It alone sends.
func (s *submitStream) sendLoop() {
	for {
		s.mu.Lock()
		items, settled := s.answers, s.settled
		s.answers = nil
		s.mu.Unlock()
		for _, it := range items {
			s.send(it)
		}
		if len(items) > 0 {
			continue
		}
		if settled {
			return
		}
		<-s.toSend
	}
}

// send answers an item, unless no answer goes through any more. Its id is in flight
// until its turn: the answer to another one with the same id comes after it.
func (s *submitStream) send(it *item) {
	s.mu.Lock()
	delete(s.inFlight, it.id)
	s.mu.Unlock()
	if s.sendErr == nil { // set here alone
		if err := s.stream.Send(it.resp); err != nil {
			s.mu.Lock()
			s.sendErr = err
			s.mu.Unlock()
		}
	}
	s.leave(it.places)
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
