package receipt

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync/atomic"

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
	root, _, ok := follow(leaf, index, size, path, nil, nil)
	return root, ok
}

// follow is rootOf for one of many proofs of a tree. Where it comes to what known
// came to, it knows the rest; met is how many hashes it took until then. It writes
// what stood before each hash to steps, unless that is nil.
func follow(leaf Hash, index, size uint64, path []Hash, known *followed, steps []step) (root Hash, met int, ok bool) {
	if index >= size {
		return Hash{}, 0, false
	}
	now := step{index, size - 1, leaf}
	for i := range path {
		if now.sn == 0 {
			return Hash{}, i, false
		}
		if known.came(i, &now, path) {
			return known.root, i, true
		}
		if steps != nil {
			steps[i] = now
		}
		if now.fn&1 == 1 || now.fn == now.sn {
			now.r = parent(&path[i], &now.r)
			for now.fn&1 == 0 && now.fn != 0 {
				now.fn, now.sn = now.fn>>1, now.sn>>1
			}
		} else {
			now.r = parent(&now.r, &path[i])
		}
		now.fn, now.sn = now.fn>>1, now.sn>>1
	}
	return now.r, len(path), now.sn == 0
}

// step is what the verification of a proof holds between two hashes: everything
// that its further way depends on, beside the hashes that are left.
type step struct {
	fn, sn uint64
	r      Hash
}

// followed is a proof that was followed to the root of a tree. The proofs of
// neighbours have most hashes in common: thousands of entries that one checkpoint
// covers are proven at a time, and of each the last hashes would be computed again.
// It never changes.
type followed struct {
	path  []Hash
	steps []step // before each hash of path
	root  Hash
}

// came tells whether the way that stands at now before the i-th hash of a path is
// the known one from there on: it stands where that stood, and what is left is the
// same byte for byte, so it ends where that ended.
func (f *followed) came(i int, now *step, path []Hash) bool {
	return f != nil && len(path) == len(f.path) && f.steps[i] == *now && slices.Equal(f.path[i:], path[i:])
}

// proofs are proofs that were followed, one for each of some blocks of entries that
// stand side by side. An entry of such a block comes to the known proof after six
// hashes at most. Entries come in any order, and a checkpoint covers thousands.
type proofs [64]atomic.Pointer[followed]

const blockSize = 64 // entries

// includes is verifyInclusion where many entries are proven under one checkpoint.
func (p *proofs) includes(entry []byte, inc Inclusion) error {
	of := &p[inc.Index/blockSize%uint64(len(p))]
	leaf, known := LeafHash(entry), of.Load()
	if known != nil && known.root != inc.Checkpoint.Root {
		known = nil // of another checkpoint
	}
	root, met, ok := follow(leaf, inc.Index, inc.Checkpoint.Size, inc.Path, known, nil)
	if !ok || root != inc.Checkpoint.Root {
		return errNotIncluded
	}
	if met == len(inc.Path) && met > 0 {
		// Clones, because whoever has the proof may change it.
		f := &followed{path: slices.Clone(inc.Path), steps: make([]step, met), root: root}
		if _, _, ok := follow(leaf, inc.Index, inc.Checkpoint.Size, f.path, nil, f.steps); ok {
			of.Store(f)
		}
	}
	return nil
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
