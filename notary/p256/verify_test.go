package p256

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"testing"

	"filippo.io/nistec"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// tableKey is a key with its table.
type tableKey struct {
	key   *ecdsa.PublicKey
	table *Table
}

func newTableKey(tb testing.TB, key *ecdsa.PublicKey) tableKey {
	tb.Helper()
	return tableKey{key, mustTable(tb, key)}
}

// verify asks the table and crypto/ecdsa, which must agree.
func (k tableKey) verify(tb testing.TB, digest, sig []byte) bool {
	tb.Helper()
	got, want := k.table.Verify(digest, sig), ecdsa.VerifyASN1(k.key, digest, sig)
	if got != want {
		tb.Fatalf("table says %t, crypto/ecdsa %t: key %x digest %x signature %x", got, want, mustBytes(tb, k.key), digest, sig)
	}
	return got
}

func mustBytes(tb testing.TB, key *ecdsa.PublicKey) []byte {
	tb.Helper()
	b, err := key.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// der encodes a signature of any two integers, negative ones as well.
func der(r, s *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}

// sum is u1·G + u2·Q by the library's own multiplications; its x coordinate is
// nil at infinity.
func sum(tb testing.TB, key *ecdsa.PublicKey, u1, u2 *big.Int) (x *big.Int) {
	tb.Helper()
	q, err := nistec.NewP256Point().SetBytes(mustBytes(tb, key))
	if err != nil {
		tb.Fatal(err)
	}
	a, err := nistec.NewP256Point().ScalarBaseMult(u1.FillBytes(make([]byte, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	if q, err = q.ScalarMult(q, u2.FillBytes(make([]byte, 32))); err != nil {
		tb.Fatal(err)
	}
	b, err := a.Add(a, q).BytesX()
	if err != nil {
		return nil
	}
	return new(big.Int).SetBytes(b)
}

// signatureWith makes a good signature whose verification adds u1·G and u2·Q,
// over the digest that this needs. ok is false where there is none: at infinity.
func signatureWith(tb testing.TB, key *ecdsa.PublicKey, u1, u2 *big.Int) (digest, sig []byte, ok bool) {
	tb.Helper()
	x := sum(tb, key, u1, u2)
	if x == nil || u2.Sign() == 0 {
		return nil, nil, false
	}
	r := x.Mod(x, order)
	s := new(big.Int).ModInverse(u2, order)
	s.Mod(s.Mul(s, r), order)
	e := new(big.Int).Mul(u1, s)
	return e.Mod(e, order).FillBytes(make([]byte, 32)), der(r, s), true
}

// TestAgreesOnEverySum makes good signatures for special multiples of special
// keys, where additions meet equal points, opposite ones and infinity.
func TestAgreesOnEverySum(t *testing.T) {
	minus := func(n int64) *big.Int { return new(big.Int).Sub(order, big.NewInt(n)) }
	random := mathrand.New(mathrand.NewPCG(3, 4))
	good := 0
	for _, d := range []*big.Int{big.NewInt(1), minus(1), big.NewInt(2), minus(2), big.NewInt(128), new(big.Int).Rsh(randomInt(random), 1)} {
		key := newTableKey(t, keyOf(t, d))
		for _, u2 := range scalars() {
			for _, u1 := range []*big.Int{
				new(big.Int), // a digest of zero
				big.NewInt(1), minus(1), u2, new(big.Int).Mod(new(big.Int).Mul(u2, d), order),
				new(big.Int).Mod(randomInt(random), order),
			} {
				digest, sig, ok := signatureWith(t, key.key, u1, u2)
				if !ok {
					continue
				}
				if !key.verify(t, digest, sig) {
					t.Fatalf("refused: u1 %x u2 %x, key %x·G", u1, u2, d)
				}
				digest[31] ^= 1
				if key.verify(t, digest, sig) {
					t.Fatalf("another digest is accepted: u1 %x u2 %x, key %x·G", u1, u2, d)
				}
				good++
			}
		}
	}
	if good < 1000 {
		t.Errorf("compared %d good signatures, want more", good)
	}
}

// TestAgreesOnInfinity verifies what comes out at infinity: e = -r·d.
func TestAgreesOnInfinity(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(5, 6))
	for _, d := range []*big.Int{big.NewInt(1), big.NewInt(5), new(big.Int).Rsh(randomInt(random), 1)} {
		key := newTableKey(t, keyOf(t, d))
		for range 20 {
			r, s := new(big.Int).Mod(randomInt(random), order), new(big.Int).Mod(randomInt(random), order)
			e := new(big.Int).Neg(new(big.Int).Mul(r, d))
			if key.verify(t, e.Mod(e, order).FillBytes(make([]byte, 32)), der(r, s)) {
				t.Fatal("infinity is accepted")
			}
		}
	}
}

// TestAgreesAboveTheOrder makes signatures whose point has an x coordinate from N
// up to the field's prime: there r is x-N. By chance it is one in 2^128. The key
// is computed from point and signature.
func TestAgreesAboveTheOrder(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(7, 8))
	made := 0
	for n := int64(1); made < 10; n++ {
		r := big.NewInt(n)
		compressed := append([]byte{2 + byte(made%2)}, new(big.Int).Add(order, r).Bytes()...)
		point, err := nistec.NewP256Point().SetBytes(compressed)
		if err != nil {
			continue // no point has this x
		}
		made++
		s, e := new(big.Int).Mod(randomInt(random), order), new(big.Int).Mod(randomInt(random), order)
		key := newTableKey(t, recoverKey(t, point, r, s, e))
		digest := e.FillBytes(make([]byte, 32))
		if !key.verify(t, digest, der(r, s)) {
			t.Errorf("refused: r = x-N = %d", n)
		}
		if key.verify(t, digest, der(new(big.Int).Add(r, order), s)) {
			t.Errorf("accepted: r = x = N+%d, which is out of range", n)
		}
	}
}

// recoverKey is the key under which (r, s) is a signature of e with that point:
// (s·R - e·G)/r.
func recoverKey(tb testing.TB, point *nistec.P256Point, r, s, e *big.Int) *ecdsa.PublicKey {
	tb.Helper()
	inverse := new(big.Int).ModInverse(r, order)
	u := new(big.Int).Mul(s, inverse)
	v := new(big.Int).Mul(new(big.Int).Sub(order, e), inverse)
	a, err := nistec.NewP256Point().ScalarMult(point, u.Mod(u, order).FillBytes(make([]byte, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := nistec.NewP256Point().ScalarBaseMult(v.Mod(v, order).FillBytes(make([]byte, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), a.Add(a, b).Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// TestAgreesOnEveryRange puts numbers at and beyond the ends of the range in the
// place of r and s.
func TestAgreesOnEveryRange(t *testing.T) {
	s := newSigned(t)
	key := tableKey{s.key, s.table}
	r, sv, ok := parse(s.sig)
	if !ok {
		t.Fatal("a good signature is not read")
	}
	one := big.NewInt(1)
	p := elliptic.P256().Params().P
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	less := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	numbers := []*big.Int{
		new(big.Int), one, big.NewInt(-1), big.NewInt(127), big.NewInt(128), new(big.Int).Rsh(order, 1),
		less(order, one), order, plus(order, one), less(p, one), p, plus(p, one), less(p, order),
		new(big.Int).Lsh(one, 255), less(new(big.Int).Lsh(one, 256), one), new(big.Int).Lsh(one, 256), new(big.Int).Lsh(one, 512),
		r, less(order, r), plus(r, order), less(r, order), plus(r, p), sv, less(order, sv), plus(sv, order), less(sv, order),
	}
	good := 0
	for _, a := range numbers {
		for _, b := range numbers {
			if key.verify(t, s.digest, der(a, b)) {
				good++
			}
			key.verify(t, make([]byte, 32), der(a, b))
		}
	}
	if good != 2 {
		t.Errorf("got %d good signatures, want 2: (r, s) and (r, N-s)", good)
	}
}

// TestAgreesOnEveryChange changes the bytes of a good signature in every small
// way, and its encoding in all that BER would allow.
func TestAgreesOnEveryChange(t *testing.T) {
	s := newSigned(t)
	key := tableKey{s.key, s.table}
	refuse := func(what string, sig []byte) {
		t.Helper()
		if key.verify(t, s.digest, sig) {
			t.Errorf("accepted: %s: %x", what, sig)
		}
	}
	for i := range s.sig {
		for bit := range 8 {
			sig := slices.Clone(s.sig)
			sig[i] ^= 1 << bit
			refuse(fmt.Sprintf("bit %d of byte %d", bit, i), sig)
		}
		refuse(fmt.Sprintf("%d bytes", i), s.sig[:i])
		refuse(fmt.Sprintf("without byte %d", i), slices.Delete(slices.Clone(s.sig), i, i+1))
		for _, b := range []byte{0, 1, 0x80, 0xff} {
			refuse(fmt.Sprintf("%#x before byte %d", b, i), slices.Insert(slices.Clone(s.sig), i, b))
		}
	}
	refuse("nil", nil)
	refuse("a byte behind", append(slices.Clone(s.sig), 0))
	refuse("twice", append(slices.Clone(s.sig), s.sig...))

	body := s.sig[2:]
	refuse("length in two bytes", append([]byte{0x30, 0x81, byte(len(body))}, body...))
	refuse("length in three bytes", append([]byte{0x30, 0x82, 0, byte(len(body))}, body...))
	refuse("indefinite length", append(append([]byte{0x30, 0x80}, body...), 0, 0))
	refuse("a third number", append([]byte{0x30, byte(len(body) + 3)}, append(slices.Clone(body), 2, 1, 1)...))
	refuse("a set", append([]byte{0x31, byte(len(body))}, body...))
	r, sv, _ := parse(s.sig)
	padded := func(n *big.Int) []byte { return append([]byte{2, 34}, n.FillBytes(make([]byte, 34))...) }
	numbers := append(padded(r), padded(sv)...)
	refuse("zeros in front", append([]byte{0x30, byte(len(numbers))}, numbers...))
	raw := append(r.FillBytes(make([]byte, 32)), sv.FillBytes(make([]byte, 32))...)
	refuse("IEEE P1363", raw)
}

// TestAgreesOnEveryDigest signs digests of every length: of longer ones the first
// 32 bytes count, and shorter ones are smaller numbers.
func TestAgreesOnEveryDigest(t *testing.T) {
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), big.NewInt(77).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	key := newTableKey(t, &priv.PublicKey)
	long := sha512.Sum512([]byte("a digest"))
	high := make([]byte, 64)
	for i := range high {
		high[i] = 0xff // above the order
	}
	for _, of := range [][]byte{long[:], high, make([]byte, 64)} {
		for n := range len(of) + 1 {
			digest := of[:n]
			sig, err := ecdsa.SignASN1(rand.Reader, priv, digest)
			if err != nil {
				t.Fatal(err)
			}
			if !key.verify(t, digest, sig) {
				t.Errorf("refused: a digest of %d bytes", n)
			}
			if n >= 32 && !key.verify(t, digest[:32], sig) {
				t.Errorf("refused: the first 32 of %d bytes", n)
			}
			for i := range n {
				changed := slices.Clone(digest)
				changed[i] ^= 0x10
				if got, want := key.verify(t, changed, sig), i >= 32; got != want {
					t.Errorf("byte %d of %d changed: got %t, want %t", i, n, got, want)
				}
			}
		}
	}
}

// TestAgreesOnRandom signs random digests with random keys and verifies each
// under its own key and under another.
func TestAgreesOnRandom(t *testing.T) {
	var last signed
	for range 100 {
		s := newSigned(t)
		key := tableKey{s.key, s.table}
		if !key.verify(t, s.digest, s.sig) {
			t.Fatal("a good signature is refused")
		}
		if last.key != nil && key.verify(t, last.digest, last.sig) {
			t.Fatal("another key's signature is accepted")
		}
		last = s
	}
}
