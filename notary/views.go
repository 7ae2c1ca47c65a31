package notary

import (
	"container/list"
	"sync"
)

// views holds the folded views that were used last, within a bound of memory. One
// that is in use is never dropped.
type views struct {
	most int64 // bytes

	mu    sync.Mutex
	byKey map[string]*view
	used  *list.List // of *view, the newest first
	bytes int64
}

// place is where a view stands in views.
type place struct {
	pins    int
	element *list.Element
	bytes   int64 // as it was when it was last released
}

func newViews(most int64) *views {
	return &views{most: most, byKey: make(map[string]*view), used: list.New()}
}

// pin returns a view, made where there is none. One of an older position is the first
// to go: hardly anybody asks for it again, and it must not cost others what they use.
func (t *views) pin(of ViewOf, key string, older bool) *view {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.byKey[key]
	switch {
	case !ok:
		v = &view{of: of, key: key, turn: make(chan struct{}, 1), older: older}
		t.byKey[key] = v
		if older {
			v.place.element = t.used.PushBack(v)
			break
		}
		v.place.element = t.used.PushFront(v)
	case !older:
		t.used.MoveToFront(v.place.element)
	}
	v.place.pins++
	return v
}

// release tells how much memory a view takes now. The holder of its turn calls it.
func (t *views) release(v *view) {
	if v.fold == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += v.fold.Bytes() - v.place.bytes
	v.place.bytes = v.fold.Bytes()
}

// unpin drops the views that were unused for longest while there are too many
// bytes. The newest stays, however large, as long as nobody wants another.
func (t *views) unpin(v *view) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v.place.pins--
	if v.place.pins == 0 && v.place.bytes == 0 {
		t.remove(v) // nothing was folded
	}
	for e := t.used.Back(); e != nil && e != t.used.Front() && t.bytes > t.most; {
		oldest, ok := e.Value.(*view)
		e = e.Prev()
		if ok && oldest.place.pins == 0 {
			t.remove(oldest)
		}
	}
}

func (t *views) remove(v *view) {
	t.used.Remove(v.place.element)
	delete(t.byKey, v.key)
	t.bytes -= v.place.bytes
}

// held returns the number of views and about how many bytes they take.
func (t *views) held() (n int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byKey), t.bytes
}
