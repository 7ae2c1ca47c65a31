package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
)

// asTrapped makes the server kill itself: "POINT N" at the Nth passage of a
// point, counted from the moment it serves.
const asTrapped = "NOTARYD_TEST_TRAP"

// points are the places on a statement's way where the server is killed, in
// order: each is passed when the step that it names has just ended.
var points = []string{
	"stored", // the statement is durable
	"queued", // the log was given the entry
	"added",  // the entry is durable in the log and has its index
	"placed", // the database knows the index
	"marked", // the high-water mark covers the entry
	"signed", // the checkpoint is signed and not yet written
	"proved", // the checkpoint is published
	"answer", // the receipt was built and not yet sent
}

// killAtChosenPoints lets the server kill itself, with SIGKILL, right behind each
// step of a statement's way.
func (o *ordeal) killAtChosenPoints(t *testing.T) {
	for _, point := range points {
		p := o.spawn(t, fmt.Sprintf("%s=%s %d", asTrapped, point, 1+rand.IntN(5)))
		o.load(t, func() { wantSelfKilled(t, p, point) })
		o.check(t)
	}
}

func wantSelfKilled(t *testing.T, p *process, point string) {
	t.Helper()
	p.once.Do(func() {
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("at %s the server ended by itself: %v", point, err)
		}
		if ws, ok := exit.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
			t.Fatalf("at %s the server ended by %v, want SIGKILL\n%s", point, err, p.stderr)
		}
	})
}

// trap ends the process at one passage of one point.
type trap struct {
	point string
	armed atomic.Bool
	left  atomic.Int64
}

func (k *trap) pass(point string) {
	if point != k.point || !k.armed.Load() || k.left.Add(-1) > 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nobody gets past
}

// serveTrapped is `notaryd serve` with the real database, log and service, and a
// trap between them.
func serveTrapped(where string, args []string) int {
	point, count, _ := strings.Cut(where, " ")
	n, err := strconv.ParseInt(count, 10, 64)
	if err == nil {
		k := &trap{point: point}
		k.left.Store(n)
		err = k.serve(context.Background(), args[len(args)-1])
	}
	_, _ = fmt.Fprintln(os.Stderr, err)
	return exitRefused
}

func (k *trap) serve(ctx context.Context, config string) error {
	c, err := LoadConfig(config)
	if err != nil {
		return err
	}
	p, err := k.open(ctx, c)
	if err != nil {
		return err
	}
	logger, stopLogger := newLogger("warn", os.Stderr)
	defer stopLogger()
	s, err := startParts(ctx, p, trappedService{p.service, k}, logger, time.Now)
	if err != nil {
		return err
	}
	k.armed.Store(true)
	fmt.Println("serving")
	return s.run(ctx)
}

// open does what openParts does, with the trap around each part.
func (k *trap) open(ctx context.Context, c *Config) (*parts, error) {
	settings, err := readSettings(c)
	if err != nil {
		return nil, err
	}
	key, err := readLogKey(c.Keys.Log)
	if err != nil {
		return nil, err
	}
	signer, vkey, err := noteKeys(c.Origin, key)
	if err != nil {
		return nil, err
	}
	if settings.LogKey, err = receipt.ParseLogKey(vkey); err != nil {
		return nil, err
	}
	p := &parts{config: c}
	if p.store, err = store.Open(c.Store.Path); err != nil {
		return nil, err
	}
	p.log, err = tesseralog.Open(ctx, tesseralog.Config{
		Dir: c.Log.Dir, CheckpointInterval: c.Times.Checkpoint,
		Signer: trappedSigner{signer, k}, Verifier: settings.LogKey.Verifier(), Marks: trappedMarks{p.store, k},
	})
	if err != nil {
		return nil, err
	}
	settings.Store, settings.Log = trappedStore{p.store, k}, trappedLog{p.log, k}
	p.service, err = notary.Open(ctx, settings)
	return p, err
}

type trappedStore struct {
	notary.Store
	trap *trap
}

func (s trappedStore) Put(ctx context.Context, records []*notary.Record) ([]trial.ID, error) {
	held, err := s.Store.Put(ctx, records)
	s.trap.pass("stored")
	return held, err
}

func (s trappedStore) Place(ctx context.Context, placed []notary.Placed) error {
	err := s.Store.Place(ctx, placed)
	s.trap.pass("placed")
	return err
}

type trappedLog struct {
	notary.Log
	trap *trap
}

func (l trappedLog) Add(ctx context.Context, entry []byte) notary.Future {
	future := l.Log.Add(ctx, entry)
	l.trap.pass("queued")
	return func(ctx context.Context) (uint64, error) {
		index, err := future(ctx)
		l.trap.pass("added")
		return index, err
	}
}

func (l trappedLog) Prove(ctx context.Context, index uint64) (receipt.Inclusion, error) {
	inc, err := l.Log.Prove(ctx, index)
	l.trap.pass("proved")
	return inc, err
}

func (l trappedLog) ProveAll(ctx context.Context, indexes []uint64) ([]receipt.Inclusion, error) {
	proofs, err := l.Log.ProveAll(ctx, indexes)
	l.trap.pass("proved")
	return proofs, err
}

type trappedMarks struct {
	notary.MarkStore
	trap *trap
}

func (m trappedMarks) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	err := m.MarkStore.AdvanceMark(ctx, from, to)
	m.trap.pass("marked")
	return err
}

type trappedSigner struct {
	note.Signer
	trap *trap
}

func (s trappedSigner) Sign(text []byte) ([]byte, error) {
	sig, err := s.Signer.Sign(text)
	s.trap.pass("signed")
	return sig, err
}

type trappedService struct {
	*notary.Service
	trap *trap
}

func (s trappedService) SubmitForm(ctx context.Context, env *trial.Envelope, allow notary.Allow, form notary.Form) (*notary.Result, error) {
	res, err := s.Service.SubmitForm(ctx, env, allow, form)
	s.trap.pass("answer")
	return res, err
}
