package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func testState(tb testing.TB) *State {
	tb.Helper()
	s, err := OpenState(tb.TempDir())
	must(tb, err)
	return s
}

// pendingItems releases every batch again.
func pendingItems(tb testing.TB, s *State) []Item {
	tb.Helper()
	batches, err := s.Pending()
	must(tb, err)
	var items []Item
	for _, b := range batches {
		items = append(items, b.Unanswered()...)
		must(tb, b.Release())
	}
	return items
}

func TestSubmit(t *testing.T) {
	n := newTestNotary(t)
	s := testState(t)
	c := n.dial(Options{State: s})
	key := n.open(c)
	env := n.dataset(key, "a")
	r, err := c.Submit(context.Background(), n.trust, env)
	must(t, err)
	if !r.Complete() || r.StatementID != StatementID(env) || r.Verdict.Statement == nil {
		t.Errorf("got %+v", r)
	}
	name := filepath.Join(t.TempDir(), "dm.csv")
	must(t, r.WriteFiles(name))
	parsed, ev, err := ReadReceipt(name + ReceiptSuffix)
	must(t, err)
	if v := receipt.Verify(parsed, ev, n.trust, nil); !v.Verified {
		t.Errorf("the written receipt: %s", v.Summary)
	}
	if left := pendingItems(t, s); len(left) != 0 {
		t.Errorf("got %d statements left, want none", len(left))
	}
	// The same statement again has the same receipt.
	again, err := c.Submit(context.Background(), n.trust, env)
	must(t, err)
	if again.Index != r.Index {
		t.Errorf("got index %d, want %d", again.Index, r.Index)
	}
	must(t, again.WriteFiles(name))
	other, err := c.Submit(context.Background(), n.trust, n.dataset(key, "b"))
	must(t, err)
	if err := other.WriteFiles(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("another statement's receipt: got %v, want ErrExist", err)
	}
	fetched, err := c.Receipt(context.Background(), n.trust, r.StatementID)
	must(t, err)
	if fetched.Index != r.Index {
		t.Errorf("fetched: got index %d, want %d", fetched.Index, r.Index)
	}
}

// Every way in which an answer can fail to come, and the same bytes each time.
func TestSubmitSendsTheSameBytes(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	for what, fault := range map[string]func(){
		"pushed back":     func() { n.before = failFirst(3, unavailable(time.Second)) },
		"answer lost":     func() { n.after = loseFirst(3, status.Error(codes.Unavailable, "connection reset")) },
		"deadline passed": func() { n.after = loseFirst(1, status.Error(codes.DeadlineExceeded, "late")) },
		"exhausted":       func() { n.before = failFirst(2, status.Error(codes.ResourceExhausted, "slow down")) },
	} {
		n.before, n.after, n.arrived = nil, nil, 0
		fault()
		env := n.dataset(key, what)
		r, err := c.Submit(context.Background(), n.trust, env)
		if err != nil || !r.Complete() {
			t.Errorf("%s: got %v, want a receipt", what, err)
		}
		if got := len(n.envelopes); got != len(n.payloads) {
			t.Errorf("%s: got %d envelopes for %d statements, want one each", what, got, len(n.payloads))
		}
		if n.payloads[string(env.Payload)] < 2 {
			t.Errorf("%s: sent %d times, want again", what, n.payloads[string(env.Payload)])
		}
	}
}

func failFirst(k int, err error) func(int) error {
	return func(n int) error {
		if n <= k {
			return err
		}
		return nil
	}
}

func loseFirst(k int, err error) func(int, *notaryv1.Receipt) (*notaryv1.Receipt, error) {
	return func(n int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) {
		if n <= k {
			return nil, err
		}
		return r, nil
	}
}

func TestRefusalIsAnAnswer(t *testing.T) {
	n := newTestNotary(t)
	s := testState(t)
	c := n.dial(Options{State: s})
	n.open(c)
	stranger := newTestKey(t)
	book, err := ReadAuthority(n.trust)
	must(t, err)
	if _, err := book.Signer(stranger.pub.ID, ""); err == nil {
		t.Error("a stranger has a printed name, want none")
	}
	d := &Draft{
		Subjects: []trial.Subject{{Name: "a", Digests: trial.SHA256([32]byte{0xab})}},
		Predicate: trial.Predicate{
			Charter: n.trust.Charter, Kind: trial.KindDataset, Meaning: trial.MeaningAuthorship,
			Signer: trial.Signer{KeyID: stranger.pub.ID, Name: "Nobody", Role: trial.RoleDataManager, Organisation: "None"},
			Body:   &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine},
		},
	}
	env, err := d.Sign(stranger.priv, time.Now(), "UTC")
	must(t, err)
	_, err = c.Submit(context.Background(), n.trust, env)
	var refused *Refused
	if !errors.As(err, &refused) || refused.Reason != trial.ReasonUnknownKey {
		t.Errorf("got %v, want UNKNOWN_KEY", err)
	}
	if n.arrived != 1 {
		t.Errorf("sent %d times, want once", n.arrived)
	}
	if left := pendingItems(t, s); len(left) != 0 {
		t.Errorf("got %d statements left, want none", len(left))
	}
}

