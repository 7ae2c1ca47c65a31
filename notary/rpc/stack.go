package rpc

// stackRoom is about what a call needs of its stack, in bytes: reading, writing and
// what grpc does around that. What is deeper is done by the service's workers.
const stackRoom = 5 << 10

// growStack makes the stack of a new goroutine as large as a call is going to
// need. Go grows a stack by copying it, frame by frame, and a call would have it
// copied when it is thirty frames deep: that took a twentieth of the server's
// time. Here it has a few frames.
func growStack() { reserve(false) }

// reserve has a frame of this size, and uses none of it: what is written there
// would be a page of memory that the call may never need.
//
//go:noinline
func reserve(use bool) {
	if use {
		var room [stackRoom]byte
		touch(&room)
	}
}

//go:noinline
func touch(room *[stackRoom]byte) { room[0] = 1 }
