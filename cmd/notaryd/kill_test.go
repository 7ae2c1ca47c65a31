package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// asServer makes the test binary be notaryd: a process that can be killed.
const asServer = "NOTARYD_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(asServer); args != "" {
		os.Exit(run(context.Background(), strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
	if order := os.Getenv(asLoad); order != "" {
		if err := runLoad(order, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// kills is how often the server is killed under load.
const kills = 5

// TestKillUnderLoad kills the server with SIGKILL while sites submit. Every
// receipt that was acknowledged must verify after the restart, in the same
// place; every statement that had no answer gets one when the same bytes are
// sent again; no index is used twice; and the full check passes.
func TestKillUnderLoad(t *testing.T) {
	s := trialForLoad(t)
	site := s.people["coordinator-"+siteNorth]
	acknowledged := map[trial.ID]*client.Receipt{}
	var unanswered []*trial.Envelope
	for round := range kills {
		process := s.spawn(t)
		got, lost := s.submitUntilKilled(t, process, site, 40+rand.IntN(120))
		maps.Copy(acknowledged, got)
		unanswered = append(unanswered, lost...)
		t.Logf("kill %d: %d receipts, %d statements without an answer", round+1, len(got), len(lost))
	}
	process := s.spawn(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := s.dial("site-" + siteNorth); err != nil {
		t.Fatal(err)
	}
	c := s.clients["site-"+siteNorth]
	for _, env := range unanswered {
		r, err := c.Submit(ctx, s.trust, env)
		if err != nil {
			t.Fatalf("sending the same bytes again: %v", err)
		}
		acknowledged[r.StatementID] = r
	}
	indexes := s.listed(ctx, t, c)
	used := map[uint64]trial.ID{}
	fetched := 0
	for id, old := range acknowledged {
		if other, ok := used[old.Index]; ok {
			t.Errorf("index %d stands on the receipts of %s and %s", old.Index, id, other)
		}
		used[old.Index] = id
		if now, ok := indexes[id]; !ok || now != old.Index {
			t.Errorf("statement %s of index %d: listed %v at index %d after the restart", id, old.Index, ok, now)
		}
		if v := offline(t, old, s.trust); !v.Verified {
			t.Errorf("an acknowledged receipt does not verify: %s", v.Summary)
		}
		if fetched++; fetched > 20 { // each is checked like a submission's, which takes its time
			continue
		}
		if now, err := c.Receipt(ctx, s.trust, id); err != nil || now.Index != old.Index {
			t.Errorf("the receipt of index %d after the restart: %v", old.Index, err)
		}
	}
	process.kill(t)
	if code, stdout, stderr := notaryd(t, "check", "--config", s.path("notaryd.yaml")); code != exitOK {
		t.Errorf("check after %d kills: exit status %d: %s%s", kills+1, code, stdout, stderr)
	}
}

// listed returns the index of every statement of the trial.
func (s *story) listed(ctx context.Context, t *testing.T, c *client.Client) map[trial.ID]uint64 {
	t.Helper()
	indexes := map[trial.ID]uint64{}
	for st, err := range c.List(ctx, client.Query{Trial: s.charter.String()}) {
		if err != nil {
			t.Fatal(err)
		}
		id, err := trial.ParseID(st.GetStatementId())
		if err != nil {
			t.Fatal(err)
		}
		indexes[id] = st.GetLogIndex()
	}
	return indexes
}

func offline(t *testing.T, r *client.Receipt, trust *receipt.Trust) *receipt.Verdict {
	t.Helper()
	parsed, err := receipt.Parse(r.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := receipt.ParseEvidence(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Verify(parsed, ev, trust, nil)
}

// trialForLoad makes a notary with the demo's trial and stops it.
func trialForLoad(t *testing.T) *story {
	t.Helper()
	s := &story{dir: filepath.Join(t.TempDir(), "n"), out: io.Discard}
	ctx := context.WithoutCancel(t.Context())
	for _, step := range []func(context.Context) error{s.createNotary, s.openTrial, s.enrolPeople} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.closeClients(), s.stop(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// process is a server that can be killed.
type process struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	once   sync.Once
}

// spawn starts the server as a process of its own, on the ports that the trial's
// files name, and waits until it answers.
func (s *story) spawn(t *testing.T) *process {
	t.Helper()
	config := fmt.Sprintf(configTemplate, s.config.Origin, s.config.Listen.GRPC, s.config.Listen.HTTP) +
		"limits: {minFreeBytes: 1048576}\ntimes: {mark: 1s}\n"
	if err := os.WriteFile(s.path("notaryd.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), stderr: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), asServer+"="+strings.Join([]string{"serve", "--config", s.path("notaryd.yaml")}, "\n"))
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill(t) })
	ready := make([]byte, 1)
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatalf("the server did not start: %v\n%s", err, p.stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	p.once.Do(func() {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Errorf("killing the server: %v", err)
		}
		_ = p.cmd.Wait() // "signal: killed" is what was wanted
	})
}

// submitUntilKilled submits from many goroutines and kills the server after so
// many receipts. It returns what was acknowledged and what was not answered.
func (s *story) submitUntilKilled(t *testing.T, p *process, who *person, after int) (map[trial.ID]*client.Receipt, []*trial.Envelope) {
	t.Helper()
	c, err := client.Dial(s.config.Listen.GRPC, client.Options{
		TokenFile: s.path("tokens", "site-"+siteNorth), CAFile: s.path("tls/ca.crt"), Attempts: 1, AttemptTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var (
		mu       sync.Mutex // guards what follows
		receipts = map[trial.ID]*client.Receipt{}
		lost     []*trial.Envelope
		wait     sync.WaitGroup
	)
	for worker := range 32 {
		wait.Go(func() {
			for n := 0; ; n++ {
				env := s.signDataset(t, who, fmt.Sprintf("%d/%d/%d", after, worker, n))
				r, err := c.Submit(t.Context(), s.trust, env)
				mu.Lock()
				if err != nil {
					lost = append(lost, env)
					mu.Unlock()
					return
				}
				receipts[r.StatementID] = r
				if len(receipts) == after {
					go p.kill(t)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	p.kill(t)
	return receipts, lost
}

// signDataset signs a statement about a dataset that nobody has.
func (s *story) signDataset(tb testing.TB, who *person, name string) *trial.Envelope {
	tb.Helper()
	d, err := s.draft(who)
	if err != nil {
		tb.Fatal(err)
	}
	digest := client.StatementID(&trial.Envelope{Payload: []byte(name)})
	d.Subjects = []trial.Subject{{Name: "vs.json", Digests: map[string]string{trial.DigestSHA256: digest.String()}}}
	d.Predicate.Kind, d.Predicate.Site, d.Predicate.Meaning = trial.KindDataset, who.site, trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}
	env, err := d.Sign(who.key, time.Now(), "UTC")
	if err != nil {
		tb.Fatal(err)
	}
	return env
}
