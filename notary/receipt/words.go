package receipt

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// wordsSize is room for the texts of a common verdict, in bytes.
const wordsSize = 1280

// words puts texts together. They share a piece of memory, because a verdict has
// a dozen of them: making each by itself takes as long as proving its entry.
type words struct {
	b strings.Builder // what stands in it stays: it is never grown while in use
}

func (w *words) room(n int) {
	if w.b.Cap()-w.b.Len() < n {
		w.b = strings.Builder{}
		w.b.Grow(max(n, wordsSize))
	}
}

// join puts pieces together.
func (w *words) join(pieces ...string) string {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	w.room(n)
	from := w.b.Len()
	for _, p := range pieces {
		w.b.WriteString(p)
	}
	return w.b.String()[from:]
}

func (w *words) keep(b []byte) string {
	w.room(len(b))
	from := w.b.Len()
	w.b.Write(b)
	return w.b.String()[from:]
}

func (w *words) decimal(n uint64) string {
	var buf [20]byte
	return w.keep(strconv.AppendUint(buf[:0], n, 10))
}

func (w *words) hex(d [32]byte) string {
	var buf [64]byte
	hex.Encode(buf[:], d[:])
	return w.keep(buf[:])
}

func (w *words) time(t time.Time) string {
	var buf [len(timeFormat)]byte
	return w.keep(t.UTC().AppendFormat(buf[:0], timeFormat))
}

const timeFormat = "2006-01-02T15:04:05.999Z"
