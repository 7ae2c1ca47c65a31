//go:build linux

package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// newBench is a run over the real servers: notaryd is built here, Rekor's by
// `make e2etools`.
func newBench(t *testing.T) (*bench, *pool) {
	t.Helper()
	rekor, err := exec.LookPath("rekor-server")
	if err != nil {
		t.Fatalf("finding rekor-server (make e2etools builds it): %v", err)
	}
	dir := t.TempDir()
	b := &bench{
		options: options{notaryd: filepath.Join(dir, "notaryd"), rekor: rekor, rounds: 1, duration: 3 * time.Second, quick: true},
		out:     io.Discard, progress: io.Discard, scratch: dir, began: time.Now(),
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", b.notaryd, "./cmd/notaryd")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building notaryd: %v: %s", err, out)
	}
	if b.id, err = newIdentity(b.began); err != nil {
		t.Fatal(err)
	}
	p, err := newPool(b.id, 30, 1, b.began)
	if err != nil {
		t.Fatal(err)
	}
	return b, p
}

// TestLoad drives each kind of server. It says nothing about time: every
// statement must have got one verified answer.
func TestLoad(t *testing.T) {
	b, p := newBench(t)
	for _, v := range []variant{unary, stream, tlsRow, best} {
		t.Run(v.name, func(t *testing.T) {
			f, err := b.with(t.Context(), v, p, 12, func(l *load, server *process) (figures, error) {
				return l.runAll(t.Context(), server)
			})
			if err != nil {
				t.Fatal(err)
			}
			checkFigures(t, f)
			if f.Receipts != p.size() || f.All != int64(p.size()) {
				t.Errorf("got %d receipts measured and %d verified of %d statements", f.Receipts, f.All, p.size())
			}
		})
	}
	t.Run("for a time", func(t *testing.T) {
		long, err := newPool(b.id, 20_000, 1, b.began)
		if err != nil {
			t.Fatal(err)
		}
		f, err := b.once(t.Context(), unary, long, 12)
		if err != nil {
			t.Fatal(err)
		}
		checkFigures(t, f)
		if f.All < int64(f.Receipts) || f.All > int64(long.size()) {
			t.Errorf("got %d receipts measured and %d verified", f.Receipts, f.All)
		}
	})
	if left, err := os.ReadDir(b.scratch); err != nil || len(left) != 1 {
		t.Errorf("got %v (%v) left of the runs, want only the program that was built", left, err)
	}
}

func checkFigures(t *testing.T, f figures) {
	t.Helper()
	if f.Receipts == 0 || f.Rate <= 0 || f.P50 <= 0 || f.P99 < f.P50 || f.P999 < f.P99 || f.Peak <= 0 {
		t.Errorf("figures are missing or out of order: %+v", f)
	}
}

// serve starts one server of a variant and dials it.
func serve(t *testing.T, b *bench, p *pool, v variant) server {
	t.Helper()
	s, err := v.start(t.Context(), b, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.dial(1, p); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWrongAnswers proves that the generator verifies: what is not the receipt
// of the statement at hand ends a run.
func TestWrongAnswers(t *testing.T) {
	b, p := newBench(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Run("notaryd", func(t *testing.T) {
		n, _ := serve(t, b, p, unary).(*notaryd)
		var got *notaryv1.Receipt
		n.keep = func(r *notaryv1.Receipt) { got = r }
		if err := n.submit(ctx, 0, 0); err != nil {
			t.Fatal(err)
		}
		other := p.envelope(signers)
		if err := n.verify(signers, &other, got); err == nil {
			t.Error("took the receipt of another statement")
		}
	})
	t.Run("rekor", func(t *testing.T) {
		r, _ := serve(t, b, p, best).(*rekor)
		good, err := r.create(ctx, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		env, other := p.envelope(0), p.envelope(signers)
		want := receipt.Entry(&env, p.key(0))
		if err := r.verify(good, want); err != nil {
			t.Fatal(err)
		}
		if err := r.verify(good, receipt.Entry(&other, p.key(signers))); err == nil {
			t.Error("took the answer for another statement")
		}
		for name, change := range map[string]func(*rekorv1.TransparencyLogEntry){
			"index":      func(e *rekorv1.TransparencyLogEntry) { e.LogIndex++ },
			"both":       func(e *rekorv1.TransparencyLogEntry) { e.LogIndex++; e.InclusionProof.LogIndex++ },
			"size":       func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof.TreeSize++ },
			"root":       func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof.RootHash[0] ^= 1 },
			"checkpoint": func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof.Checkpoint.Envelope += "x" },
			"no proof":   func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof = nil },
		} {
			bad, _ := proto.Clone(good).(*rekorv1.TransparencyLogEntry)
			change(bad)
			if err := r.verify(bad, want); err == nil {
				t.Errorf("took an answer with another %s", name)
			}
		}
	})
}

// TestPool: every statement of a pool is another one, and renewing makes all of
// them new.
func TestPool(t *testing.T) {
	id, err := newIdentity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPool(id, 50, 3, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 2 {
		for i := range p.size() {
			env := p.envelope(i)
			if err := env.Verify(p.key(i)); err != nil {
				t.Errorf("statement %d: %v", i, err)
			}
			if seen[string(env.Payload)] {
				t.Errorf("statement %d is there twice", i)
			}
			seen[string(env.Payload)] = true
		}
		if err := p.renew(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, args := range [][]string{{"-inflight", "0"}, {"-inflight", "1,x"}, {"-only", "("}, {"-rounds", "many"}, {"-nothing"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("took %q", args)
		}
	}
}
