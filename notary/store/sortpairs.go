package store

import (
	"math/bits"
	"slices"
)

// sortedPairs returns the pairs in order, in new memory. Keys are parts of hashes, so
// their first bits spread them over buckets of a few pairs, which are sorted one by
// one: that takes a third of the time of sorting all. Whoever makes up digests that
// begin alike fills one bucket, and gets the time of sorting that.
func sortedPairs(pairs []pair) []pair {
	sorted := make([]pair, len(pairs))
	if len(pairs) < 64 {
		copy(sorted, pairs)
		slices.SortFunc(sorted, comparePairs)
		return sorted
	}
	shift := 64 - bits.Len(uint(len(pairs)/4)) // four pairs in a bucket, or some more
	ends := make([]int, 1<<(64-shift)+1)
	for _, p := range pairs {
		ends[p.key>>shift+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	for _, p := range pairs { // after this each bucket's begin is its end
		at := &ends[p.key>>shift]
		sorted[*at] = p
		*at++
	}
	from := 0
	for _, to := range ends[:len(ends)-1] {
		sortBucket(sorted[from:to])
		from = to
	}
	return sorted
}

// sortBucket sorts a few pairs, or many that begin alike.
func sortBucket(pairs []pair) {
	if len(pairs) > 16 {
		slices.SortFunc(pairs, comparePairs)
		return
	}
	for i := 1; i < len(pairs); i++ {
		for j := i; j > 0 && comparePairs(pairs[j], pairs[j-1]) < 0; j-- {
			pairs[j], pairs[j-1] = pairs[j-1], pairs[j]
		}
	}
}
