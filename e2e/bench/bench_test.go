//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// program is notaryd, built once for all tests here.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bench-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "notaryd")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", bin, "./cmd/notaryd")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return bin, fmt.Errorf("building notaryd: %w: %s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, _ := program(); bin != "" {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// programs are the servers: notaryd is built here, Rekor's by `make e2etools`.
func programs(t *testing.T) (notaryd, rekor string) {
	t.Helper()
	notaryd, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if rekor, err = exec.LookPath("rekor-server"); err != nil {
		t.Fatalf("finding rekor-server (make e2etools builds it): %v", err)
	}
	return notaryd, rekor
}

// newBench is a run over the real servers, and a few statements for it.
func newBench(t *testing.T) (*bench, *pool) {
	t.Helper()
	o := options{rounds: 1, duration: time.Second, quick: true}
	o.notaryd, o.rekor = programs(t)
	b := &bench{options: o, out: io.Discard, progress: io.Discard, scratch: t.TempDir(), began: time.Now(), result: &result{}}
	var err error
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
	if left, err := os.ReadDir(b.scratch); err != nil || len(left) != 0 {
		t.Errorf("got %v (%v) left of the runs, want nothing", left, err)
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
		n.keep = func(r *notaryv1.Receipt, _ []byte) { got = r }
		if err := n.submit(n.authorised(ctx), 0, 0); err != nil {
			t.Fatal(err)
		}
		env, other := p.envelope(0), p.envelope(signers)
		if err := n.verify(0, &env, "", got); err != nil {
			t.Fatal(err)
		}
		if err := n.verify(signers, &other, "", got); err == nil {
			t.Error("took the receipt of another statement")
		}
		got.GetProof().GetHashes()[0][0] ^= 1
		if err := n.verify(0, &env, "", got); err == nil {
			t.Error("took an altered proof")
		}
		got.GetProof().GetHashes()[0][0] ^= 1
		proof := got.GetProof()
		got.Proof = nil
		if err := n.verify(0, &env, "", got); err == nil {
			t.Error("took an answer without a proof")
		}
		got.Proof = proof
		got.Evidence += " "
		if err := n.verify(0, &env, "", got); err == nil {
			t.Error("took other evidence")
		}
		got.Evidence = ""
		if err := n.verify(0, &env, "", got); err == nil {
			t.Error("took a receipt without its evidence")
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

// TestRun runs whole sections as `make bench` does, small ones.
func TestRun(t *testing.T) {
	notaryd, rekor := programs(t)
	for _, c := range []struct {
		name   string
		flags  []string
		ratios int
	}{
		{"a large log, made and kept", []string{"-only", "^large$", "-entries", "300", "-rounds", "1", "-time", "1s"}, 4},
		{"a monitor", []string{"-only", "^monitor$", "-entries", "300", "-rounds", "1"}, 3},
		{"offline", []string{"-only", "^offline$", "-quick"}, 2},
		{"content digests", []string{"-only", "^digest$", "-quick"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var out bytes.Buffer
			flags := slices.Concat(c.flags, []string{"-notaryd", notaryd, "-rekor", rekor, "-dir", dir})
			if err := run(t.Context(), flags, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "bench-*.json"))
			if err != nil || len(files) != 1 {
				t.Fatalf("got %v (%v), want one file of results", files, err)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			var r result
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			if len(r.Ratios) != c.ratios {
				t.Errorf("got the ratios %+v, want %d", r.Ratios, c.ratios)
			}
			for _, x := range r.Ratios {
				if !strings.Contains(out.String(), x.Name) {
					t.Errorf("the ratio %q is not printed in\n%s", x.Name, out.String())
				}
			}
		})
	}
}

// TestNothingToMeasure: a run that would measure nothing says so.
func TestNothingToMeasure(t *testing.T) {
	for _, flags := range [][]string{{"-only", "nothing"}, {"-quick", "-only", "^monitor$"}} {
		if err := run(t.Context(), append(flags, "-dir", t.TempDir()), io.Discard, io.Discard); err == nil {
			t.Errorf("%q: got no error", flags)
		}
	}
}

// TestRatios holds the arithmetic of the table against numbers made up for it.
func TestRatios(t *testing.T) {
	r := &result{}
	for _, x := range []float64{9, 10, 30} {
		r.add(unary.name, 8192, figures{Rate: 100 * x, Server: 100, Generator: 100})
		r.add(best.name, 8192, figures{Rate: 50 * x, Server: 300, Generator: 100})
		r.pair(hashingName, pair{x, 10, 2 * x, 10})
	}
	want := map[string][2]string{
		"unary / Rekor v2, 8,192 in flight":    {"2.00 below", "2.00 below"},
		"hashing a folder / cores x sha256sum": {"1.00 PASS", "2.00 PASS"},
	}
	got := r.ratios()
	if len(got) != len(want) {
		t.Errorf("got %+v, want those that were measured", got)
	}
	for _, x := range got {
		if w := want[x.Name]; x.verdict(x.Clock) != w[0] || x.verdict(x.CPU) != w[1] {
			t.Errorf("%s: got %s and %s, want %v", x.Name, x.verdict(x.Clock), x.verdict(x.CPU), w)
		}
	}
	most := ratio{Target: 2, Most: true}
	if most.verdict(2) != "2.00 PASS" || most.verdict(2.1) != "2.10 above" || most.verdict(0) != "-" {
		t.Error("a ceiling is judged like a floor")
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 || median(nil) != 0 {
		t.Errorf("got the median %v, want 2.5", m)
	}
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

// TestNoServer: a server that does not come up ends the run and says so.
func TestNoServer(t *testing.T) {
	b, p := newBench(t)
	bad := *b
	bad.notaryd, bad.rekor = "false", "false"
	for _, v := range []variant{unary, best} {
		if _, err := bad.with(t.Context(), v, p, 1, nil); err == nil {
			t.Errorf("%s: measured a server that does not run", v.name)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, args := range [][]string{{"-inflight", "0"}, {"-inflight", "1,x"}, {"-only", "("}, {"-servers", "("}, {"-rounds", "many"}, {"-entries", "0"}, {"-nothing"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("took %q", args)
		}
	}
}

// TestBenchmarksOfAPackage runs them as `make bench` does, in folders that are named
// from where it is started.
func TestBenchmarksOfAPackage(t *testing.T) {
	t.Chdir("../..")
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Rel(root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions([]string{"-dir", dir}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{options: o, scratch: o.dir}
	run, err := b.buildBenchmarks(t.Context(), "trial/b64")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run([]string{"X=1"}, "-test.bench=^$"); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("got %s, %v", out, err)
	}
	if _, err := run(nil, "-test.nothing"); err == nil {
		t.Error("took a run that failed")
	}
	if _, err := b.buildBenchmarks(t.Context(), "trial/none"); err == nil {
		t.Error("built a package that is not there")
	}
}

func TestParseReplays(t *testing.T) {
	year := "BenchmarkReplay/statements=40000-2 	       1	 383171154 ns/op	    394321 folded/CPU-s	    401000 folded/s	    152532 judged/CPU-s	    160000 judged/s\n"
	long := strings.NewReplacer("=40000", "=1000000", "394321", "300000").Replace(year)
	got, err := parseReplays([]byte("goos: linux\n" + year + long + "PASS\n"))
	want := map[int]pair{yearSize: {160000, 401000, 152532, 394321}, longSize: {160000, 401000, 152532, 300000}}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for name, bad := range map[string]string{
		"nothing":       "PASS\n",
		"one size only": year,
		"one is away":   year + strings.Replace(long, "judged/s", "judged", 1),
		"no number":     year + strings.Replace(long, "300000", "many", 1),
		"no size":       year + strings.Replace(long, "=1000000", "=all", 1),
	} {
		if got, err := parseReplays([]byte(bad)); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestParseProofs(t *testing.T) {
	good := "goos: linux\nBenchmarkProofs-2   	       1	4001771016 ns/op	    120538 entries/CPU-s	     30259 entries/s	    121493 proofs/CPU-s	     27573 proofs/s\n"
	pairs, err := parseProofs([]byte(good + good + "PASS\n"))
	want := pair{Ours: 27573, Other: 30259, OursCPU: 121493, OtherCPU: 120538}
	if err != nil || len(pairs) != 2 || pairs[0] != want || pairs[1] != want {
		t.Errorf("got %v, %v, want twice %v", pairs, err, want)
	}
	for name, bad := range map[string]string{
		"nothing":     "PASS\n",
		"one is away": strings.Replace(good, "proofs/s", "proofs", 1),
		"no number":   strings.Replace(good, "27573", "many", 1),
	} {
		if pairs, err := parseProofs([]byte(bad)); err == nil {
			t.Errorf("%s: got %v", name, pairs)
		}
	}
}
