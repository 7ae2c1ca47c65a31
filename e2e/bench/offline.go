//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// archive is what a sponsor holds years later: receipts with their evidence, the
// digests of the files, and the trust folder.
type archive struct {
	trust    *receipt.Trust
	receipts []archived
	files    map[string][]receipt.File // by statement id
}

// archived is a receipt and its evidence as they lie on a disk.
type archived struct {
	id               string
	bundle, evidence []byte
}

func offlineName(cores int) string {
	return fmt.Sprintf("offline verifications/s on %d core(s); bare P-256", cores)
}

// measureOffline verifies distinct receipts from their bytes to the verdict, on
// one core and on all, against bare signature verifications in turns.
func (b *bench) measureOffline(ctx context.Context) error {
	count := 4000
	if b.quick {
		count = 1000
	}
	a, err := b.collect(ctx, count)
	if err != nil {
		return err
	}
	for _, n := range []int{1, cores} {
		previous := runtime.GOMAXPROCS(n)
		err := b.offlineOn(a, n)
		runtime.GOMAXPROCS(previous)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) offlineOn(a *archive, n int) error {
	for range 2*b.rounds + 1 {
		bare, bareCPU, err := a.verifyBare(n)
		if err != nil {
			return err
		}
		rate, cpu, err := a.verifyAll(n)
		if err != nil {
			return err
		}
		b.logf("offline on %d cores: %.0f/s, bare P-256 %.0f/s", n, rate, bare)
		b.result.pair(offlineName(n), pair{rate, bare, cpu, bareCPU})
	}
	return nil
}

// collect submits statements and keeps what a site would keep.
func (b *bench) collect(ctx context.Context, count int) (*archive, error) {
	p, err := newPool(b.id, count, 1, b.began)
	if err != nil {
		return nil, err
	}
	a := &archive{files: map[string][]receipt.File{}}
	var mu sync.Mutex
	v := unary
	v.start = func(ctx context.Context, b *bench, dir string) (server, error) {
		s, err := unary.start(ctx, b, dir)
		if n, ok := s.(*notaryd); ok && err == nil {
			a.trust = n.trust
			n.keep = func(r *notaryv1.Receipt, text []byte) {
				mu.Lock()
				defer mu.Unlock()
				a.receipts = append(a.receipts, archived{r.GetStatementId(), text, []byte(r.GetEvidence())})
			}
		}
		return s, err
	}
	f, err := b.with(ctx, v, p, 1024, func(l *load, server *process) (figures, error) { return l.runAll(ctx, server) })
	if err != nil {
		return nil, err
	}
	if f.Receipts != count || len(a.receipts) != count {
		return nil, fmt.Errorf("got %d receipts, want %d", len(a.receipts), count)
	}
	for i := range p.size() {
		file, id, err := p.file(i)
		if err != nil {
			return nil, err
		}
		a.files[id] = []receipt.File{file}
	}
	b.result.Payload = p.length
	b.result.Bundle, b.result.Evidence = len(a.receipts[0].bundle), len(a.receipts[0].evidence)
	return a, nil
}

// file is what the i-th statement is about, and the statement's id.
func (p *pool) file(i int) (receipt.File, string, error) {
	st, err := trial.ParseStatement(p.payload(i))
	if err != nil {
		return receipt.File{}, "", err
	}
	f := receipt.File{Name: st.Subjects[0].Name, Size: 1}
	f.SHA256, _ = st.Subjects[0].Digests.Get(trial.DigestSHA256)
	return f, st.ID.String(), nil
}

// verifyAll verifies every receipt once with one verifier that knows none of
// them, and returns how many it did a second, by the clock and of CPU time.
func (a *archive) verifyAll(n int) (byClock, byCPU float64, err error) {
	v := receipt.NewVerifier(a.trust)
	return onCores(n, len(a.receipts), func(i int) error { return a.verify(v, a.receipts[i]) })
}

// onCores calls f for every number below count, each of n goroutines taking the
// next one when it is done with its last: where another program has a core for a
// while, the other one does more, as with any program that verifies many. It
// returns the calls a second, by the clock and of CPU time.
func onCores(n, count int, f func(i int) error) (byClock, byCPU float64, err error) {
	var g errgroup.Group
	var next atomic.Int64
	began, cpu := time.Now(), ownCPU()
	for range n {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return nil
				}
				if err := f(i); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return 0, 0, err
	}
	return float64(count) / time.Since(began).Seconds(), float64(count) / (ownCPU() - cpu).Seconds(), nil
}

// verifyBare verifies a signature as often, and in the same way.
func (a *archive) verifyBare(n int) (byClock, byCPU float64, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, 0, err
	}
	digest := sha256.Sum256([]byte("the figure that no notary exceeds"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return 0, 0, err
	}
	return onCores(n, len(a.receipts), func(int) error {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			return errors.New("a good signature does not verify")
		}
		return nil
	})
}

func (a *archive) verify(v *receipt.Verifier, r archived) error {
	verdict, err := v.VerifyText(r.bundle, r.evidence, a.files[r.id])
	if err != nil {
		return err
	}
	if !verdict.Verified {
		return errors.New("a good receipt does not verify: " + verdict.Summary)
	}
	return nil
}
