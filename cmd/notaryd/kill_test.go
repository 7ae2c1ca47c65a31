package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// asServer makes the test binary be notaryd: a process that can be killed.
const asServer = "NOTARYD_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(asServer); args != "" {
		if trap := os.Getenv(asTrapped); trap != "" {
			os.Exit(serveTrapped(trap, strings.Split(args, "\n")))
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) // as main does
		code := run(ctx, strings.Split(args, "\n"), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
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

// kills is how often the server is killed under load at random moments; every
// fifth time while it starts.
const kills = 55

// TestKill kills the server with SIGKILL while sites submit, again and again on
// one notary. What audit demands must hold afterwards.
func TestKill(t *testing.T) {
	o := newOrdeal(t)
	t.Run("at random moments", o.killAtRandomMoments)
	t.Run("at chosen points", o.killAtChosenPoints)
	o.settle(t)
	o.audit(t)
	t.Logf("%d receipts, %d checkpoints", len(o.answered), len(o.checkpoints))
}

func (o *ordeal) killAtRandomMoments(t *testing.T) {
	for round := range kills {
		if round%5 == 4 {
			o.killWhileStarting(t, time.Duration(rand.IntN(300))*time.Millisecond)
			continue
		}
		p := o.spawn(t)
		o.load(t, func() {
			time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // the moment is what varies
			p.kill(t)
		})
		if round%10 == 0 {
			o.check(t)
		}
	}
}

// killWhileStarting kills a server that has not said yet that it serves, or has
// just done so.
func (o *ordeal) killWhileStarting(t *testing.T, after time.Duration) {
	t.Helper()
	p := o.command(t)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	p.kill(t)
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
func (s *story) spawn(t *testing.T, env ...string) *process {
	t.Helper()
	p := s.command(t, env...)
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

// command is the server, not started yet.
func (s *story) command(t *testing.T, env ...string) *process {
	t.Helper()
	config := fmt.Sprintf(configTemplate, s.config.Origin, s.config.Listen.GRPC, s.config.Listen.HTTP) +
		"limits: {minFreeBytes: 1048576}\ntimes: {mark: 1s}\n"
	if err := os.WriteFile(s.path("notaryd.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), stderr: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), asServer+"="+strings.Join([]string{"serve", "--config", s.path("notaryd.yaml")}, "\n"))
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = p.stderr
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

// signDataset signs a statement about a dataset that nobody has.
func (s *story) signDataset(tb testing.TB, who *person, name string) *trial.Envelope {
	tb.Helper()
	return s.signFiles(tb, who, name, 1)
}

// manyFiles make a statement too large for a row of the database.
const manyFiles = 200

// signFiles signs a statement about so many files that nobody has.
func (s *story) signFiles(tb testing.TB, who *person, name string, files int) *trial.Envelope {
	tb.Helper()
	d, err := s.draft(who)
	if err != nil {
		tb.Fatal(err)
	}
	digest := client.StatementID(&trial.Envelope{Payload: []byte(name)})
	d.Subjects = []trial.Subject{{Name: "vs.json", Digests: trial.SHA256(digest)}}
	for i := 1; i < files; i++ {
		digest = client.StatementID(&trial.Envelope{Payload: digest[:]})
		d.Subjects = append(d.Subjects, trial.Subject{Name: fmt.Sprintf("vs-%d.json", i), Digests: trial.SHA256(digest)})
	}
	d.Predicate.Kind, d.Predicate.Site, d.Predicate.Meaning = trial.KindDataset, who.site, trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}
	env, err := d.Sign(who.key, time.Now(), "UTC")
	if err != nil {
		tb.Fatal(err)
	}
	return env
}