func TestUnansweredStaysForTheNextRun(t *testing.T) {
	n := newTestNotary(t)
	dir := t.TempDir()
	s, err := OpenState(dir)
	must(t, err)
	c := n.dial(Options{State: s, Attempts: 2})
	key := n.open(c)
	env := n.dataset(key, "a")
	// The notary logs it, and every answer is lost.
	n.after = loseFirst(1000, status.Error(codes.Unavailable, "lost"))
	if _, err := c.Submit(context.Background(), n.trust, env); !errors.Is(err, ErrUnanswered) {
		t.Fatalf("got %v, want ErrUnanswered", err)
	}
	n.after = nil
	again, err := OpenState(dir)
	must(t, err)
	batches, err := again.Pending()
	must(t, err)
	if len(batches) != 1 || string(batches[0].Items[0].Envelope.Marshal()) != string(env.Marshal()) {
		t.Fatalf("got %d batches, want the one with the same bytes", len(batches))
	}
	// Nobody else takes it over meanwhile.
	if twice, err := again.Pending(); err != nil || len(twice) != 0 {
		t.Errorf("got %d batches a second time, %v, want none", len(twice), err)
	}
	c = n.dial(Options{State: again})
	got := 0
	must(t, c.SubmitBatch(context.Background(), n.trust, batches[0], func(_ Item, r *Receipt, err error) error {
		got++
		return err
	}))
	must(t, batches[0].Release())
	if got != 1 || len(pendingItems(t, again)) != 0 {
		t.Errorf("got %d answers and %d left, want 1 and none", got, len(pendingItems(t, again)))
	}
}

// A bad receipt is never success, whatever is wrong with it.
func TestBadReceiptIsNoSuccess(t *testing.T) {
	n := newTestNotary(t)
	n.whole = true
	c := n.dial(Options{})
	key := n.open(c)
	other, err := c.Submit(context.Background(), n.trust, n.dataset(key, "other"))
	must(t, err)
	for what, change := range map[string]func(r *notaryv1.Receipt){
		"another statement's": func(r *notaryv1.Receipt) { r.Bundle = string(other.Bundle) },
		"other id":            func(r *notaryv1.Receipt) { r.StatementId = other.StatementID.String() },
		"other index":         func(r *notaryv1.Receipt) { r.LogIndex++ },
		"empty":               func(r *notaryv1.Receipt) { r.Bundle = "" },
		"cut":                 func(r *notaryv1.Receipt) { r.Bundle = r.GetBundle()[:len(r.GetBundle())-2] },
		"bad evidence":        func(r *notaryv1.Receipt) { r.Evidence, r.EvidenceSha256 = "{}", "" },
		"other evidence":      func(r *notaryv1.Receipt) { r.Evidence = "{}" },
		"evidence left out":   func(r *notaryv1.Receipt) { r.Evidence = "" },
		"bad proof": func(r *notaryv1.Receipt) {
			i := strings.Index(r.GetBundle(), `"hashes":["`) + len(`"hashes":["`)
			b := []byte(r.GetBundle())
			b[i] = 'A' + (b[i]-'A'+1)%26
			r.Bundle = string(b)
		},
	} {
		n.after = func(_ int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) { change(r); return r, nil }
		r, err := c.Submit(context.Background(), n.trust, n.dataset(key, what))
		if !errors.Is(err, ErrReceipt) || r != nil {
			t.Errorf("%s: got %v, want ErrReceipt", what, err)
		}
	}
	n.after = func(int, *notaryv1.Receipt) (*notaryv1.Receipt, error) { return nil, nil }
	if _, err := c.Submit(context.Background(), n.trust, n.dataset(key, "none")); !errors.Is(err, ErrReceipt) {
		t.Errorf("none: got %v, want ErrReceipt", err)
	}
}

func TestSubmitRefusesARolledBackLog(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{})
	key := n.open(c)
	old := n.service.Checkpoint().Note
	env := n.dataset(key, "a")
	first, err := c.Submit(context.Background(), n.trust, env)
	must(t, err)
	_, err = c.Submit(context.Background(), n.trust, n.dataset(key, "b"))
	must(t, err)
	// A notary that was restored from an older moment answers as it did then.
	n.after = func(int, *notaryv1.Receipt) (*notaryv1.Receipt, error) {
		return &notaryv1.Receipt{
			StatementId: first.StatementID.String(), LogIndex: first.Index, Bundle: string(first.Bundle), Evidence: string(first.Evidence),
		}, nil
	}
	n.checkpoint = old
	if _, err := c.Submit(context.Background(), n.trust, env); !errors.Is(err, ErrRolledBack) {
		t.Errorf("got %v, want ErrRolledBack", err)
	}
	if _, _, err := c.Checkpoint(context.Background(), n.trust); !errors.Is(err, ErrRolledBack) {
		t.Errorf("checkpoint: got %v, want ErrRolledBack", err)
	}
}

