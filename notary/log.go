package notary

import (
	"context"
	"errors"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Errors of a Log. A driver wraps them; nobody compares text.
var (
	// ErrOverloaded means that too many entries are in flight. Nothing was
	// added.
	ErrOverloaded = errors.New("too many submissions in flight")
	// ErrLogStopped means that the log takes no more entries until it is
	// opened again: the outcome of an earlier write is unknown, or a check of
	// the high-water mark failed. What stopped it is in the chain.
	ErrLogStopped = errors.New("log stopped")
	// ErrNoEntry means that no such index is in the log.
	ErrNoEntry = errors.New("no such log entry")
	// ErrEntrySize means that an entry is longer than MaxEntry. Nothing was
	// added.
	ErrEntrySize = errors.New("log entry too large")
)

// MaxEntry is the length of the longest log entry in bytes (C2SP tlog-tiles: its
// length is a uint16).
const MaxEntry = 1<<16 - 1

// Future waits for the index of an added entry. ErrOverloaded and ErrEntrySize
// mean that nothing was added. If ctx ends first its error is returned and the
// entry takes its course. Any other error means that the outcome is unknown: the
// entry may or may not be in the log, and the Log is stopped.
// It MUST be called at most once, and the index MUST be ignored if it comes with
// an error.
type Future func(ctx context.Context) (index uint64, err error)

// Log is an append-only log of entries under signed checkpoints.
//
// Add MUST be called by one goroutine at a time; every other method is safe for
// concurrent use. A Log never signs or publishes a checkpoint that conflicts
// with its high-water mark.
type Log interface {
	// Origin returns the log's name, as it stands in its checkpoints.
	Origin() string
	// Add queues an entry of at most MaxEntry bytes and returns at once; the bytes
	// MUST NOT change afterwards. Entries
	// get no promised order unless the future of the first was awaited before
	// the second was added. Once the future returns an index, the entry is
	// durable in the log's folder and a later checkpoint will cover it.
	Add(ctx context.Context, entry []byte) Future
	// Hurry has what was added written soon. A Log may hold entries back until a
	// checkpoint is nearly due; their indexes come as late. It returns at once.
	Hurry()
	// Await waits until a published checkpoint covers index. It fails with
	// ErrLogStopped if that will not happen any more.
	Await(ctx context.Context, index uint64) error
	// Prove awaits the same and proves the entry under the newest checkpoint.
	Prove(ctx context.Context, index uint64) (receipt.Inclusion, error)
	// ProveAll awaits the same for all the indexes and proves each entry under one
	// checkpoint, the newest then. The proofs are in the order of the indexes, and
	// share memory: whoever keeps one keeps all. It fails as a whole; Prove tells
	// for which of them.
	ProveAll(ctx context.Context, indexes []uint64) ([]receipt.Inclusion, error)
	// Checkpoint returns the newest published checkpoint.
	Checkpoint() receipt.Checkpoint
	// Size returns the number of integrated entries: at least the checkpoint's
	// size, and more after a crash before publication.
	Size() uint64
	// Scan calls fn for every integrated entry from the given index on, in
	// order, until fn returns an error. The entry is valid only during the call.
	Scan(ctx context.Context, from uint64, fn func(index uint64, entry []byte) error) error
	// Check reads every entry and every tile back and recomputes the root of
	// the newest checkpoint. The error names the first damaged file. It calls
	// Pause between its pieces.
	Check(ctx context.Context) (entries uint64, err error)
	// Err returns nil while the log takes entries, or what stopped it.
	Err() error
	// Close publishes what was added, then releases the folder.
	Close(ctx context.Context) error
}

// Mark is the high-water mark: the largest tree that was ever signed.
type Mark struct {
	Size uint64
	Root receipt.Hash
}

// MarkStore keeps the high-water mark outside the log's folder.
type MarkStore interface {
	// LoadMark returns the mark; ok is false where none was ever stored.
	LoadMark(ctx context.Context) (m Mark, ok bool, err error)
	// AdvanceMark replaces from by to, durably, before it returns; it fails with
	// ErrMarkConflict and changes nothing unless the stored mark equals from
	// (the zero Mark where none was ever stored).
	AdvanceMark(ctx context.Context, from, to Mark) error
}

// ErrMarkConflict means that someone else moved the high-water mark: two servers
// share it.
var ErrMarkConflict = errors.New("the high-water mark was moved by another server")
