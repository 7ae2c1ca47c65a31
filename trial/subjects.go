package trial

import (
	"hash/maphash"
	"slices"
)

// ReadSubjects returns the subjects of a statement that ParseStatement accepted
// before, at the cost of the part in which they stand, which clients write first.
// It judges no more of the payload than it reads.
func ReadSubjects(payload []byte) (subjects []Subject, err error) {
	refusal := readBeginning(payload, ReasonMalformedStatement, func(r *reader) { subjects = r.onlySubjects() })
	if refusal != nil {
		return nil, refusal
	}
	return subjects, nil
}

func (r *reader) onlySubjects() []Subject {
	r.begin('{')
	for r.next() {
		if string(r.name) == "subject" {
			return r.subjects()
		}
		r.skip()
	}
	r.require("subject", false)
	return nil
}

func (r *reader) subjects() []Subject {
	var out []Subject
	ascending := true
	r.begin('[')
	r.listFrom, _ = r.place()
	r.names.reset()
	for r.more() {
		if ascending {
			before := len(out)
			if out = r.usualSubjects(out); len(out) > before {
				continue
			}
		}
		if len(out) == MaxSubjects {
			r.failf(ReasonTooLarge, "got more than %d subjects: send a manifest", MaxSubjects)
			return nil
		}
		s, ok := r.usualSubject()
		if !ok {
			s = r.subject()
		}
		// Names that ascend, as clients write them, differ. Otherwise few are
		// compared one by one, many by their hashes: never all pairs.
		var dup bool
		switch {
		case ascending && (len(out) == 0 || s.Name > out[len(out)-1].Name):
		case len(out) < 8:
			ascending = false
			dup = slices.ContainsFunc(out, func(o Subject) bool { return o.Name == s.Name })
		default:
			ascending = false
			dup = r.names.add(out, s.Name, len(out)+r.expect(len(out)+1))
		}
		if dup {
			r.failAtf("name", ReasonDuplicateValue, "another subject has this name")
		}
		out = append(r.roomFor(out), s)
	}
	if len(out) == 0 {
		r.failf(ReasonMissingField, "want at least one subject")
	}
	return out
}

// roomFor returns the list with room for one subject more, and for as many as the
// rest of the document may have.
func (r *reader) roomFor(out []Subject) []Subject {
	if len(out) < cap(out) {
		return out
	}
	return slices.Grow(out, r.expect(len(out)+1)+1)
}

// expect guesses how many elements of a list follow the first n: as many as the
// rest of the document has room for, once some were seen.
func (r *reader) expect(n int) int {
	if n < 4 {
		return n - 1
	}
	at, _ := r.place()
	return min(int(int64(n)*(int64(len(r.src))-at)/max(at-r.listFrom, 1))+1, MaxSubjects)
}

// usualSubjects reads as many subjects as follow in the spelling and in the order
// of our clients: nothing between them, and names that ascend.
func (r *reader) usualSubjects(out []Subject) []Subject {
	if !r.quick || r.refusal != nil {
		return out
	}
	name, text, end := r.scan.usualSubject()
	for end > 0 && len(out) < MaxSubjects {
		s, ok := r.subjectOf(name, text)
		if !ok || len(out) > 0 && s.Name <= out[len(out)-1].Name {
			break
		}
		r.scan.passed(end)
		out = append(r.roomFor(out), s)
		next := r.scan.nextObject()
		if next < 0 {
			break
		}
		name, text, end = r.scan.subjectAt(next)
	}
	return out
}

// usualSubject reads a subject that has a SHA-256 only and is spelled as our
// clients spell it. Anything else is left to subject, and nothing was read.
func (r *reader) usualSubject() (s Subject, ok bool) {
	if !r.quick || r.refusal != nil {
		return s, false
	}
	name, text, end := r.scan.usualSubject()
	if end == 0 {
		return s, false
	}
	if s, ok = r.subjectOf(name, text); ok {
		r.scan.passed(end)
	}
	return s, ok
}

// subjectOf makes a subject of what stands between the pieces of the usual
// spelling.
func (r *reader) subjectOf(name []byte, text *[64]byte) (s Subject, ok bool) {
	if len(name) == 0 || len(name) > maxFileName {
		return s, false
	}
	if len(r.digestsKept) == cap(r.digestsKept) {
		r.digestsKept = make([]Digest, 0, max(r.expect(r.digestCount), 0)+1)
	}
	n := len(r.digestsKept)
	kept := r.digestsKept[: n+1 : n+1]
	if !readHex32(&kept[n].Sum, text) {
		return s, false
	}
	s.Name = r.keep(name)
	if badFileName(s.Name) != "" {
		return s, false
	}
	kept[n].Name = DigestSHA256
	r.digestsKept = r.digestsKept[:n+1]
	r.digestCount++
	s.Digests = kept[n:]
	return s, true
}

// nameSet holds the names of a list of subjects by their hashes.
type nameSet struct {
	slots []uint16 // a power of two; the place in the list, counted from 1
	used  bool
}

// nameSeed keeps a sender from choosing names whose hashes meet.
var nameSeed = maphash.MakeSeed()

func (s *nameSet) reset() { s.used = false }

// add notes a name that is about to be appended to a list whose names are noted,
// and tells whether the list has it already. The list may grow to about room.
func (s *nameSet) add(list []Subject, name string, room int) (dup bool) {
	if !s.used || 2*len(list) >= len(s.slots) {
		s.used = true
		size := 64
		for size < 2*max(room, len(list)+1) {
			size *= 2
		}
		if size > cap(s.slots) {
			s.slots = make([]uint16, size)
		}
		s.slots = s.slots[:size]
		clear(s.slots)
		for i := range list {
			s.put(list[:i], list[i].Name)
		}
	}
	return s.put(list, name)
}

func (s *nameSet) put(list []Subject, name string) (dup bool) {
	at := int(maphash.String(nameSeed, name)) & (len(s.slots) - 1)
	for s.slots[at] != 0 {
		if list[s.slots[at]-1].Name == name {
			return true
		}
		at = (at + 1) & (len(s.slots) - 1)
	}
	s.slots[at] = uint16(len(list) + 1)
	return false
}
