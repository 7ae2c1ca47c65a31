package faults

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestOneStatementFromManyCallers sends one statement 10,000 times at once, over
// several connections, every other time with another valid signature over the
// same payload. There is one entry, and everybody gets its receipt.
func TestOneStatementFromManyCallers(t *testing.T) {
	const connections, each = 10, 1000
	n := newNotary(t, filepath.Join(t.TempDir(), "n"), "")
	first := n.sign(t)
	other, err := trial.Sign(n.key, first.Payload)
	must(t, err)
	s := n.start(t)
	before := n.site()
	before.dial(t, s)
	size := before.logSize(t)

	got := make([]*notaryv1.Receipt, connections*each)
	var refused int
	var mu sync.Mutex // guards refused
	var wait sync.WaitGroup
	begin := make(chan struct{})
	for conn := range connections {
		c := n.site()
		c.dial(t, s)
		for i := range each {
			env := first
			if i%2 == 1 {
				env = other
			}
			wait.Go(func() {
				<-begin
				for got[conn*each+i] == nil && !t.Failed() {
					r, err := c.submit(env)
					if err == nil {
						got[conn*each+i] = r
						return
					}
					if _, comeBack := reasonOf(err); !comeBack && status.Code(err) != codes.DeadlineExceeded {
						t.Errorf("not answered, and not told to come back: %v", err)
					}
					mu.Lock()
					refused++
					mu.Unlock()
					time.Sleep(time.Second) // as the answer asks
				}
			})
		}
	}
	began := time.Now()
	close(begin)
	wait.Wait()
	t.Logf("%d receipts in %v; told to come back %d times", len(got), time.Since(began).Round(time.Millisecond), refused)
	sig := ""
	for i, g := range got {
		r, err := receipt.Parse([]byte(g.GetBundle()))
		must(t, err)
		if i == 0 {
			sig = string(r.Envelope.Sig)
		}
		if at := got[0].GetLogIndex(); g.GetLogIndex() != at || r.Index != at || string(r.Envelope.Sig) != sig {
			t.Fatalf("caller %d has the receipt of index %d, the first has that of index %d", i, g.GetLogIndex(), at)
		}
	}
	if more := before.logSize(t) - size; more < 1 || more > 2 {
		t.Errorf("the log grew by %d entries, want 1 and a time mark at most", more)
	}
	s.kill()
	n.check(t)
}

// logSize returns the size of the newest checkpoint.
func (c *site) logSize(t *testing.T) uint64 {
	t.Helper()
	r, err := c.api().GetCheckpoint(c.ctx, &notaryv1.GetCheckpointRequest{})
	must(t, err)
	return r.GetSize()
}
