// Package logtest holds one conformance suite for every notary.Log, and a Log in
// memory that fails on demand. It is for tests only.
package logtest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// ErrCrashed is the cause in the chain of notary.ErrLogStopped after Restart.
var ErrCrashed = errors.New("crashed")

// Fake is a notary.Log in memory. Left alone it gives every entry its index and a
// checkpoint at once. Its proofs and signatures are real.
type Fake struct {
	origin   string
	signer   note.Signer
	verifier note.Verifier
	vkey     string

	// mu guards everything below. entries and tree have the same length, and
	// published covers at most that many.
	mu        sync.Mutex
	entries   [][]byte
	tree      *testonly.Tree
	published receipt.Checkpoint
	wake      chan struct{} // closed at each checkpoint and when the log stops
	stopped   error

	held       bool // no checkpoints
	queueing   bool // no indexes
	queue      []*pending
	overload   int
	failNext   error
	failAdded  bool
	breakProof bool
	checkErr   error
}

type pending struct {
	entry []byte
	index uint64
	err   error
	done  chan struct{}
}

// NewFake returns an empty log with a fresh Ed25519 key.
func NewFake(origin string) (*Fake, error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("making a log key: %w", err)
	}
	f := &Fake{origin: origin, vkey: vkey, tree: testonly.New(rfc6962.DefaultHasher), wake: make(chan struct{})}
	if f.signer, err = note.NewSigner(skey); err != nil {
		return nil, fmt.Errorf("reading the log key: %w", err)
	}
	if f.verifier, err = note.NewVerifier(vkey); err != nil {
		return nil, fmt.Errorf("reading the log key: %w", err)
	}
	return f, f.publish()
}

// Verifier checks the log's checkpoints.
func (f *Fake) Verifier() note.Verifier { return f.verifier }

// VerifierKey returns the log's public key as a C2SP vkey.
func (f *Fake) VerifierKey() string { return f.vkey }

// Origin implements notary.Log.
func (f *Fake) Origin() string { return f.origin }

// Add implements notary.Log.
func (f *Fake) Add(_ context.Context, entry []byte) notary.Future {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &pending{entry: append([]byte(nil), entry...), done: make(chan struct{})}
	switch {
	case f.stopped != nil:
		p.err = f.stopped
	case len(entry) > notary.MaxEntry:
		p.err = fmt.Errorf("%w: got %d bytes, want at most %d", notary.ErrEntrySize, len(entry), notary.MaxEntry)
	case f.overload > 0:
		f.overload--
		p.err = notary.ErrOverloaded
	case f.failNext != nil:
		if f.failAdded {
			f.append(p.entry)
		}
		f.stop(f.failNext)
		p.err = f.stopped
	case f.queueing:
		f.queue = append(f.queue, p)
		return p.wait
	default:
		p.index = f.append(p.entry)
		p.err = f.publishUnlessHeld()
	}
	close(p.done)
	return p.wait
}

func (p *pending) wait(ctx context.Context) (uint64, error) {
	select {
	case <-p.done:
		return p.index, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Hurry implements notary.Log: nothing is held back but on demand.
func (f *Fake) Hurry() {}

// append needs f.mu.
func (f *Fake) append(entry []byte) uint64 {
	f.entries = append(f.entries, entry)
	f.tree.AppendData(entry)
	return f.tree.Size() - 1
}

// publishUnlessHeld needs f.mu.
func (f *Fake) publishUnlessHeld() error {
	if f.held {
		return nil
	}
	return f.publish()
}

// publish needs f.mu, or sole use of f.
func (f *Fake) publish() error {
	text := fmt.Sprintf("%s\n%d\n%s\n", f.origin, f.tree.Size(), base64.StdEncoding.EncodeToString(f.tree.Hash()))
	signed, err := note.Sign(&note.Note{Text: text}, f.signer)
	if err != nil {
		return fmt.Errorf("signing a checkpoint: %w", err)
	}
	f.published = receipt.Checkpoint{Origin: f.origin, Size: f.tree.Size(), Root: receipt.Hash(f.tree.Hash()), Note: signed}
	f.broadcast()
	return nil
}

// broadcast needs f.mu.
func (f *Fake) broadcast() {
	close(f.wake)
	f.wake = make(chan struct{})
}

// stop needs f.mu.
func (f *Fake) stop(cause error) {
	if f.stopped != nil {
		return
	}
	f.stopped = fmt.Errorf("%w: %w", notary.ErrLogStopped, cause)
	for _, p := range f.queue {
		p.err = f.stopped
		close(p.done)
	}
	f.queue = nil
	f.broadcast()
}

// Await implements notary.Log.
func (f *Fake) Await(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		if index < f.published.Size {
			f.mu.Unlock()
			return nil
		}
		wake, stopped := f.wake, f.stopped
		known := uint64(len(f.entries) + len(f.queue))
		f.mu.Unlock()
		switch {
		case stopped != nil:
			return stopped
		case index >= known:
			return fmt.Errorf("%w: index %d of %d", notary.ErrNoEntry, index, known)
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Prove implements notary.Log.
func (f *Fake) Prove(ctx context.Context, index uint64) (receipt.Inclusion, error) {
	if err := f.Await(ctx, index); err != nil {
		return receipt.Inclusion{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.prove(index)
}

// ProveAll implements notary.Log.
func (f *Fake) ProveAll(ctx context.Context, indexes []uint64) ([]receipt.Inclusion, error) {
	for _, index := range indexes {
		if err := f.Await(ctx, index); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	proofs := make([]receipt.Inclusion, len(indexes))
	for i, index := range indexes {
		var err error
		if proofs[i], err = f.prove(index); err != nil {
			return nil, err
		}
	}
	return proofs, nil
}

// prove needs f.mu.
func (f *Fake) prove(index uint64) (receipt.Inclusion, error) {
	path, err := f.tree.InclusionProof(index, f.published.Size)
	if err != nil {
		return receipt.Inclusion{}, fmt.Errorf("proving inclusion: %w", err)
	}
	inc := receipt.Inclusion{Index: index, Checkpoint: f.published, Path: make([]receipt.Hash, len(path))}
	for i, h := range path {
		inc.Path[i] = receipt.Hash(h)
	}
	if f.breakProof && len(inc.Path) > 0 {
		inc.Path[0][0] ^= 1
	}
	return inc, nil
}

// Checkpoint implements notary.Log.
func (f *Fake) Checkpoint() receipt.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published
}

// Size implements notary.Log.
func (f *Fake) Size() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint64(len(f.entries))
}

// Scan implements notary.Log.
func (f *Fake) Scan(ctx context.Context, from uint64, fn func(index uint64, entry []byte) error) error {
	f.mu.Lock()
	entries := f.entries
	f.mu.Unlock()
	for i := from; i < uint64(len(entries)); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(i, entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// Check implements notary.Log.
func (f *Fake) Check(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published.Size, errors.Join(f.checkErr, ctx.Err())
}

// Err implements notary.Log.
func (f *Fake) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}

// Close implements notary.Log.
func (f *Fake) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped != nil {
		return nil
	}
	err := f.flush(false)
	if err == nil {
		err = f.publish()
	}
	f.stop(errors.New("log closed"))
	return err
}

var _ notary.Log = (*Fake)(nil)
