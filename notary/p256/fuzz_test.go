package p256

import (
	"crypto/sha256"
	"math/big"
	"sync"
	"testing"
)

// fuzzKeys are the keys that FuzzVerify chooses from: small multiples of the
// generator and their opposites, where sums are special, and others.
var fuzzKeys = sync.OnceValue(func() []*big.Int {
	var all []*big.Int
	for n := int64(1); n <= 4; n++ {
		all = append(all, big.NewInt(n), new(big.Int).Sub(order, big.NewInt(n)))
	}
	for i := range byte(8) {
		h := sha256.Sum256([]byte{i})
		all = append(all, new(big.Int).Mod(new(big.Int).SetBytes(h[:]), order))
	}
	return all
})

// FuzzVerify compares a table with crypto/ecdsa, under one of a few keys: first
// for any digest and signature, then for a good signature whose verification adds
// the two multiples that the same bytes name.
func FuzzVerify(f *testing.F) {
	var made sync.Map // a key's number to its tableKey
	pick := func(tb testing.TB, n byte) tableKey {
		tb.Helper()
		keys := fuzzKeys()
		i := int(n) % len(keys)
		if k, ok := made.Load(i); ok {
			return k.(tableKey)
		}
		k := newTableKey(tb, keyOf(tb, keys[i]))
		made.Store(i, k)
		return k
	}
	number := func(b []byte) *big.Int {
		n := new(big.Int).SetBytes(b[:min(len(b), 32)])
		return n.Mod(n, order)
	}
	for i := range byte(16) {
		key := pick(f, i)
		for _, u2 := range []*big.Int{big.NewInt(1), big.NewInt(64), new(big.Int).Sub(order, big.NewInt(1))} {
			if digest, sig, ok := signatureWith(f, key.key, big.NewInt(int64(i)), u2); ok {
				f.Add(i, digest, sig)
			}
		}
	}
	f.Fuzz(func(t *testing.T, n byte, digest, sig []byte) {
		key := pick(t, n)
		key.verify(t, digest, sig)
		if digest, sig, ok := signatureWith(t, key.key, number(digest), number(sig)); ok && !key.verify(t, digest, sig) {
			t.Errorf("a good signature is refused: %x under key %d", sig, n)
		}
	})
}
