package logtest

import (
	"slices"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

// Hold keeps entries integrated but unpublished until Release.
func (f *Fake) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
}

// Release undoes Hold and publishes.
func (f *Fake) Release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = false
	return f.publish()
}

// Queue keeps added entries without an index until Flush.
func (f *Fake) Queue() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queueing = true
}

// Queued returns how many entries wait for Flush.
func (f *Fake) Queued() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue)
}

// Flush undoes Queue and gives every queued entry its index, in reverse order if
// told so: a Log promises no order.
func (f *Fake) Flush(reverse bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush(reverse)
}

// flush needs f.mu.
func (f *Fake) flush(reverse bool) error {
	if reverse {
		slices.Reverse(f.queue)
	}
	queue := f.queue
	f.queueing, f.queue = false, nil
	for _, p := range queue {
		p.index = f.append(p.entry)
		close(p.done)
	}
	if len(queue) == 0 {
		return nil
	}
	return f.publishUnlessHeld()
}

// Overload refuses the next n entries with notary.ErrOverloaded.
func (f *Fake) Overload(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overload = n
}

// FailAdd makes the next Add fail, which stops the log. added tells whether the
// entry is in the log all the same: the caller of Add can't know.
func (f *Fake) FailAdd(cause error, added bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failNext, f.failAdded = cause, added
}

// Stop stops the log as a refusal to sign does: entries that no checkpoint covers
// are not proven any more.
func (f *Fake) Stop(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop(cause)
}

// BreakProofs gives every proof of more than one entry a wrong hash.
func (f *Fake) BreakProofs(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.breakProof = broken
}

// FailCheck makes Check fail; nil undoes it.
func (f *Fake) FailCheck(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkErr = err
}

// Restart stops the log as kill -9 does and returns it as it is opened again: all
// integrated entries, published, and no fault. Queued entries are lost.
func (f *Fake) Restart() (*Fake, error) {
	return f.Rollback(f.Size())
}

// Rollback stops the log and returns an older copy with the first size entries,
// under the same key. A real Log refuses to open one below its high-water mark.
func (f *Fake) Rollback(size uint64) (*Fake, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop(ErrCrashed)
	g := &Fake{
		origin: f.origin, signer: f.signer, verifier: f.verifier, vkey: f.vkey,
		tree: testonly.New(rfc6962.DefaultHasher), wake: make(chan struct{}),
	}
	for _, e := range f.entries[:size] {
		g.append(e)
	}
	return g, g.publish()
}
