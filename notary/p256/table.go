// Package p256 verifies ECDSA signatures on the curve P-256 under a key that
// signs often, at less than half of what crypto/ecdsa needs for one.
//
// It owns the Table of a key's multiples and promises that Table.Verify and
// ecdsa.VerifyASN1 give the same answer for every input. Everything in a
// verification is public, so it takes no care to be constant in time, and it
// must never see a private key.
//
// It is for the server's admission alone, which asks crypto/ecdsa again before
// it refuses a signature. It imports nothing of ours, and what verifies a receipt
// must never import it: trial, notary/receipt and the clients trust only the
// standard library.
package p256

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/nistec"
)

// A scalar is written in digits of width bits, each from -perWindow+1 to
// perWindow. The negative ones need no points of their own, which halves the
// table.
//
// The width is measured (BenchmarkVerify, docs/performance.md): with 6 a table
// has 129 KiB and a verification takes 2 µs more, with 8 it has 396 KiB and saves
// 1 µs, of those whose points are in the processor's cache.
const (
	width     = 7
	windows   = (256 + width - 1) / width
	perWindow = 1 << (width - 1)
)

// Table holds multiples of one public key Q, so that any multiple of Q is a sum
// of at most 37 of them, without a doubling: [i][j] is (j+1)·2^(7i)·Q. It has 222
// KiB, is made in a millisecond and never changes.
//
// What was rejected: points in affine form, which are added in half the time,
// because nistec has no such addition for points of its callers, and a field
// arithmetic of our own for it is where mistakes hide; and the library's way, 16
// multiples of Q that are made anew for each signature and then doubled 255
// times, which is two thirds of the time that the library needs.
type Table [windows][perWindow]nistec.P256Point

// NewTable makes the table of a key. It fails if the key is not a point of the
// curve P-256 other than infinity.
func NewTable(key *ecdsa.PublicKey) (*Table, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("invalid key: want an ECDSA key on the curve P-256")
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("invalid key: %w", err)
	}
	q, err := nistec.NewP256Point().SetBytes(point)
	if err != nil {
		return nil, fmt.Errorf("invalid key: %w", err)
	}
	t := new(Table)
	for i := range t {
		multiples := &t[i]
		multiples[0].Set(q)
		for j := 1; j < perWindow; j++ {
			multiples[j].Add(&multiples[j-1], q)
		}
		q.Double(&multiples[perWindow-1]) // 2·perWindow = 2^width
	}
	return t, nil
}

// addTo adds k·Q to p. Addition in nistec is complete: it gives the right sum
// also of two equal points, of two opposite ones and of infinity, which whoever
// chooses keys and signatures can bring about.
func (t *Table) addTo(p *nistec.P256Point, k *[32]byte) {
	// First copied, then added: the copies do not wait for each other, so points
	// that are not in the processor's cache are fetched at once. That is 8 µs where
	// many keys take turns.
	var terms [windows]nistec.P256Point
	n := 0
	for i, d := range digits(k) {
		switch {
		case d > 0:
			terms[n] = t[i][d-1]
			n++
		case d < 0:
			terms[n].Negate(&t[i][-d-1])
			n++
		}
	}
	for i := range n {
		p.Add(p, &terms[i])
	}
}

// digits writes a big-endian scalar in base 2^width, the lowest digit first. The
// highest has four bits of the scalar, so it takes a carry and leaves none.
func digits(k *[32]byte) (d [windows]int) {
	var limbs [5]uint64 // little-endian, with a zero on top
	for i := range 4 {
		limbs[i] = binary.BigEndian.Uint64(k[24-8*i:])
	}
	carry := 0
	for i := range d {
		limb, shift := width*i/64, width*i%64
		bits := limbs[limb]>>shift | limbs[limb+1]<<(64-shift)
		d[i] = int(bits&(1<<width-1)) + carry
		carry = 0
		if d[i] > perWindow {
			d[i] -= 1 << width
			carry = 1
		}
	}
	return d
}
