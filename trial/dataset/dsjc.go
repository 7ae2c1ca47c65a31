package dataset

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
)

// Limits on what a compressed file may unpack to. DEFLATE reaches a ratio of 1032;
// tables of the dullest kind stay well below a tenth of that.
const (
	maxUnpacked      = 256 << 30
	maxUnpackedRatio = 500
	freeUnpacked     = 16 << 20 // below this no ratio is absurd
)

// openDSJC reads compressed NDJSON: zlib, as the specification says, or gzip, as
// all official examples are.
func openDSJC(src Source) (Reader, error) {
	packed := &countedReader{src: io.NewSectionReader(src, 0, src.Size())}
	buffered := bufio.NewReaderSize(packed, 64<<10)
	var inner io.ReadCloser
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, errorAt(ErrTruncated, "", "file ends in its first bytes")
	}
	if isGzip(head) {
		var z *gzip.Reader
		if z, err = gzip.NewReader(buffered); err == nil {
			z.Multistream(false)
			inner = z
		}
	} else {
		inner, err = zlib.NewReader(buffered)
	}
	if err != nil {
		return nil, unpackError(err)
	}
	plain := &unpacker{src: inner, packed: packed, rest: buffered}
	r := &jsonReader{table: newJSONTable(), stream: newJSONStream(plain), close: inner.Close}
	if _, _, err := r.open(); err != nil {
		return nil, err
	}
	if r.table.seen["rows"] {
		return nil, errorAt(ErrHeader, "rows", "rows stand inside the object, want NDJSON: a line for each")
	}
	r.table.meta.Format = DSJC
	r.stream.limit = MaxRowLength
	return r, nil
}

type countedReader struct {
	src io.Reader
	n   int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.n += int64(n)
	return n, err
}

// unpacker keeps decompression within limits and holds that nothing follows it.
type unpacker struct {
	src    io.Reader
	packed *countedReader
	rest   *bufio.Reader
	n      int64
	err    error // what every further call returns
}

func (u *unpacker) Read(p []byte) (n int, err error) {
	if u.err == nil {
		n, u.err = u.read(p)
	}
	return n, u.err
}

func (u *unpacker) read(p []byte) (int, error) {
	n, err := u.src.Read(p)
	u.n += int64(n)
	switch {
	case u.n > maxUnpacked:
		return 0, errorAt(ErrLimit, "", "file unpacks to more than %d bytes", int64(maxUnpacked))
	case u.n > freeUnpacked && u.n/maxUnpackedRatio > u.packed.n:
		return 0, errorAt(ErrLimit, "", "file unpacks to more than %d times its size", maxUnpackedRatio)
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, unpackError(err)
	}
	if _, err := u.rest.ReadByte(); !errors.Is(err, io.EOF) {
		return n, errorAt(ErrTrailing, "", "file goes on after the compressed table")
	}
	return n, io.EOF
}

// unpackError says what an error of decompression means.
func unpackError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errorAt(ErrTruncated, "", "compressed data end early")
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary):
		return errorAt(ErrSyntax, "", "compressed data are damaged: %v", err)
	}
	return err
}
