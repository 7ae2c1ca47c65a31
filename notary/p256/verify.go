package p256

import (
	"crypto/elliptic"
	"math/big"

	"filippo.io/nistec"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// order is N, the number of points of the curve. It must not be changed.
var order = elliptic.P256().Params().N

// Verify tells whether sig, in ASN.1 DER, is a signature of digest under the
// table's key: exactly what ecdsa.VerifyASN1 tells. Of a digest longer than 32
// bytes the first 32 count. Both signatures (r, s) and (r, N-s) are valid.
//
// SPEC: FIPS 186-5, 6.4.2, and SEC 1 version 2.0, 4.1.4. With e the digest as a
// number: r and s are in [1, N-1]; R = (e/s)·G + (r/s)·Q is not infinity; the x
// coordinate of R, modulo N, is r.
func (t *Table) Verify(digest, sig []byte) bool {
	r, s, ok := parse(sig)
	if !ok {
		return false
	}
	w := new(big.Int).ModInverse(s, order)
	u1, u2 := hashToInt(digest), new(big.Int)
	u1.Mod(u1.Mul(u1, w), order)
	u2.Mod(u2.Mul(r, w), order)

	var k [32]byte
	p, err := nistec.NewP256Point().ScalarBaseMult(u1.FillBytes(k[:]))
	if err != nil {
		return false // only of another length
	}
	u2.FillBytes(k[:])
	t.addTo(p, &k)
	x, err := p.BytesX()
	if err != nil {
		return false // infinity
	}
	v := new(big.Int).SetBytes(x)
	return v.Mod(v, order).Cmp(r) == 0
}

// parse reads a signature with the reader that crypto/ecdsa uses: DER alone, no
// negative number, nothing behind. It checks that r and s are in [1, N-1].
func parse(sig []byte) (r, s *big.Int, ok bool) {
	var inner cryptobyte.String
	var rBytes, sBytes []byte
	input := cryptobyte.String(sig)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(&rBytes) || !inner.ReadASN1Integer(&sBytes) || !inner.Empty() {
		return nil, nil, false
	}
	r, s = new(big.Int).SetBytes(rBytes), new(big.Int).SetBytes(sBytes)
	return r, s, inRange(r) && inRange(s)
}

func inRange(n *big.Int) bool { return n.Sign() > 0 && n.Cmp(order) < 0 }

// hashToInt takes the first 256 bits of a digest, which is as many as N has.
func hashToInt(digest []byte) *big.Int {
	return new(big.Int).SetBytes(digest[:min(len(digest), 32)])
}
