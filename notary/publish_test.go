package notary

import (
	"errors"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

type emptyLog struct{ Log }

func (emptyLog) Checkpoint() receipt.Checkpoint { return receipt.Checkpoint{} }

// TestPublishTooLate: an act may outlive the placer where a shutdown is forced. Its
// callers are answered by the publisher or told to come again, and each of them once.
func TestPublishTooLate(t *testing.T) {
	for range 200 {
		s := &Service{log: emptyLog{}, callers: newGate(100)}
		s.published = publisher{wake: make(chan struct{}, 1), mu: &s.mu}
		var mu sync.Mutex
		seen, late := map[*submission]int{}, 0
		publisher := make(chan struct{})
		go func() {
			defer close(publisher)
			for {
				_, waits, over := s.published.next()
				if over {
					return
				}
				if !waits {
					<-s.published.wake
					continue
				}
				for _, w := range s.published.take(everyone) {
					mu.Lock()
					seen[w]++
					mu.Unlock()
				}
			}
		}()
		var adding sync.WaitGroup
		const each = 8
		for range each {
			w := &submission{ctx: t.Context(), act: &act{record: &Record{Index: 5}}}
			w.Done = func(_ *Result, err error) {
				mu.Lock()
				defer mu.Unlock()
				seen[w]++
				late++
				if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errClosing) {
					t.Errorf("got %v, want that the service closes", err)
				}
			}
			adding.Go(func() { s.publish([]*submission{w}) })
		}
		s.published.close()
		<-publisher
		adding.Wait()
		w := &submission{ctx: t.Context(), act: &act{record: &Record{Index: 5}}}
		w.Done = func(*Result, error) { seen[w]++ }
		s.publish([]*submission{w}) // surely too late
		if len(seen) != each+1 {
			t.Fatalf("%d of %d have an answer, %d of them too late", len(seen), each+1, late)
		}
		for _, n := range seen {
			if n != 1 {
				t.Fatalf("one was answered %d times", n)
			}
		}
	}
}
