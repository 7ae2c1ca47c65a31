package notary

import (
	"context"
	"sync"
)

// saveEvery is the number of entries after which the watermark is written down.
// A recovery scans at most about so many entries.
const saveEvery = 4096

// watermark is the size below which every entry of the log is placed. Indexes
// come in any order.
type watermark struct {
	mu sync.Mutex
	// size is the watermark, written the part of it that the store knows, and
	// above holds what was placed beyond a gap.
	size, written uint64
	above         map[uint64]struct{}
	// changed is closed and replaced by announce.
	changed chan struct{}
}

func newWatermark(size uint64) *watermark {
	return &watermark{size: size, written: size, above: make(map[uint64]struct{}), changed: make(chan struct{})}
}

func (w *watermark) add(indexes ...uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, index := range indexes {
		switch {
		case index == w.size: // nearly all
			delete(w.above, index)
			w.size++
		case index > w.size:
			w.above[index] = struct{}{}
		}
	}
	for len(w.above) > 0 {
		if _, ok := w.above[w.size]; !ok {
			return
		}
		delete(w.above, w.size)
		w.size++
	}
}

// due returns the watermark, and whether it is worth writing down.
func (w *watermark) due() (uint64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size, w.size-w.written >= saveEvery
}

// unsaved tells whether the store knows less.
func (w *watermark) unsaved() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size > w.written
}

func (w *watermark) saved(size uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = size
}

// announce wakes those who wait. It is apart from add so that a batch wakes them
// once.
func (w *watermark) announce() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

// known returns the watermark.
func (w *watermark) known() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

func (w *watermark) covers(size uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size >= size
}

// wait returns true once everything below size is placed, and false if ctx or
// stopped ends first.
func (w *watermark) wait(ctx context.Context, stopped <-chan struct{}, size uint64) bool {
	for {
		w.mu.Lock()
		reached, changed := w.size >= size, w.changed
		w.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-changed:
		case <-stopped:
			return w.covers(size)
		case <-ctx.Done():
			return false
		}
	}
}