func TestSubmitMany(t *testing.T) {
	for what, fault := range map[string]func(n *testNotary){
		"no fault": func(*testNotary) {},
		"every third pushed back": func(n *testNotary) {
			n.before = func(k int) error {
				if k%3 == 0 && k < 60 {
					return unavailable(time.Millisecond)
				}
				return nil
			}
		},
		"every seventh answer lost": func(n *testNotary) {
			n.after = func(k int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) {
				if k%7 == 0 && k < 300 {
					return nil, status.Error(codes.Unavailable, "lost")
				}
				return r, nil
			}
		},
		// It reads no more until its answers are read.
		"narrow window": func(n *testNotary) { n.window = 8 },
		"streams cut": func(n *testNotary) {
			n.after = func(k int, r *notaryv1.Receipt) (*notaryv1.Receipt, error) {
				if k == 20 || k == 90 {
					return nil, errCut
				}
				return r, nil
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			n := newTestNotary(t)
			s := testState(t)
			c := n.dial(Options{State: s, MaxInFlight: 32})
			key := n.open(c)
			fault(n)
			submitMany(t, n, c, key, 120)
			if n.leftOut == 0 {
				t.Error("every receipt came with its evidence, though most were held")
			}
			if left := pendingItems(t, s); len(left) != 0 {
				t.Errorf("got %d statements left, want none", len(left))
			}
			if len(n.envelopes) != 120 {
				t.Errorf("got %d envelopes, want 120: nothing is signed twice", len(n.envelopes))
			}
		})
	}
}

func submitMany(t *testing.T, n *testNotary, c *Client, key *testKey, count int) {
	t.Helper()
	var items []Item
	for i := range count {
		items = append(items, Item{Envelope: n.dataset(key, fmt.Sprint(i)), Note: fmt.Sprint(i)})
	}
	var mu sync.Mutex
	indexes := map[uint64]string{}
	must(t, c.SubmitMany(context.Background(), n.trust, items, func(it Item, r *Receipt, err error) error {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("%s: %v", it.Note, err)
			return nil
		}
		if other, twice := indexes[r.Index]; twice {
			t.Errorf("index %d: answered for %s and %s", r.Index, other, it.Note)
		}
		indexes[r.Index] = it.Note
		if len(r.Evidence) == 0 {
			t.Errorf("%s: got no evidence", it.Note)
		}
		return nil
	}))
	if len(indexes) != count {
		t.Errorf("got %d receipts, want %d", len(indexes), count)
	}
}

// The caller's own error ends it, and what was not written down is pending.
func TestSubmitManyEndsOnTheCallersError(t *testing.T) {
	n := newTestNotary(t)
	s := testState(t)
	c := n.dial(Options{State: s, MaxInFlight: 4})
	key := n.open(c)
	var items []Item
	for i := range 20 {
		items = append(items, Item{Envelope: n.dataset(key, fmt.Sprint(i))})
	}
	full := errors.New("disk full")
	err := c.SubmitMany(context.Background(), n.trust, items, func(Item, *Receipt, error) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("got %v, want the caller's error", err)
	}
	if left := pendingItems(t, s); len(left) != 20 {
		t.Errorf("got %d statements left, want all 20", len(left))
	}
}

func TestSubmitManyCancelled(t *testing.T) {
	n := newTestNotary(t)
	s := testState(t)
	c := n.dial(Options{State: s, MaxInFlight: 4})
	key := n.open(c)
	ctx, cancel := context.WithCancel(context.Background())
	n.before = func(k int) error {
		if k == 2 {
			cancel()
		}
		<-ctx.Done()
		return status.Error(codes.Unavailable, "stopped")
	}
	items := []Item{{Envelope: n.dataset(key, "a")}, {Envelope: n.dataset(key, "b")}, {Envelope: n.dataset(key, "c")}}
	told := 0
	err := c.SubmitMany(ctx, n.trust, items, func(_ Item, _ *Receipt, err error) error {
		if !errors.Is(err, ErrUnanswered) {
			t.Errorf("got %v, want ErrUnanswered", err)
		}
		told++
		return nil
	})
	if !errors.Is(err, ErrUnanswered) || !errors.Is(err, context.Canceled) || told != 3 {
		t.Errorf("got %v, told %d times, want ErrUnanswered, cancelled, 3", err, told)
	}
	if left := pendingItems(t, s); len(left) != 3 {
		t.Errorf("got %d statements left, want 3", len(left))
	}
}

// A notary that takes statements and says nothing is not waited for for ever.
func TestSubmitManyToASilentNotary(t *testing.T) {
	n := newTestNotary(t)
	c := n.dial(Options{MaxInFlight: 64, Attempts: 2, AttemptTimeout: time.Second})
	key := n.open(c)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	n.window = 1
	n.before = func(int) error {
		<-release
		return status.Error(codes.Unavailable, "late")
	}
	var items []Item
	for i := range 64 {
		items = append(items, Item{Envelope: n.dataset(key, fmt.Sprint(i))})
	}
	err := c.SubmitMany(context.Background(), n.trust, items, func(Item, *Receipt, error) error { return nil })
	if !errors.Is(err, ErrUnanswered) {
		t.Errorf("got %v, want ErrUnanswered", err)
	}
}
