package rpc

import (
	"context"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

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
	var done *submitted
	// The interceptor's recovery does not reach other goroutines.
	err := s.recoverPanic(it.ctx, it.call.method, func(ctx context.Context) (err error) {
		if it.leave == nil {
			return it.err // above a limit
		}
		if done, err = it.end(ctx, it.res, it.err); err == nil {
			it.answer.of(done, it.grouped)
		}
		return err
	})
	var st *status.Status
	if err != nil {
		st = s.refuse(it.ctx, err)
		it.answer = reply{err: st.Proto()}
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

// reply is the answer to a statement: one of receipt, err and proof.
type reply struct {
	receipt *notaryv1.Receipt
	err     *spb.Status
	// proof is for an item that came with others. It leads to checkpoint.
	proof      *notaryv1.SubmitStreamProof
	checkpoint string
}

func (a *reply) of(done *submitted, grouped bool) {
	if grouped {
		a.proof = done.proof()
	}
	if a.proof == nil {
		a.receipt = done.receipt()
		return
	}
	a.checkpoint = text(done.res.Inclusion.Checkpoint.Note)
}

// alone is an answer in a message of its own.
func (a *reply) alone(id string) *notaryv1.SubmitStreamResponse {
	m := &notaryv1.SubmitStreamResponse{Id: id}
	if a.err != nil {
		m.Result = &notaryv1.SubmitStreamResponse_Error{Error: a.err}
	} else {
		m.Result = &notaryv1.SubmitStreamResponse_Receipt{Receipt: a.receipt}
	}
	return m
}

// result is an answer among others.
func (a *reply) result(id string) *notaryv1.SubmitStreamResult {
	m := &notaryv1.SubmitStreamResult{Id: id}
	switch {
	case a.err != nil:
		m.Result = &notaryv1.SubmitStreamResult_Error{Error: a.err}
	case a.proof != nil:
		m.Result = &notaryv1.SubmitStreamResult_Proof{Proof: a.proof}
	default:
		m.Result = &notaryv1.SubmitStreamResult_Receipt{Receipt: a.receipt}
	}
	return m
}

// sendLoop sends answers until there will be no more. It alone sends.
func (s *submitStream) sendLoop() {
	for {
		s.mu.Lock()
		items, settled := s.answers, s.settled
		s.answers = nil
		s.mu.Unlock()
		for rest := items; len(rest) > 0; {
			n := together(rest)
			s.send(rest[:n])
			rest = rest[n:]
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

// maxResults bounds the results of one message, and the bytes of receipts and
// evidence in it after which it has no more.
const (
	maxResults      = maxItems
	maxResultsBytes = 256 << 10
)

// together returns how many of the answers, from the first on, go into one
// message.
func together(items []*item) int {
	if !items[0].grouped {
		return 1
	}
	checkpoint, size := "", 0
	for i, it := range items {
		a := &it.answer
		if i == maxResults || size > maxResultsBytes || !it.grouped {
			return i
		}
		if a.proof != nil {
			if checkpoint != "" && checkpoint != a.checkpoint {
				return i
			}
			checkpoint = a.checkpoint
		}
		size += len(a.receipt.GetBundle()) + len(a.receipt.GetEvidence())
	}
	return len(items)
}

// send answers items in one message, unless no answer goes through any more. Their
// ids are in flight until their turn: the answer to another one with the same id
// comes after it.
func (s *submitStream) send(items []*item) {
	s.mu.Lock()
	for _, it := range items {
		delete(s.inFlight, it.id)
	}
	s.mu.Unlock()
	if s.sendErr == nil { // set here alone
		if err := s.stream.Send(messageOf(items)); err != nil {
			s.mu.Lock()
			s.sendErr = err
			s.mu.Unlock()
		}
	}
	places := 0
	for _, it := range items {
		places += it.places
	}
	s.window.leave(places)
}

func messageOf(items []*item) *notaryv1.SubmitStreamResponse {
	if first := items[0]; !first.grouped {
		return first.answer.alone(first.id)
	}
	all := &notaryv1.SubmitStreamResults{Results: make([]*notaryv1.SubmitStreamResult, len(items))}
	for i, it := range items {
		all.Results[i] = it.answer.result(it.id)
		if it.answer.proof != nil {
			all.Checkpoint = it.answer.checkpoint
		}
	}
	return &notaryv1.SubmitStreamResponse{Result: &notaryv1.SubmitStreamResponse_Results{Results: all}}
}
