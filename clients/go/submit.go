package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// Answered is told the outcome of one statement: a receipt that holds, or the
// error why there is none. It is called by several goroutines at once, in any
// order, so that receipts can be written while others are checked. After a
// receipt or a Refused it is not called for that statement
// again, not even after a crash, once it has returned nil; its own error ends
// the submission.
type Answered func(it Item, r *Receipt, err error) error

// SubmitMany stores statements durably, then submits them over one stream, at
// most Options.MaxInFlight unanswered at a time, and sends the same bytes again
// where an answer was lost. A refusal does not end it.
//
// It returns nil once every statement has a receipt or a refusal. Otherwise the
// unanswered ones stay in the state folder (State.Pending).
func (c *Client) SubmitMany(ctx context.Context, trust *receipt.Trust, items []Item, answered Answered) error {
	b, err := c.opts.State.Begin(items)
	if err != nil {
		return err
	}
	err = c.SubmitBatch(ctx, trust, b, answered)
	return errors.Join(err, b.Release())
}

// SubmitBatch is SubmitMany for a batch that is stored already, such as one of
// State.Pending. It submits what is unanswered and does not release the batch.
func (c *Client) SubmitBatch(ctx context.Context, trust *receipt.Trust, b *Batch, answered Answered) error {
	if trust == nil {
		return errors.New("invalid trust folder: got none, want the trial's")
	}
	s := &session{c: c, b: b, checker: c.newChecker(trust), answered: answered, limit: c.opts.MaxInFlight}
	queue := b.Unanswered()
	if len(queue) == 1 {
		return s.submitOne(ctx, queue[0])
	}
	return s.submitAll(ctx, queue)
}

// session is one run of SubmitBatch.
type session struct {
	c        *Client
	b        *Batch
	checker  *checker
	answered Answered
	// limit is how many statements may be unanswered: halved when the notary
	// pushes back, doubled again with progress.
	limit int
}

func (s *session) submitOne(ctx context.Context, it Item) error {
	floor, err := s.checker.floor()
	if err != nil {
		return err
	}
	var resp *notaryv1.SubmitResponse
	err = s.c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = s.c.api.Submit(ctx, &notaryv1.SubmitRequest{
			Envelope: toProto(it.Envelope), ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF,
		})
		return err
	})
	return s.report(ctx, sent{it, floor, nil}, resp.GetReceipt(), err)
}

// sent is an item on its way.
type sent struct {
	Item
	// floor is the largest size seen when it was sent.
	floor uint64
	// held is the evidence that the request named.
	held *evidenceFile
}

// report checks an answer and tells the caller. It returns an error if nothing
// more should be submitted.
func (s *session) report(ctx context.Context, it sent, pb *notaryv1.Receipt, err error) error {
	id := statementID(it.Envelope)
	var r *Receipt
	if err == nil {
		r, err = s.checker.check(ctx, question{id: id, envelope: it.Envelope, floor: it.floor, held: it.held}, pb)
	}
	if cbErr := s.answered(it.Item, r, err); cbErr != nil {
		return cbErr
	}
	var refused *Refused
	if err == nil || errors.As(err, &refused) {
		return s.b.Done(id)
	}
	return err
}

// submitAll runs streams, one after the other, until everything is answered.
// Each stream starts with what the one before left.
func (s *session) submitAll(ctx context.Context, queue []Item) error {
	for failures := 0; len(queue) > 0; {
		r := &round{session: s, queue: queue, open: map[string]sent{}}
		err := r.run(ctx)
		if r.fatal != nil {
			return r.fatal
		}
		if ctx.Err() != nil {
			return s.giveUp(r.left(), fmt.Errorf("%w: %w", ErrUnanswered, ctx.Err()))
		}
		queue = r.left()
		if len(queue) == 0 {
			return nil
		}
		asked := r.asked
		if err != nil {
			wait, again := retryable(err)
			if !again {
				return s.giveUp(queue, asError(err))
			}
			asked = wait
		}
		s.limit = max(1, s.limit/2)
		if failures++; r.answers > 0 {
			failures = 1
		}
		if failures >= s.c.opts.Attempts {
			if err == nil {
				err = r.pushedBack
			}
			return s.giveUp(queue, fmt.Errorf("after %d attempts: %w", failures, asError(err)))
		}
		if err := s.c.opts.sleep(ctx, backoff(failures, asked)); err != nil {
			return s.giveUp(queue, fmt.Errorf("%w: %w", ErrUnanswered, err))
		}
	}
	return nil
}

