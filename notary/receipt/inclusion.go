package receipt

import (
	"crypto/sha256"
	"errors"

	"github.com/transparency-dev/merkle/rfc6962"
)

var errNotIncluded = errors.New("the proof does not lead from the entry to the checkpoint's root")

// verifyInclusion proves an entry under the checkpoint's own size and root.
func verifyInclusion(entry []byte, inc Inclusion) error {
	root, ok := rootOf(LeafHash(entry), inc.Index, inc.Checkpoint.Size, inc.Path)
	if !ok || root != inc.Checkpoint.Root {
		return errNotIncluded
	}
	return nil
}

// rootOf returns the root that a proof leads to; it fails where the proof has not
// the length that the index and the size demand. The merkle library does the
// same, and allocates for each hash, which takes longer than the hashing.
//
// SPEC: "If LSB(fn) is set, or if fn is equal to sn, then: Set r to
// HASH(0x01 || p || r). […] Otherwise: Set r to HASH(0x01 || r || p)" (RFC 9162,
// section 2.1.3.2, the same trees as RFC 6962).
func rootOf(leaf Hash, index, size uint64, path []Hash) (Hash, bool) {
	if index >= size {
		return Hash{}, false
	}
	fn, sn, r := index, size-1, leaf
	for i := range path {
		if sn == 0 {
			return Hash{}, false
		}
		if fn&1 == 1 || fn == sn {
			r = parent(&path[i], &r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = parent(&r, &path[i])
		}
		fn, sn = fn>>1, sn>>1
	}
	return r, sn == 0
}

// SPEC: "MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))" (RFC 6962,
// section 2.1).
func parent(left, right *Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
