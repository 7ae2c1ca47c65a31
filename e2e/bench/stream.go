//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// A message has at most so many statements and about so many bytes, as the client
// library's.
const (
	itemsAtOnce = 64
	bytesAtOnce = 64 << 10
)

func (n *notaryd) stream(ctx context.Context, conn, window int, next func() (int, bool), done func(int)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := n.apis[conn].SubmitStream(ctx)
	if err != nil {
		return err
	}
	s := &submissions{n: n, stream: st, free: window, named: map[int]string{}}
	s.freed.L = &s.mu
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	var sender sync.WaitGroup
	sender.Go(func() { s.send(next) })
	defer sender.Wait()
	defer cancel()
	return s.receive(done)
}

// submissions are one stream: one goroutine sends and one receives.
type submissions struct {
	n      *notaryd
	stream notaryv1.NotaryService_SubmitStreamClient

	// mu guards the fields below.
	mu    sync.Mutex
	freed sync.Cond      // free grew, or ended was set
	free  int            // how many more may be without an answer
	ended bool           // nothing more is to be sent
	named map[int]string // the evidence that each without an answer named
}

func (s *submissions) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.freed.Broadcast()
}

// room waits until something may be sent, and returns how many statements; 0 at
// the end.
func (s *submissions) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.free == 0 && !s.ended {
		s.freed.Wait()
	}
	if s.ended {
		return 0
	}
	return min(s.free, itemsAtOnce)
}

// send sends what there is room for, as many at once as fit into a message. Errors
// are the receiver's to report.
func (s *submissions) send(next func() (int, bool)) {
	defer func() { _ = s.stream.CloseSend() }()
	for {
		room := s.room()
		items := make([]*notaryv1.SubmitStreamItem, 0, room)
		more := room > 0
		for size := 0; more && len(items) < room && size < bytesAtOnce; {
			var i int
			if i, more = next(); more {
				env := s.n.p.envelope(i)
				items = append(items, &notaryv1.SubmitStreamItem{
					Id: strconv.Itoa(i), Envelope: envelopeMessage(&env), HeldEvidence: s.name(i),
				})
				size += len(env.Payload)
			}
		}
		if len(items) > 0 && s.stream.Send(&notaryv1.SubmitStreamRequest{
			Items: items, ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF,
		}) != nil || !more {
			return
		}
	}
}

// name takes a place for a statement and returns the evidence that it names.
func (s *submissions) name(i int) string {
	named := s.n.held.name(i)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[i] = named
	s.free--
	return named
}

// receive verifies what is answered.
func (s *submissions) receive(done func(int)) error {
	for {
		answer, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		all := answer.GetResults()
		if all == nil {
			return fmt.Errorf("got the answer %q to one statement, want results", answer.GetId())
		}
		s.mu.Lock()
		s.free += len(all.GetResults())
		s.freed.Signal()
		s.mu.Unlock()
		for _, r := range all.GetResults() {
			i, err := s.verify(r, all.GetCheckpoint())
			if err != nil {
				return err
			}
			done(i)
		}
	}
}

func (s *submissions) verify(r *notaryv1.SubmitStreamResult, checkpoint string) (int, error) {
	if e := r.GetError(); e != nil {
		return 0, fmt.Errorf("refused: %w", status.FromProto(e).Err())
	}
	i, err := strconv.Atoi(r.GetId())
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	named, sent := s.named[i]
	delete(s.named, i)
	s.mu.Unlock()
	if !sent {
		return 0, fmt.Errorf("got an answer for statement %d, which waits for none", i)
	}
	env := s.n.p.envelope(i)
	whole := r.GetReceipt()
	if p := r.GetProof(); p != nil {
		whole = receiptOf(named, p, checkpoint)
	}
	return i, s.n.verify(i, &env, named, whole)
}

// receiptOf is a receipt with what the caller knows.
func receiptOf(named string, p *notaryv1.SubmitStreamProof, checkpoint string) *notaryv1.Receipt {
	const size = 32
	proof := &notaryv1.ReceiptProof{Checkpoint: checkpoint, PublicKey: p.GetPublicKey()}
	for rest := p.GetHashes(); len(rest) > 0; rest = rest[min(size, len(rest)):] {
		proof.Hashes = append(proof.Hashes, rest[:min(size, len(rest))])
	}
	return &notaryv1.Receipt{LogIndex: p.GetLogIndex(), EvidenceSha256: named, Proof: proof}
}