// giveUp tells the caller of each statement that has no answer.
func (s *session) giveUp(items []Item, err error) error {
	for _, it := range items {
		if cbErr := s.answered(it, nil, err); cbErr != nil {
			return cbErr
		}
	}
	return err
}

// workers is how many receipts are checked and written at once: more than the
// cores, because writing durably is waiting.
const workers = 8

// round is one stream. Its fields belong to the goroutine of run, which alone
// sends and sorts answers; one goroutine only receives, and workers check the
// receipts and call back.
type round struct {
	*session
	queue []Item          // not sent
	open  map[string]sent // sent and unanswered, by their id on the stream
	again []Item          // pushed back by the notary
	next  int

	answers    int
	asked      time.Duration // the longest wait that the notary asked for
	pushedBack error
	fatal      error
}

// left returns what has no answer.
func (r *round) left() []Item {
	left := append([]Item(nil), r.again...)
	for _, it := range r.open {
		left = append(left, it.Item)
	}
	return append(left, r.queue...)
}

type streamAnswer struct {
	resp *notaryv1.SubmitStreamResponse
	err  error
}

// run sends until the queue is empty or the notary pushes back, and returns
// once nothing is open, or with the error that broke the stream.
func (r *round) run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(workers)
	streamCtx, cancel := context.WithCancelCause(ctx)
	// Silence ends the stream, whatever waits on it: sending waits too, while
	// the notary reads nothing.
	silence := time.AfterFunc(r.c.opts.AttemptTimeout, func() { cancel(errSilent) })
	stream, err := r.c.api.SubmitStream(streamCtx)
	if err == nil {
		err = r.converse(ctx, stream, receive(streamCtx, stream, r.c.opts.MaxInFlight), streamCtx.Done(), silence, work)
	}
	silence.Stop()
	if err != nil && errors.Is(context.Cause(streamCtx), errSilent) {
		err = status.Errorf(codes.Unavailable, "no answer for %s", r.c.opts.AttemptTimeout)
	}
	cancel(nil)
	r.fatal = work.Wait()
	return err
}

// errSilent ends a stream that brings no answer.
var errSilent = errors.New("no answer")

