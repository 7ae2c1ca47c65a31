package receipt

import "sync"

// memory is a bounded map for many goroutines, which is emptied when full. What
// it holds follows from its keys alone, so forgetting changes no verdict.
type memory[K comparable, V any] struct {
	limit int

	mu sync.RWMutex
	// m holds what was put since it was emptied last. Guarded by mu.
	m map[K]V
}

func (m *memory[K, V]) get(k K) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.m[k]
	return v, ok
}

// getText is get without a copy of the key.
func getText[V any](m *memory[string, V], k []byte) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.m[string(k)]
	return v, ok
}

func (m *memory[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil || len(m.m) >= m.limit {
		m.m = map[K]V{}
	}
	m.m[k] = v
}
