package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

func TestBuffers(t *testing.T) {
	b := new(buffers)
	for _, c := range []struct{ length, capacity int }{
		{0, 2 << 10}, {1, 2 << 10}, {1300, 2 << 10}, {2 << 10, 2 << 10}, {2<<10 + 1, 4 << 10}, {16 << 10, 16 << 10},
		{1 << 20, 1 << 20}, {1<<20 + 1, 0},
	} {
		for range 3 { // new, and used before
			buf := b.Get(c.length)
			if len(*buf) != c.length || cap(*buf) < c.length || c.capacity > 0 && cap(*buf) != c.capacity {
				t.Errorf("got a buffer of %d bytes in %d, want %d in %d", len(*buf), cap(*buf), c.length, c.capacity)
			}
			b.Put(buf)
		}
	}
	for _, foreign := range []int{0, 1, 2<<10 - 1, 5000, 3 << 20} { // never handed out where they are too small
		buf := make([]byte, foreign)
		b.Put(&buf)
		for _, length := range []int{1, 3000, 6000, 9000} {
			if got := b.Get(length); len(*got) != length {
				t.Errorf("got %d bytes, want %d", len(*got), length)
			}
		}
	}
}

// TestCodec writes messages into buffers that held others before.
func TestCodec(t *testing.T) {
	const limit = 100_000
	c := newCodec(limit, new(buffers))
	for _, size := range []int{0, 10, 1000, 1024, 1100, 4000, 40_000, 2000, limit - 100, limit + 1, 50} {
		sent := &notaryv1.SubmitRequest{Envelope: &notaryv1.Envelope{Payload: bytes.Repeat([]byte{byte(size)}, size)}}
		data, err := c.Marshal(sent)
		must(t, err)
		want, err := proto.Marshal(sent)
		must(t, err)
		if !bytes.Equal(data.Materialize(), want) {
			t.Errorf("a message of %d bytes is written as %d other ones", len(want), data.Len())
		}
		got := new(notaryv1.SubmitRequest)
		must(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data.Materialize())}, got))
		if large := size > limit; large != hasMark(got, tooLarge) || !large && !proto.Equal(got, sent) {
			t.Errorf("%d bytes: got %d bytes back, marked as too large: %v", size, proto.Size(got), hasMark(got, tooLarge))
		}
		data.Free()
	}
	got := &notaryv1.SubmitRequest{HeldEvidence: "before"}
	must(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer{0xff}}, got))
	if !hasMark(got, unreadable) || got.GetHeldEvidence() != "" {
		t.Errorf("got %v, want the mark alone", got)
	}
}
