package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

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
	window *window
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

// item is one statement of a stream.
type item struct {
	attempt

	id      string
	grouped bool // it came with others in one message, and is answered so
	ctx     context.Context
	seen    Call
	places  int
	leave   func()      // its place among the caller's statements, nil if it got none
	abandon func(error) // the stream's mu guards it

	// What came of it.
	res    *notary.Result
	err    error
	answer reply
}

// streamed is a request to log a statement that came with others.
type streamed struct {
	*notaryv1.SubmitStreamItem

	form notaryv1.ReceiptForm // of all
}

func (s *streamed) GetReceiptForm() notaryv1.ReceiptForm { return s.form }

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
		window: newWindow(a.cfg.Limits.StreamWindow), wake: make(chan struct{}, 1), toSend: make(chan struct{}, 1),
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

// take starts what one message brings.
func (s *submitStream) take(ctx context.Context, req *notaryv1.SubmitStreamRequest) error {
	items := req.GetItems()
	if len(items) == 0 {
		it := &item{attempt: attempt{req: req}, id: req.GetId()}
		if err := checkStreamID(it.id); err != nil {
			return err
		}
		return s.takeOne(ctx, it)
	}
	if req.GetId() != "" || req.GetEnvelope() != nil || req.GetHeldEvidence() != "" {
		return badRequest("items", "want either items or one statement beside them")
	}
	for i, one := range items { // all before the first is taken
		if err := checkStreamID(one.GetId()); err != nil {
			return at(fmt.Sprintf("items[%d]", i), err)
		}
	}
	for _, one := range items {
		grouped := &streamed{one, req.GetReceiptForm()}
		if err := s.takeOne(ctx, &item{attempt: attempt{req: grouped}, id: one.GetId(), grouped: true}); err != nil {
			return err
		}
	}
	return nil
}

// takeOne starts one statement once there is room for it.
func (s *submitStream) takeOne(ctx context.Context, it *item) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	it.api, it.call = s.api, s.caller
	it.places = s.window.placesOf(it.req)
	if err := s.enter(ctx, it.places); err != nil {
		return err
	}
	if err := s.begin(it); err != nil {
		s.window.leave(it.places)
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

// enter takes places in the window.
func (s *submitStream) enter(ctx context.Context, places int) error {
	for !s.window.take(places) {
		select {
		case <-s.window.freed:
		case <-s.draining:
			return errDraining
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
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
