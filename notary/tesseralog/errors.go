package tesseralog

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Errors of a log folder. They are wrapped; use errors.Is and errors.As.
var (
	// ErrNotEmpty means that Create was pointed at a folder that holds something.
	ErrNotEmpty = errors.New("folder is not empty")
	// ErrNoLog means that Open was pointed at a folder without a log.
	ErrNoLog = errors.New("no log in this folder")
	// ErrInUse means that another process, or another Log of this one, has the
	// folder open.
	ErrInUse = errors.New("log folder is in use by another server")
	// ErrNoLocks means that the folder lies on a file system without file locks,
	// where nothing keeps two servers apart.
	ErrNoLocks = errors.New("file system does not support file locks")
	// ErrNoMark means that the log holds entries, but nothing is known about what
	// was signed.
	ErrNoMark = errors.New("no high-water mark, though the log is not empty")
	// ErrPath means that a path is not one of C2SP tlog-tiles, so that there is no
	// such file: it is an fs.ErrNotExist too.
	ErrPath = fmt.Errorf("not a path of a tiled log: %w", fs.ErrNotExist)
	// ErrReadOnly is the cause in the chain of notary.ErrLogStopped of a Log that
	// was opened with Config.ReadOnly.
	ErrReadOnly = errors.New("log opened for reading only")
	// ErrClosed is the cause in the chain of notary.ErrLogStopped after Close.
	ErrClosed = errors.New("log closed")
)

// FileError names a file of the log folder that is missing, damaged or not what
// was written.
type FileError struct {
	File    string // relative to the folder, with slashes
	Problem string
}

func (e *FileError) Error() string {
	return fmt.Sprintf("log file %s: %s", e.File, e.Problem)
}

// LostError means that the folder holds fewer entries than were signed: an older
// copy was restored, or files were lost.
type LostError struct {
	Held, Mark uint64 // entries
}

func (e *LostError) Error() string {
	missing, verb := e.Mark-e.Held, "entries are"
	if missing == 1 {
		verb = "entry is"
	}
	return fmt.Sprintf("log folder holds %d entries, the high-water mark is %d: %d %s missing; restore the newest copy of the folder",
		e.Held, e.Mark, missing, verb)
}

// ConflictError means that the folder holds other entries than those that were
// signed: it was replaced, or an older copy was restored and appended to.
type ConflictError struct {
	Size   uint64       // entries
	Held   receipt.Hash // what the folder's entries give at this size
	Signed receipt.Hash
	Source string // what the signed root was taken from
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the folder's first %d entries give root %x, %s says %x: other entries were signed; restore the right copy of the folder",
		e.Size, e.Held, e.Source, e.Signed)
}

// MarkBehindError means that more was signed than the high-water mark knows of:
// an older copy of the database was restored.
type MarkBehindError struct {
	Mark, Published uint64 // entries
}

func (e *MarkBehindError) Error() string {
	return fmt.Sprintf("the high-water mark is %d, but a checkpoint of %d entries was published: the database is older than the log folder; restore the newest copy of the database",
		e.Mark, e.Published)
}
