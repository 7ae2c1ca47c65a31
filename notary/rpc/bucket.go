package rpc

import "time"

// bucket is a token bucket: it holds burst tokens, gets rate of them a second,
// and each event, or each byte, takes one. Its zero value is full. Whoever owns it guards it.
type bucket struct {
	spent float64 // tokens that are missing
	at    time.Time
}

// The buckets of users and addresses.
func (l Limits) userRate() rate    { return rate{float64(l.UserRate), float64(l.UserRate)} }
func (l Limits) userBytes() rate   { return rate{float64(l.UserBytes), float64(l.UserBytes)} }
func (l Limits) addressRate() rate { return rate{float64(l.AddressRate), 2 * float64(l.AddressRate)} }
func (l Limits) failureRate() rate { return rate{float64(l.FailureRate), 10 * float64(l.FailureRate)} }

// rate is the size of a bucket.
type rate struct{ perSecond, burst float64 }

// take takes a token, or tells how long it takes until there is one.
func (b *bucket) take(now time.Time, r rate) (wait time.Duration, ok bool) {
	return b.takeMany(now, r, 1)
}

// takeMany takes several tokens at once, or none. More than the bucket holds are taken
// from a full one, which then waits until all of them are back.
func (b *bucket) takeMany(now time.Time, r rate, n float64) (wait time.Duration, ok bool) {
	if wait, ok = b.has(now, r, min(n, r.burst)); ok {
		b.spent += n
	}
	return wait, ok
}

// ready tells whether there is a token, without taking it.
func (b *bucket) ready(now time.Time, r rate) (wait time.Duration, ok bool) {
	return b.has(now, r, 1)
}

func (b *bucket) has(now time.Time, r rate, n float64) (wait time.Duration, ok bool) {
	if r.perSecond < 0 {
		return 0, true // no limit
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.spent = max(0, b.spent-passed.Seconds()*r.perSecond)
		b.at = now
	}
	if missing := b.spent + n - r.burst; missing > 0 {
		return time.Duration(missing / r.perSecond * float64(time.Second)), false
	}
	return 0, true
}
