package store

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

const (
	// directBlock is what begins and lengths of direct writes are multiples of, in
	// the file and in memory: no usual disk demands more. One that does refuses.
	directBlock = 4 << 10
	// directBuffer is how much is written at once.
	directBuffer = 1 << 20
)

// appender writes the payloads of a batch behind each other, past the page cache
// where the file system can: they are hardly ever read soon, and making pages for
// them and writing those back took most of the time. A batch therefore begins
// at a whole block.
type appender struct {
	direct  *os.File // nil where it is not to be had
	opened  bool
	buf     []byte // aligned; what is not written yet
	written int64  // where buf goes
}

// begin starts a batch behind end and returns where its first byte goes.
func (a *appender) begin(path string, end int64) int64 {
	if a.buf == nil {
		a.buf = alignedBuffer(directBuffer)[:0]
	}
	if !a.opened && directFlag != 0 {
		a.direct, _ = os.OpenFile(path, os.O_WRONLY|directFlag, 0) // or without
	}
	a.opened = true
	a.buf, a.written = a.buf[:0], wholeBlocks(end)
	return a.written
}

// wholeBlocks returns where the block ends in which n bytes end.
func wholeBlocks(n int64) int64 { return (n + directBlock - 1) / directBlock * directBlock }

// add takes a part of the batch; it is written at flush at the latest.
func (a *appender) add(file *os.File, payload []byte) error {
	for len(payload) > 0 {
		n := min(len(payload), cap(a.buf)-len(a.buf))
		a.buf, payload = append(a.buf, payload[:n]...), payload[n:]
		if len(a.buf) == cap(a.buf) {
			if err := a.flush(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes what is left, up to the end of a block.
func (a *appender) flush(file *os.File) error {
	if len(a.buf) == 0 {
		return nil
	}
	for len(a.buf)%directBlock != 0 {
		a.buf = append(a.buf, 0)
	}
	err := error(syscall.EINVAL)
	if a.direct != nil {
		_, err = a.direct.WriteAt(a.buf, a.written)
	}
	if errors.Is(err, syscall.EINVAL) { // not on this file system, or not from here on
		_, err = file.WriteAt(a.buf, a.written)
	}
	a.written += int64(len(a.buf))
	a.buf = a.buf[:0]
	return err
}

func (a *appender) close() error {
	if a.direct == nil {
		return nil
	}
	return a.direct.Close()
}

// alignedBuffer returns memory that begins at a block.
func alignedBuffer(size int) []byte {
	b := make([]byte, size+directBlock)
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directBlock) //nolint:gosec // only looked at
	from := (directBlock - past) % directBlock
	return b[from : from+size : from+size]
}
