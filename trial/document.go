package trial

import "strings"

// gaveUp is the refusal of a quick reader. It leaves this package never.
var gaveUp = new(Refusal)

// readDocument reads a document quickly and, where that gives up, again with
// care. The careful reading alone decides what is refused, and why. parse must
// begin from nothing each time.
func readDocument(src []byte, malformed Reason, parse func(*reader)) *Refusal {
	return readBeginning(src, malformed, func(r *reader) {
		parse(r)
		r.end()
	})
}

// readBeginning is readDocument for a part that begins the document: what follows
// is neither read nor judged.
func readBeginning(src []byte, malformed Reason, parse func(*reader)) *Refusal {
	for _, quick := range []bool{true, false} {
		r := newReader(src, malformed, "", quick)
		parse(r)
		refusal := r.refusal
		r.release()
		if refusal == nil || !quick {
			return refusal
		}
	}
	return nil
}

// quickly tells whether the quick reader's last step went well.
func (r *reader) quickly() bool {
	if r.scan.bad {
		r.refusal = gaveUp
	}
	return r.refusal == nil
}

// Bytes of strings that stand in one piece of memory, which stays as long as any
// of them does.
const (
	minStrings = 256
	maxStrings = 8 << 10
)

// keep returns b as a string. Many short strings share a piece of memory: a
// statement has a dozen, and two for each file.
func (r *reader) keep(b []byte) string {
	if len(b) > maxStrings/4 {
		return string(b)
	}
	s := &r.strings
	if s.Cap()-s.Len() < len(b) {
		*s = strings.Builder{}
		s.Grow(max(len(b), min(len(r.src)/3, maxStrings), minStrings))
	}
	from := s.Len()
	s.Write(b) // never beyond the capacity, so what stands there stays
	return s.String()[from:]
}
