package notary

import (
	"fmt"
	"sync"
	"time"
)

const (
	// roomAge is how long a measured free space is used.
	roomAge = 100 * time.Millisecond
	// roomFixed and roomFactor estimate, from above, what one of many statements
	// in flight writes before its receipt: its pages in the database's
	// write-ahead log, its entry and the hashes over it, and its envelope in log
	// and database, or once in the file of large payloads beside that. What a statement alone in its batch writes beyond that, some
	// hundred KiB, is for the reserve.
	roomFixed  = 16 << 10
	roomFactor = 3
)

// room keeps a reserve of disk space: a statement is begun only if it and all in
// flight fit above the reserve. So a disk that fills up stops new statements
// while those in flight still end well, and the log and the database are never
// cut in the middle of a write.
type room struct {
	// measure returns the free bytes; nil: there is always room.
	measure func() (uint64, error)
	reserve uint64

	mu sync.Mutex
	// free was measured at at. claimed is what the statements in flight may
	// still write, and spent what those that ended since may have written.
	free           uint64
	at             time.Time
	claimed, spent uint64
}

// claim takes the room that a statement of so many bytes needs and returns it,
// or fails with ErrStoreFull.
func (r *room) claim(size int) (uint64, error) {
	if r.measure == nil {
		return 0, nil
	}
	n := uint64(roomFixed + roomFactor*size)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.at) >= roomAge {
		free, err := r.measure()
		if err != nil {
			// Health says so. Whether there is room shows when it is written.
			return 0, nil
		}
		r.free, r.at, r.spent = free, now, 0
	}
	if need := r.reserve + r.claimed + r.spent + n; r.free < need {
		return 0, fmt.Errorf("%w: %d MiB are free, %d MiB are kept in reserve", ErrStoreFull, r.free>>20, r.reserve>>20)
	}
	r.claimed += n
	return n, nil
}

// release gives back what claim returned, once the statement has its end.
func (r *room) release(n uint64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claimed -= n
	r.spent += n
}
