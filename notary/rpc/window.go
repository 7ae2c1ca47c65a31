package rpc

import "sync"

// placeSize is how many bytes of a statement one place of the window holds, so
// that the window bounds what a stream keeps in memory and not only its number.
const placeSize = 4 << 10

// window bounds what is in flight on one stream. Only one goroutine takes places,
// so that two requests never wait for each other's.
type window struct {
	size  int
	freed chan struct{} // holds a value where places became free

	// mu guards free.
	mu   sync.Mutex
	free int
}

func newWindow(size int) *window {
	return &window{size: size, free: size, freed: make(chan struct{}, 1)}
}

// placesOf returns how many places a request takes.
func (w *window) placesOf(req submission) int {
	size := len(req.GetEnvelope().GetPayload())
	return min(w.size, max(1, (size+placeSize-1)/placeSize))
}

// take takes places if so many are free, else none.
func (w *window) take(places int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free < places {
		return false
	}
	w.free -= places
	return true
}

func (w *window) leave(places int) {
	w.mu.Lock()
	w.free += places
	w.mu.Unlock()
	tell(w.freed)
}
