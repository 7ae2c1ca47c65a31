package store

import (
	"context"
	"errors"

	"github.com/trialnotary/trialnotary/notary"
)

// ErrMarksDisagree means that two copies of the high-water mark differ by more
// than an interrupted step: one of them was restored from an older moment.
var ErrMarksDisagree = errors.New("the two copies of the high-water mark disagree")

// FileMark keeps the high-water mark in one file, meant for another volume than
// the log's and the database's.
type FileMark struct{}

// CreateFileMark creates the file and refuses an existing one.
func CreateFileMark(path string) error { panic("") }

// OpenFileMark opens the file and refuses a missing or a damaged one.
func OpenFileMark(path string) (*FileMark, error) { panic("") }

// LoadMark implements notary.MarkStore.
func (f *FileMark) LoadMark(ctx context.Context) (notary.Mark, bool, error) { panic("") }

// AdvanceMark implements notary.MarkStore.
func (f *FileMark) AdvanceMark(ctx context.Context, from, to notary.Mark) error { panic("") }

// Marks keeps the mark in the database and in a second place, and demands that
// both agree.
type Marks struct{}

// NewMarks combines the two.
func NewMarks(db *Store, file *FileMark) *Marks { panic("") }

// LoadMark implements notary.MarkStore.
func (m *Marks) LoadMark(ctx context.Context) (notary.Mark, bool, error) { panic("") }

// AdvanceMark implements notary.MarkStore.
func (m *Marks) AdvanceMark(ctx context.Context, from, to notary.Mark) error { panic("") }
