package rpc

import (
	"math/bits"
	"sync"
)

// The sizes of buffers, as powers of two: 2 KiB to 1 MiB.
const (
	smallestBuffer = 11
	largestBuffer  = 20
)

// buffers are the buffers of messages on their way in and out. grpc's own come in
// 256 bytes, 4, 16 and 32 KiB and 1 MiB and are cleared before each use, of which
// a statement of one kilobyte and its answer need a half at most. Whoever gets one
// of these MUST write what is then read: it holds what it held before. grpc fills
// a buffer from the connection or drops it, and the codec cuts it to what it wrote.
type buffers struct {
	pools [largestBuffer + 1 - smallestBuffer]sync.Pool // of *[]byte
}

// Get implements mem.BufferPool.
func (b *buffers) Get(length int) *[]byte {
	size := max(bits.Len(uint(max(length, 1)-1)), smallestBuffer) // the exponent
	if size > largestBuffer {
		buf := make([]byte, length)
		return &buf
	}
	if buf, ok := b.pools[size-smallestBuffer].Get().(*[]byte); ok {
		*buf = (*buf)[:length]
		return buf
	}
	buf := make([]byte, length, 1<<size)
	return &buf
}

// Put implements mem.BufferPool.
func (b *buffers) Put(buf *[]byte) {
	size := bits.Len(uint(cap(*buf))) - 1
	if size < smallestBuffer || size > largestBuffer {
		return
	}
	b.pools[size-smallestBuffer].Put(buf)
}
