package p256

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
	"math/rand/v2"
	"testing"

	"filippo.io/nistec"
)

// scalars are multiples of a key at which a digit, a carry or a sum is special,
// and some others.
func scalars() []*big.Int {
	one := big.NewInt(1)
	all := []*big.Int{big.NewInt(0)}
	add := func(n *big.Int) { all = append(all, new(big.Int).Mod(n, order)) }
	for _, bit := range []uint{0, 1, 5, 6, 7, 8, 13, 14, 63, 64, 127, 128, 191, 192, 245, 251, 252, 255} {
		power := new(big.Int).Lsh(one, bit)
		for _, n := range []int64{-1, 0, 1} {
			add(new(big.Int).Add(power, big.NewInt(n)))
			add(new(big.Int).Sub(big.NewInt(n), power)) // from the other end of the order
		}
	}
	for _, b := range []byte{0x55, 0xaa, 0x81, 0x7f, 0xfe} {
		add(new(big.Int).SetBytes(bytes.Repeat([]byte{b}, 32)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		add(randomInt(random))
	}
	return all
}

func randomInt(random *rand.Rand) *big.Int {
	n := new(big.Int)
	for range 4 {
		n.Lsh(n, 64)
		n.Or(n, new(big.Int).SetUint64(random.Uint64()))
	}
	return n
}

// keyOf is the public key of a private one.
func keyOf(tb testing.TB, d *big.Int) *ecdsa.PublicKey {
	tb.Helper()
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	return &priv.PublicKey
}

func TestDigits(t *testing.T) {
	for _, k := range scalars() {
		sum := new(big.Int)
		for i, d := range digits((*[32]byte)(k.FillBytes(make([]byte, 32)))) {
			if d <= -perWindow || d > perWindow {
				t.Fatalf("%x: digit %d is %d, want more than -%d and at most %[4]d", k, i, d, perWindow)
			}
			sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(d)), uint(width*i)))
		}
		if sum.Cmp(k) != 0 {
			t.Errorf("digits of %x make %x", k, sum)
		}
	}
}

// TestEveryPoint compares every point of a table with the library's multiple.
func TestEveryPoint(t *testing.T) {
	d := new(big.Int).SetBytes([]byte("a private key that everybody ok."))
	table := mustTable(t, keyOf(t, d))
	for i := range windows {
		for j := range perWindow {
			k := new(big.Int).Lsh(big.NewInt(int64(j+1)), uint(width*i))
			k.Mod(k.Mul(k, d), order)
			want, err := nistec.NewP256Point().ScalarBaseMult(k.FillBytes(make([]byte, 32)))
			if err != nil {
				t.Fatal(err)
			}
			if table[i][j].Equal(want) != 1 {
				t.Fatalf("point %d of window %d is not %d·2^%d times the key", j, i, j+1, width*i)
			}
		}
	}
}

// TestAddTo adds multiples of keys that are small multiples of the generator, or
// their opposites, to such multiples: there the sums meet points of the table,
// their opposites and infinity on the way.
func TestAddTo(t *testing.T) {
	var keys []*big.Int
	for n := int64(1); n <= 3; n++ {
		keys = append(keys, big.NewInt(n), new(big.Int).Sub(order, big.NewInt(n)))
	}
	half := new(big.Int).ModInverse(big.NewInt(2), order)
	keys = append(keys, half, new(big.Int).Sub(order, half), new(big.Int).Lsh(big.NewInt(1), width))
	for _, d := range keys {
		table := mustTable(t, keyOf(t, d))
		for _, u2 := range scalars() {
			dense := new(big.Int).Mod(new(big.Int).Mul(d, u2), order)
			for _, u1 := range []*big.Int{
				new(big.Int), d, new(big.Int).Sub(order, d), dense,
				new(big.Int).Mod(new(big.Int).Neg(dense), order), // the sum is infinity
			} {
				got, err := nistec.NewP256Point().ScalarBaseMult(u1.FillBytes(make([]byte, 32)))
				if err != nil {
					t.Fatal(err)
				}
				table.addTo(got, (*[32]byte)(u2.FillBytes(make([]byte, 32))))
				total := new(big.Int).Add(u1, dense)
				want, err := nistec.NewP256Point().ScalarBaseMult(total.Mod(total, order).FillBytes(make([]byte, 32)))
				if err != nil {
					t.Fatal(err)
				}
				if got.Equal(want) != 1 {
					t.Fatalf("%x·G + %x·Q with Q = %x·G: got another point", u1, u2, d)
				}
			}
		}
	}
}

func TestNewTableRefuses(t *testing.T) {
	good := keyOf(t, big.NewInt(7))
	coordinates := func(key *ecdsa.PublicKey) (x, y *big.Int) {
		b := mustBytes(t, key)
		return new(big.Int).SetBytes(b[1:33]), new(big.Int).SetBytes(b[33:])
	}
	x, y := coordinates(good)
	_, otherY := coordinates(keyOf(t, big.NewInt(8)))
	point := func(x, y *big.Int) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y} //nolint:staticcheck // the other ways refuse such points
	}
	p := elliptic.P256().Params().P
	p384, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), big.NewInt(7).FillBytes(make([]byte, 48)))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*ecdsa.PublicKey{
		"none":               nil,
		"empty":              {},
		"infinity":           point(new(big.Int), new(big.Int)),
		"not on the curve":   point(x, new(big.Int).Add(y, big.NewInt(1))),
		"x above the prime":  point(new(big.Int).Add(x, p), y),
		"y negative":         point(x, new(big.Int).Sub(y, p)),
		"of another curve":   &p384.PublicKey,
		"y of another point": point(x, otherY),
	} {
		if table, err := NewTable(key); err == nil || table != nil {
			t.Errorf("%s: got a table and the error %v, want an error", name, err)
		}
	}
	if _, err := NewTable(good); err != nil {
		t.Errorf("a good key: %v", err)
	}
}
