package dataset

import (
	"errors"
	"io"
)

// Open begins to read the table of a file. The error is an [*Error]: it wraps
// [ErrNotTable] for a file that is none, whatever else it is ([Detect] says what),
// or says what is wrong with the table.
func Open(src Source, o Options) (Reader, error) {
	head := make([]byte, min(HeadLength, src.Size()))
	if n, err := src.ReadAt(head, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(head)) {
		return nil, err
	}
	switch format := Detect(head); format {
	case XPT5, XPT8:
		return openXPT(src, o)
	case DatasetJSON, NDJSON:
		return openJSON(src)
	case DSJC:
		return openDSJC(src)
	case FormatUnknown:
		return nil, errorAt(ErrNotTable, "", "no format with a table that is read here")
	default:
		return nil, errorAt(ErrNotTable, "", "format %s has no table that is read here", format)
	}
}
