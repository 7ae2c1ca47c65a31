package rpc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// A page token is unpadded base64url of
//
//	version 1 byte | log size 8 bytes | last index 8 bytes | HMAC-SHA-256 32 bytes
//
// with integers in big-endian order. The HMAC also covers the query and what the
// caller may see, which are not in the token: a token that is used with another
// query, by another caller, or after the caller's grants changed is refused
// instead of giving a list with gaps.
const (
	pageVersion  = 1
	pageHead     = 1 + 8 + 8
	pageTokenLen = pageHead + sha256.Size
)

// Page sizes of lists, in statements, and in bytes of their payloads. A client of gRPC
// takes messages of up to 4 MiB unless it is told otherwise. What a page says of a
// statement stands in its payload, but for less than 256 bytes: 1,000 times that and
// maxPageBytes are less than 4 MiB.
const (
	defaultPage  = 100
	maxPage      = 1000
	maxPageBytes = 7 << 19
)

// page is a place in a list.
type page struct {
	size  uint64 // of the log at the first page
	after uint64 // index of the last statement before the page, or number of the last item
}

// bind is what a token is bound to beside itself: the query without its place,
// and what the caller may see. more are parts of the query that q has no field for.
func bind(rpc string, q *notary.Query, user string, more ...string) []byte {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	moment := func(t time.Time) {
		if t.IsZero() {
			field(nil)
			return
		}
		field([]byte(t.UTC().Format(time.RFC3339Nano)))
	}
	field([]byte(rpc))
	if q.Charter != nil {
		field(q.Charter[:])
	} else {
		field(nil)
	}
	field([]byte(q.Digest))
	field([]byte(q.Site))
	field([]byte(q.Kind))
	moment(q.From)
	moment(q.Until)
	field([]byte(user))
	if q.Visible != nil {
		for _, g := range sortedGrants(q.Visible.Grants) {
			field(g)
		}
	}
	for _, m := range more {
		field([]byte(m))
	}
	return h.Sum(nil)
}

// sortedGrants encodes grants so that their order, which a database may change,
// does not matter.
func sortedGrants(grants []notary.VisibleGrant) [][]byte {
	var out [][]byte
	for _, g := range grants {
		b := append([]byte{0}, g.Charter[:]...)
		if g.AllSites {
			b[0] = 1
			out = append(out, b)
			continue
		}
		sites := slices.Clone(g.Sites)
		slices.Sort(sites)
		for _, site := range sites {
			b = binary.BigEndian.AppendUint32(b, uint32(len(site)))
			b = append(b, site...)
		}
		out = append(out, b)
	}
	slices.SortFunc(out, slices.Compare[[]byte])
	return out
}

func (p page) encode(key, bound []byte) string {
	b := make([]byte, 0, pageTokenLen)
	b = append(b, pageVersion)
	b = binary.BigEndian.AppendUint64(b, p.size)
	b = binary.BigEndian.AppendUint64(b, p.after)
	return base64.RawURLEncoding.EncodeToString(pageMAC(key, b, bound))
}

// pageMAC appends the MAC to the head of a token.
func pageMAC(key, head, bound []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(head)
	m.Write(bound)
	return m.Sum(slices.Clip(head))
}

// parsePage reads a token. An empty one is the first page: ok is false.
func parsePage(key, bound []byte, token string) (p page, ok bool, err error) {
	if token == "" {
		return page{}, false, nil
	}
	bad := &trial.Refusal{
		Reason: reasonBadPageToken, Path: "pageToken",
		Detail: "not a page token of this query and caller: start again without one",
	}
	if len(token) != base64.RawURLEncoding.EncodedLen(pageTokenLen) {
		return page{}, false, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != pageTokenLen || b[0] != pageVersion {
		return page{}, false, bad
	}
	if !hmac.Equal(pageMAC(key, b[:pageHead], bound), b) {
		return page{}, false, bad
	}
	return page{size: binary.BigEndian.Uint64(b[1:]), after: binary.BigEndian.Uint64(b[9:])}, true, nil
}

// pageSize returns the number of statements of a page.
func pageSize(n int32) (int, error) {
	switch {
	case n == 0:
		return defaultPage, nil
	case n < 0 || n > maxPage:
		return 0, badRequest("pageSize", "got %d, want 1 to %d, or 0 for %d", n, maxPage, defaultPage)
	}
	return int(n), nil
}
