package dataset

import "io"

// Source is the bytes of a file. [*io.SectionReader] and [*bytes.Reader] are
// sources; reading at an offset lets a reader pass over a file twice.
//
// [*bytes.Reader]: https://pkg.go.dev/bytes#Reader
type Source interface {
	io.ReaderAt
	// Size returns the number of bytes.
	Size() int64
}

// Reader gives the rows of one table in the order of the file.
type Reader interface {
	// Meta describes the table. It MUST NOT be changed, and stays the same while
	// rows are read.
	Meta() *Meta

	// Next reads the next row into row, which holds a place for each of the
	// columns, in their order. The error is io.EOF after the last row, once the
	// whole file has been found sound; an [*Error] where it is not. After an
	// error every call gives one.
	//
	// A value stays good after the next call, but its text may keep a larger
	// piece of the file in memory: clone what is kept for long.
	Next(row []Value) error

	// Close releases what the reader holds, but not the source.
	Close() error
}

// Meta describes a table. Of all this only the names and types of the columns
// and the number of rows count for the content digest.
type Meta struct {
	Format   Format
	Name     string // of the dataset
	Label    string
	Encoding string // of the file's text, as it was read: "utf-8" or what [Options] named
	Columns  []Column
	Rows     int64 // as the file declares, or -1

	// Source is what the format says about the file's making: time stamps,
	// system, versions, identifiers, under the names of the format.
	Source map[string]string
}

// Column describes a variable.
type Column struct {
	Name   string // as the file spells it
	Type   Type
	Label  string
	Length int    // bytes or characters, as the format counts; 0 if not given
	Format string // display format

	DataType       string // of Dataset-JSON
	TargetDataType string // of Dataset-JSON
	KeySequence    int    // place among the keys of the table, from 1; 0 for no key
}

// Type is what the values of a column are.
type Type byte

// The types of a column; each is its own letter in the content digest.
const (
	Numeric   Type = 'N'
	Character Type = 'C'
	Boolean   Type = 'B'
)

// String returns the type's name.
func (t Type) String() string {
	switch t {
	case Numeric:
		return "numeric"
	case Character:
		return "character"
	case Boolean:
		return "boolean"
	}
	return "unknown type"
}

// Format names a kind of file.
type Format string

// The formats whose tables are read.
const (
	XPT5        Format = "xpt5"         // SAS XPORT version 5
	XPT8        Format = "xpt8"         // SAS XPORT version 8 and 9
	DatasetJSON Format = "dataset-json" // CDISC Dataset-JSON 1.1
	NDJSON      Format = "ndjson"       // its form with a line for each row
	DSJC        Format = "dsjc"         // NDJSON, compressed
)

// Options say how to read a file.
type Options struct {
	// Encoding of the text of SAS XPORT files, by its IANA name, for example
	// "windows-1252". The files do not say it, and it is never guessed: empty
	// means UTF-8, and text that is none is an error.
	Encoding string
}

// Limits on what a file may ask for. Nothing beyond them is a table that anyone
// made on purpose.
const (
	MaxColumns    = 32_767   // as in SAS
	MaxNameLength = 1 << 10  // bytes of a column's name
	MaxRowLength  = 64 << 20 // bytes of a row in a file
)
