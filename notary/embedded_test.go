package notary_test

import (
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
)

// embedded is a service over the real log and the real store.
type embedded struct {
	*world
	dir      string
	signer   note.Signer
	verifier note.Verifier
	tlog     *tesseralog.Log
}

func newEmbedded(tb testing.TB, change ...func(*notary.Config)) *embedded {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	must(tb, err)
	e := &embedded{dir: tb.TempDir(), world: &world{t: tb, clock: &testClock{now: start}, key: newKey(tb)}}
	e.signer, err = note.NewSigner(skey)
	must(tb, err)
	e.verifier, err = note.NewVerifier(vkey)
	must(tb, err)
	e.path = filepath.Join(e.dir, "notary.db")
	must(tb, store.Create(e.path))
	must(tb, tesseralog.Create(tb.Context(), e.logDir(), e.signer))
	logKey, err := receipt.ParseLogKey(vkey)
	must(tb, err)
	e.cfg = notary.Config{Key: e.key, LogKey: logKey, Policy: []byte("log " + vkey + "\nquorum none\n"), Clock: e.clock.Now}
	for _, f := range change {
		f(&e.cfg)
	}
	e.start()
	tb.Cleanup(e.stop)
	return e
}

func (e *embedded) logDir() string { return filepath.Join(e.dir, "log") }

func (e *embedded) start() {
	e.t.Helper()
	e.openStore()
	var err error
	e.tlog, err = tesseralog.Open(e.t.Context(), tesseralog.Config{
		Dir: e.logDir(), Signer: e.signer, Verifier: e.verifier, Marks: e.db,
	})
	must(e.t, err)
	e.cfg.Log, e.cfg.Store = e.tlog, e.db
	e.Service, err = notary.Open(e.t.Context(), e.cfg)
	must(e.t, err)
}

// stop shuts down in the documented order.
func (e *embedded) stop() {
	ctx := e.t.Context()
	if ctx.Err() != nil { // in a cleanup
		ctx = testContext()
	}
	e.check(e.Close(ctx))
	e.check(e.tlog.Close(ctx))
	e.check(e.db.Close())
}

func TestEmbedded(t *testing.T) {
	e := newEmbedded(t)
	s, h := e.manager(trial.Registry{"nct": "NCT01234567"})
	const n = 300
	results := make([]*notary.Result, n)
	envs := make([]*trial.Envelope, n)
	for i := range envs {
		envs[i] = s.dataset(h, "701", string(rune('a'+i%26)))
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if results[i], err = e.Submit(t.Context(), envs[i], nil); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { // a second caller with the same act
			if _, err := e.Submit(t.Context(), envs[i], nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	e.verified(results[n-1])
	e.clock.Add(markInterval)
	e.stop()
	e.start()
	sameReceipt(t, results[0], e.submit(again(t, h.key, envs[0])))
	e.submit(s.dataset(h, "704", "after a restart"))
	report, err := e.Check(t.Context())
	must(t, err)
	want := notary.CheckReport{Entries: n + 5, Statements: n + 5, Marks: 2, Trials: 1}
	if report != want {
		t.Errorf("got report %+v, want %+v", report, want)
	}
}

// BenchmarkSubmit measures the whole path in process, with the statements signed
// in advance. Compare with BenchmarkVerifySignature, its largest part.
func BenchmarkSubmit(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(inFlight(callers), func(b *testing.B) {
			stages := &stageTimes{total: make(map[notary.Stage]time.Duration)}
			e := newEmbedded(b, func(c *notary.Config) { c.Observer, c.Clock = stages, nil })
			s, h := e.manager(nil)
			envs := make([]*trial.Envelope, b.N)
			for i := range envs {
				envs[i] = s.dataset(h, "701", "dm")
			}
			stages.reset()
			b.ResetTimer()
			var wg sync.WaitGroup
			next := make(chan *trial.Envelope, callers)
			for range callers {
				wg.Go(func() {
					for env := range next {
						if _, err := e.Submit(b.Context(), env, nil); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for _, env := range envs {
				next <- env
			}
			close(next)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
			for stage, total := range stages.total {
				b.ReportMetric(float64(total.Microseconds())/float64(stages.count[stage]), string(stage)+"-µs")
			}
		})
	}
}

// BenchmarkVerifySignature is the bare P-256 verification of one statement.
func BenchmarkVerifySignature(b *testing.B) {
	s := newStudy(b, nil)
	key := public(b, s.sponsor)
	for b.Loop() {
		must(b, s.charter.Verify(key))
	}
}
