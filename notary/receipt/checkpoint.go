package receipt

// Hash is an RFC 6962 SHA-256 tree hash.
type Hash = [32]byte

// Checkpoint is a signed tree head. The size and root come from the note's
// text, never from elsewhere: a Merkle root does not commit to its size.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
	// Note is the whole signed note, byte for byte.
	Note []byte
}

// Inclusion proves that an entry stands at an index of a checkpoint's tree.
type Inclusion struct {
	Index      uint64
	Checkpoint Checkpoint
	// Path is the RFC 6962 inclusion proof, from the leaf's sibling up.
	Path []Hash
}
