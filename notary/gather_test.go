package notary

import (
	"testing"
	"time"
)

// committing returns as much of a Service as its committer takes from.
func committing(t *testing.T, c Config, acts int) *Service {
	t.Helper()
	s := &Service{cfg: c, acts: newGate(acts), queue: make(chan *act, 8), full: make(chan struct{}, 1)}
	for range acts {
		if err := s.acts.enter(1); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestGatherTakesAWholeBatchAtOnce(t *testing.T) {
	s := committing(t, Config{Linger: time.Hour, BatchSize: 3}, 4)
	go func() {
		s.enqueue(new(act))
		s.enqueue(new(act))
	}()
	if got := s.gather(new(act)); len(got) != 3 {
		t.Errorf("got %d statements, want 3", len(got))
	}
}

func TestGatherDoesNotWaitForOne(t *testing.T) {
	s := committing(t, Config{Linger: time.Hour, BatchSize: 3}, 1)
	a := new(act)
	if got := s.gather(a); len(got) != 1 || got[0] != a {
		t.Errorf("got %d statements, want the one", len(got))
	}
}

func TestLinger(t *testing.T) {
	const one = 5 * time.Millisecond
	for _, tc := range []struct {
		name   string
		linger time.Duration
		acts   int
		want   time.Duration
	}{
		{"nothing else in flight", one, 1, 0},
		{"two", one, 2, one},
		{"thousands", one, 9000, one},
		{"off", -1, 900, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := committing(t, Config{Linger: tc.linger, BatchSize: 1024}, tc.acts)
			if got := s.linger(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
