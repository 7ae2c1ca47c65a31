package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortedPairs compares with the library, for keys that are spread, that begin
// alike, that are few and that are the largest and smallest.
func TestSortedPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for what, key := range map[string]func() uint64{
		"spread":  random.Uint64,
		"alike":   func() uint64 { return 7<<60 | random.Uint64N(1000) },
		"few":     func() uint64 { return random.Uint64N(3) << 62 },
		"extreme": func() uint64 { return []uint64{0, 1, math.MaxUint64}[random.IntN(3)] },
	} {
		for _, n := range []int{0, 1, 2, 63, 64, 65, 1000, 20_000} {
			pairs := make([]pair, n)
			for i := range pairs {
				pairs[i] = pair{key(), random.Int64N(50)}
			}
			want, before := slices.Clone(pairs), slices.Clone(pairs)
			slices.SortFunc(want, comparePairs)
			if got := sortedPairs(pairs); !slices.Equal(got, want) || !slices.Equal(pairs, before) {
				t.Errorf("%s, %d pairs: got them out of order, or changed", what, n)
			}
		}
	}
}
