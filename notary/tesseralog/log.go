// Package tesseralog keeps a notary.Log in one folder with Tessera's POSIX
// driver: a C2SP tlog-tiles log that any mirror, witness or tile reader can
// follow.
//
// Tessera signs whatever its folder says. This package therefore holds a tree of
// its own in memory, checked against the high-water mark when the log is opened
// and fed by the entries that were added since. A checkpoint is signed only when
// Tessera's root is that tree's, when the files that Tessera wrote were read back
// and give that tree, and after the mark was committed outside the folder.
// Everything that contradicts stops the log or keeps it from opening, by an error
// that names the file or the number of entries that are missing.
//
// Two things it cannot do. Reading back sees what the kernel gives, which may be
// its cache: what a disk loses later is found by Check, or when it is read. And
// Tessera panics when it cannot open its own lock files while it runs, as without
// free file descriptors: the process ends, and the next start recovers.
//
// It must never import the service, a transport or a database driver.
package tesseralog

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Config opens a Log. Dir, Signer, Verifier and Marks are required; the zero
// value of everything else is usable.
type Config struct {
	// Dir is the log's folder, made by Create.
	Dir string
	// Signer signs checkpoints. Its name is the log's origin: a bare host name.
	Signer note.Signer
	// Verifier belongs to Signer.
	Verifier note.Verifier
	// Marks keeps the high-water mark, outside Dir.
	Marks notary.MarkStore

	// CheckpointInterval is the least time between two checkpoints; 100 ms, which
	// is also the least that Tessera takes.
	CheckpointInterval time.Duration
	// BatchSize and BatchAge bound what is written to the folder at once; 4,096
	// entries, and those that are handed over within 10 ms. That is normally done
	// once for each checkpoint, see pace.
	BatchSize uint
	BatchAge  time.Duration
	// MaxInFlight bounds the entries that were added and that no checkpoint
	// covers yet; 32,768. Beyond it Add fails with notary.ErrOverloaded.
	MaxInFlight int
	// CachedTiles bounds the full tiles held in memory, about 16 KiB each; 2,048,
	// which covers the newest half million entries.
	CachedTiles int
	// ReadOnly opens the folder to read and to check it, beside others who read:
	// nothing is signed, published, marked or added, and no file is made. Add fails with ErrReadOnly in the chain of
	// notary.ErrLogStopped.
	ReadOnly bool
	// Warn is told what Tessera logs as a warning or an error, such as a full
	// disk that keeps a checkpoint from being published; nil drops it. Tessera
	// logs process-wide: of several logs in one process, the one opened last is
	// told. It MUST NOT block.
	Warn func(message string)
}

func (c *Config) defaults() {
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = 100 * time.Millisecond
	}
	if c.BatchSize == 0 {
		c.BatchSize = 4096
	}
	if c.BatchAge == 0 {
		c.BatchAge = 10 * time.Millisecond
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 32768
	}
	if c.CachedTiles == 0 {
		c.CachedTiles = 2048
	}
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
}

// Log is a notary.Log in one folder.
type Log struct {
	cfg    Config
	origin string
	files  folder
	locked heldLock
	tree   *tree // of all entries whose futures were resolved

	appender *tessera.Appender
	shutdown func(context.Context) error
	cancel   context.CancelFunc // of Tessera and watch
	resolved chan struct{}      // closed when resolve returns
	watched  chan struct{}      // closed when watch returns

	// addMu guards what pace hands over: held, in the order of Add, which is empty
	// for good once closing is set and pace has taken the rest.
	addMu   sync.Mutex
	closing bool
	hurry   bool
	held    []*pending
	changed chan struct{} // tells pace of the first entry held, a full batch, hurry and closing
	pending chan *pending // handed over, for resolve
	// added is the number of entries that the log would have if every Add
	// succeeded: no index is known at or above it.
	added atomic.Uint64

	// signMu is held while a checkpoint is checked and signed.
	signMu sync.Mutex
	mark   notary.Mark // the stored mark
	read   uint64      // entries whose files were read back

	marked   atomic.Uint64 // size of mark, for those who do not hold signMu
	signed   atomic.Uint64 // size of the last checkpoint signed
	unseen   atomic.Bool   // it was not seen in the folder yet: Tessera may be writing it
	signings chan struct{} // tells watch that a checkpoint was signed
	newest   atomic.Pointer[snapshot]

	// alive ends when the log stops; its cause is what Err returns.
	alive context.Context
	kill  context.CancelCauseFunc
}

// Origin implements notary.Log.
func (l *Log) Origin() string { return l.origin }

// Size implements notary.Log.
func (l *Log) Size() uint64 { return l.tree.Size() }

// Checkpoint implements notary.Log.
func (l *Log) Checkpoint() receipt.Checkpoint { return l.newest.Load().checkpoint }

// Err implements notary.Log. The error is notary.ErrLogStopped and its cause.
func (l *Log) Err() error { return context.Cause(l.alive) }

// stop ends the log for good, for the first cause that it is given.
func (l *Log) stop(cause error) {
	l.kill(fmt.Errorf("%w: %w", notary.ErrLogStopped, cause))
}

var _ notary.Log = (*Log)(nil)
