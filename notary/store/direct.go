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
//
// It writes whole blocks that no other batch has a part of, so that nothing in the
// page cache is older than the disk: what was read of the file before, or written
// through the cache, shares no block with it. The sync of the file makes durable what
// was written either way.
type appender struct {
	direct  *os.File // nil where it is not to be had
	opened  bool
	buf     []byte // aligned; what is not written yet
	written int64  // where buf goes
}

// begin starts a batch behind end and returns where its first byte goes.
func (a *appender) begin(file *os.File, end int64) int64 {
	if a.buf == nil {
		a.buf = alignedBuffer(directBuffer)[:0]
	}
	if !a.opened {
		a.direct = openDirect(file)
	}
	a.opened = true
	a.buf, a.written = a.buf[:0], wholeBlocks(end)
	return a.written
}

// openDirect opens a file once more, or returns nil: many file systems refuse it, and
// under the name may be another file by now.
func openDirect(file *os.File) *os.File {
	if directFlag == 0 {
		return nil
	}
	direct, err := os.OpenFile(file.Name(), os.O_WRONLY|directFlag, 0)
	if err != nil {
		return nil
	}
	got, err := direct.Stat()
	want, wantErr := file.Stat()
	if err != nil || wantErr != nil || !os.SameFile(got, want) {
		_ = direct.Close() // nothing was written
		return nil
	}
	return direct
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
	err := a.write(file)
	a.written += int64(len(a.buf))
	a.buf = a.buf[:0]
	return err
}

// write writes buf. Some file systems open a file so and refuse the first write, and
// a write may end in the middle of a block, from where no other can go on: then all
// of it is written the usual way.
func (a *appender) write(file *os.File) error {
	if a.direct != nil {
		_, err := a.direct.WriteAt(a.buf, a.written)
		if !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		_ = a.close() // its writes have returned; what counts is the sync
	}
	_, err := file.WriteAt(a.buf, a.written)
	return err
}

func (a *appender) close() error {
	if a.direct == nil {
		return nil
	}
	direct := a.direct
	a.direct = nil
	return direct.Close()
}

// alignedBuffer returns memory that begins at a block.
func alignedBuffer(size int) []byte {
	b := make([]byte, size+directBlock)
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directBlock) //nolint:gosec // only looked at
	from := (directBlock - past) % directBlock
	return b[from : from+size : from+size]
}
