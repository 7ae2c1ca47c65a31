package dataset

import (
	"errors"
	"fmt"
)

// Why a file has no content digest. Every error of a reader about its file is an
// [*Error] that wraps one of them.
var (
	ErrNotTable  = errors.New("no table")               // a format without a table, or one that is not read
	ErrHeader    = errors.New("damaged header")         // what describes the table cannot be understood
	ErrTruncated = errors.New("file ends early")        // a record or a row is cut
	ErrTrailing  = errors.New("data after the table")   // more bytes than the table has
	ErrCount     = errors.New("wrong number of rows")   // declared and held differ
	ErrColumns   = errors.New("wrong columns")          // no or too many columns, a name twice, a row of another length
	ErrMembers   = errors.New("several tables")         // more than one table in a file
	ErrNumber    = errors.New("no exact number")        // a number that cannot be held exactly, or is none
	ErrDate      = errors.New("no exact date")          // a date that the target type cannot hold
	ErrText      = errors.New("text cannot be decoded") // bytes that are no text in the encoding
	ErrEncoding  = errors.New("unknown encoding")       // Options name an encoding that is not known
	ErrType      = errors.New("wrong type of value")    // a value that its column cannot hold
	ErrLimit     = errors.New("beyond a limit")         // absurd lengths, decompression bombs
)

// Error says what is wrong in a file, and where. The caller puts the file's name
// in front.
type Error struct {
	Where  string // "record 3", "row 12 column AGE"; may be empty
	Detail string // in plain words
	Err    error  // one of the errors of this package
}

// Error returns the place and the detail.
func (e *Error) Error() string {
	if e.Where == "" {
		return e.Detail
	}
	return e.Where + ": " + e.Detail
}

// Unwrap returns the kind of error.
func (e *Error) Unwrap() error { return e.Err }

// errorAt makes an [*Error].
func errorAt(kind error, where, format string, args ...any) *Error {
	return &Error{Where: where, Detail: fmt.Sprintf(format, args...), Err: kind}
}