// receive hands on what the stream brings until it ends. The channel holds an
// answer for every statement in flight, so that answers are always read: a
// notary that cannot answer reads no more, and sending to it would wait for ever.
func receive(ctx context.Context, stream notaryv1.NotaryService_SubmitStreamClient, inFlight int) <-chan streamAnswer {
	answers := make(chan streamAnswer, inFlight+1)
	go func() {
		for {
			resp, err := stream.Recv()
			select {
			case answers <- streamAnswer{resp, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return answers
}

func (r *round) converse(ctx context.Context, stream notaryv1.NotaryService_SubmitStreamClient, answers <-chan streamAnswer, ended <-chan struct{}, silence *time.Timer, work *errgroup.Group) error {
	for {
		for len(r.queue) > 0 && len(r.open) < r.limit && r.pushedBack == nil {
			if err := r.send(stream); err != nil {
				if !errors.Is(err, io.EOF) {
					return err
				}
				break // Recv says why
			}
		}
		if len(r.open) == 0 && (len(r.queue) == 0 || r.pushedBack != nil) {
			return stream.CloseSend()
		}
		select {
		case a := <-answers:
			if a.err != nil {
				return streamError(a.err)
			}
			// Checking and writing receipts is our own time.
			silence.Stop()
			if err := r.take(ctx, a.resp, work); err != nil {
				return err
			}
			silence.Reset(r.c.opts.AttemptTimeout)
		case <-ended:
			// Silence, the caller or a worker ended it; receive may have seen that
			// first and hand on nothing.
			return context.Canceled
		}
	}
}

// streamError turns a stream that ended early into one to be opened again.
func streamError(err error) error {
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Unavailable, "the stream ended before every statement was answered")
	}
	return err
}

// What one message has at most: so many statements, and no further one after so
// many bytes. A longer statement than the last goes alone, which spares the notary
// a copy of it.
const (
	itemsAtOnce = 64
	bytesAtOnce = 64 << 10
	aloneFrom   = 16 << 10
)

// send sends what there is room for, as much as goes into one message.
func (r *round) send(stream notaryv1.NotaryService_SubmitStreamClient) error {
	floor, err := r.checker.floor()
	if err != nil {
		return err
	}
	held := r.checker.evidence.Load()
	req := &notaryv1.SubmitStreamRequest{ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF}
	if len(r.queue[0].Envelope.Payload) >= aloneFrom {
		it, id := r.pop(floor, held)
		req.Id, req.Envelope, req.HeldEvidence = id, toProto(it.Envelope), held.name()
		return stream.Send(req)
	}
	for size := 0; size < bytesAtOnce && len(req.GetItems()) < itemsAtOnce && len(r.queue) > 0 && len(r.open) < r.limit; {
		if len(r.queue[0].Envelope.Payload) >= aloneFrom {
			break
		}
		it, id := r.pop(floor, held)
		req.Items = append(req.Items, &notaryv1.SubmitStreamItem{Id: id, Envelope: toProto(it.Envelope), HeldEvidence: held.name()})
		size += len(it.Envelope.Payload)
	}
	return stream.Send(req)
}

// pop takes the next statement and gives it a name. It is open before it is sent:
// an error does not tell whether it arrived.
func (r *round) pop(floor uint64, held *evidenceFile) (Item, string) {
	it, id := r.queue[0], strconv.Itoa(r.next)
	r.next++
	r.queue = r.queue[1:]
	r.open[id] = sent{it, floor, held}
	return it, id
}

// take handles one message, with one answer or several.
func (r *round) take(ctx context.Context, resp *notaryv1.SubmitStreamResponse, work *errgroup.Group) error {
	all := resp.GetResults()
	if all == nil {
		return r.takeOne(ctx, resp.GetId(), resp.GetReceipt(), resp.GetError(), work)
	}
	for _, result := range all.GetResults() {
		pb := result.GetReceipt()
		if p := result.GetProof(); p != nil {
			var err error
			if pb, err = r.completed(result.GetId(), p, all.GetCheckpoint()); err != nil {
				return err
			}
		}
		if err := r.takeOne(ctx, result.GetId(), pb, result.GetError(), work); err != nil {
			return err
		}
	}
	return nil
}

// completed is the receipt of a proof, with what the notary need not say of it.
func (r *round) completed(id string, p *notaryv1.SubmitStreamProof, checkpoint string) (*notaryv1.Receipt, error) {
	it, ok := r.open[id]
	if !ok {
		return nil, unknownID(id)
	}
	if it.held == nil {
		return nil, fmt.Errorf("%w: its evidence was left out, and none is held", ErrReceipt)
	}
	hashes := p.GetHashes()
	proof := &notaryv1.ReceiptProof{Checkpoint: checkpoint, PublicKey: p.GetPublicKey(), Hashes: make([][]byte, 0, len(hashes)/sha256.Size+1)}
	// What is left over at the end is no hash, and is refused as such.
	for hash := range slices.Chunk(hashes, sha256.Size) {
		proof.Hashes = append(proof.Hashes, hash)
	}
	return &notaryv1.Receipt{
		StatementId: statementID(it.Envelope).String(), LogIndex: p.GetLogIndex(), EvidenceSha256: it.held.name(), Proof: proof,
	}, nil
}

func unknownID(id string) error {
	return fmt.Errorf("invalid answer: got id %q, want one of those sent", id)
}

// takeOne handles the answer to one statement.
func (r *round) takeOne(ctx context.Context, id string, pb *notaryv1.Receipt, refused *spb.Status, work *errgroup.Group) error {
	it, ok := r.open[id]
	if !ok {
		return unknownID(id)
	}
	delete(r.open, id)
	if refused != nil {
		err := status.ErrorProto(refused)
		if asked, again := retryable(err); again {
			r.again = append(r.again, it.Item)
			r.pushedBack, r.asked = err, max(r.asked, asked)
			return nil
		}
		r.answers++
		work.Go(func() error { return r.report(ctx, it, nil, asError(err)) })
		return nil
	}
	r.answers++
	if r.answers%r.limit == 0 {
		r.limit = min(2*r.limit, r.c.opts.MaxInFlight)
	}
	work.Go(func() error { return r.report(ctx, it, pb, nil) })
	return nil
}
