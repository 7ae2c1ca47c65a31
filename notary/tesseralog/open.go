package tesseralog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// openPatience bounds how long Open waits for the checkpoint that covers what was
// integrated, but not published, before a crash.
const openPatience = time.Minute

// Create makes an empty log in dir, which must be missing or empty, and publishes
// the checkpoint of the empty tree. The signer's name is the log's origin. It is a
// step of its own so that no server ever takes a lost folder for a new log.
func Create(ctx context.Context, dir string, signer note.Signer) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the log folder: %w", err)
	}
	held, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the log folder: %w", err)
	}
	if len(held) > 0 {
		return fmt.Errorf("%w: %s holds %s", ErrNotEmpty, dir, held[0].Name())
	}
	if err := os.Mkdir(filepath.Join(dir, stateFolder), 0o755); err != nil {
		return fmt.Errorf("%w: %w", ErrNotEmpty, err)
	}
	locked, err := folder(dir).lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locked.Close()) }()
	routeWarnings(func(string) {})
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return fmt.Errorf("opening the log folder: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Tessera writes the first state and checkpoint before this returns.
	if _, _, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().WithCheckpointSigner(signer)); err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	return nil
}

// Open opens a log made by Create. It refuses one that contradicts the high-water
// mark or itself, by an error of this package, before anything is written to it.
// Entries that a crash left integrated but unpublished are published before it
// returns.
func Open(ctx context.Context, c Config) (*Log, error) {
	c.defaults()
	if c.Signer.Name() != c.Verifier.Name() || c.Signer.KeyHash() != c.Verifier.KeyHash() {
		return nil, fmt.Errorf("invalid log key: got verifier of %s+%08x, want %s+%08x",
			c.Verifier.Name(), c.Verifier.KeyHash(), c.Signer.Name(), c.Signer.KeyHash())
	}
	files := folder(c.Dir)
	if _, err := os.Stat(files.path(stateFolder)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoLog, c.Dir)
	}
	take := files.lock
	if c.ReadOnly {
		take = files.lockShared
	}
	locked, err := take()
	if err != nil {
		return nil, err
	}
	l, err := start(ctx, c, files)
	if err != nil {
		return nil, errors.Join(err, locked.Close())
	}
	l.locked = locked
	if c.ReadOnly {
		return l, nil
	}
	if err := l.awaitPublished(ctx); err != nil {
		l.stop(err)
		return nil, errors.Join(err, l.Close(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// start checks the folder and runs Tessera on it, or nothing to read it only.
func start(ctx context.Context, c Config, files folder) (*Log, error) {
	found, err := inspect(ctx, c, files)
	if err != nil {
		return nil, err
	}
	size := found.tree.Size()
	l := &Log{
		cfg: c, origin: c.Signer.Name(), files: files, tree: found.tree, mark: found.mark, read: size,
		changed:  make(chan struct{}, 1),
		pending:  make(chan *pending, c.MaxInFlight),
		signings: make(chan struct{}, 1),
		resolved: make(chan struct{}),
		watched:  make(chan struct{}),
	}
	l.added.Store(size)
	l.signed.Store(found.checkpoint.Size)
	l.marked.Store(found.mark.Size)
	l.alive, l.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	first, err := l.snapshotOf(found.checkpoint)
	if err != nil {
		return nil, err
	}
	l.newest.Store(first)
	if c.ReadOnly {
		l.runNothing()
		return l, nil
	}
	if err := files.resetFutureTime(checkpointFile); err != nil {
		return nil, err
	}
	return l, l.run(ctx)
}

// runNothing leaves Tessera out: a Log to read has no goroutine.
func (l *Log) runNothing() {
	l.shutdown, l.cancel = func(context.Context) error { return nil }, func() {}
	close(l.resolved)
	close(l.watched)
	l.stop(ErrReadOnly)
}

func (l *Log) run(ctx context.Context) error {
	routeWarnings(l.warned)
	driver, err := posix.New(ctx, posix.Config{Path: string(l.files)})
	if err != nil {
		return fmt.Errorf("opening the log folder: %w", err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(guard{l}).
		WithBatching(l.cfg.BatchSize, l.cfg.BatchAge).
		WithCheckpointInterval(l.cfg.CheckpointInterval).
		WithCheckpointRepublishInterval(0)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.appender, l.shutdown, _, err = tessera.NewAppender(running, driver, options)
	if err != nil {
		cancel()
		return fmt.Errorf("starting the log: %w", err)
	}
	l.cancel = cancel
	go l.pace()
	go l.resolve()
	go l.watch(running)
	return nil
}

// awaitPublished waits until everything integrated is published.
func (l *Log) awaitPublished(ctx context.Context) error {
	size := l.Size()
	if size == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if _, err := l.covering(ctx, size-1); err != nil {
		return fmt.Errorf("publishing the entries of an interrupted run: %w", err)
	}
	return nil
}

// Close implements notary.Log. If ctx ends before everything is published, the
// folder stays locked until the process ends: Tessera may still write to it.
func (l *Log) Close(ctx context.Context) error {
	l.addMu.Lock()
	first := !l.closing
	if first {
		l.closing = true
		l.tellPace()
	}
	l.addMu.Unlock()
	if !first {
		return nil
	}
	err := l.finish(ctx)
	// Only now: cancelling Tessera before its shutdown loses what is queued.
	l.cancel()
	<-l.watched
	l.stop(ErrClosed)
	if err != nil {
		return fmt.Errorf("closing the log: %w", err)
	}
	return l.locked.Close()
}

// finish waits until every entry has its index or has failed, and, unless the log
// stopped, until a checkpoint covers all.
func (l *Log) finish(ctx context.Context) error {
	select {
	case <-l.resolved:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.Err() != nil {
		return l.awaitSeen(ctx)
	}
	if err := l.shutdown(ctx); err != nil {
		return fmt.Errorf("publishing the last entries: %w", err)
	}
	return l.awaitPublished(ctx)
}

// awaitSeen waits until a checkpoint that was signed before the log stopped is in
// the folder, so that Tessera does not write it under the next server's feet. It
// gives up soon: the write may have failed.
func (l *Log) awaitSeen(ctx context.Context) error {
	l.awaitSigner()
	poll := time.NewTicker(pollSigned)
	defer poll.Stop()
	for tries := 0; l.unseen.Load() && tries < writePatience; tries++ {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// awaitSigner lets a signature in progress get done. After the log stopped there
// is no other.
func (l *Log) awaitSigner() {
	l.signMu.Lock()
	defer l.signMu.Unlock()
}
