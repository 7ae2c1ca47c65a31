package trial

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// Limits of a statement's fields: entries of lists, bytes of strings.
const (
	MaxSubjects  = 10_000 // MaxPayload ends most lists earlier
	maxFileName  = 1024
	maxName      = 256
	maxText      = 4096
	maxLineage   = 1000
	maxSites     = 2000
	maxRoles     = 50
	maxKinds     = 100
	maxMap       = 100
	maxDigests   = 8 // of one subject
	maxCountries = 250
	maxConfirmed = 5000
	// maxManifestFiles bounds what one root covers.
	maxManifestFiles = 1_000_000
)

var meanings = []Meaning{
	MeaningAuthorship, MeaningReview, MeaningApproval, MeaningResponsibility, MeaningVerification,
	MeaningCertifiedCopy, MeaningAcknowledgement,
}

// ParseStatement reads a statement: I-JSON (RFC 7493) in any spelling, at most
// MaxPayload bytes. An error is a *Refusal, with the place in the document. A
// statement of an unknown kind parses, with a [RawBody].
//
// It keeps payload and parts of it: the caller must not change it.
func ParseStatement(payload []byte) (*Statement, error) {
	if len(payload) > MaxPayload {
		return nil, refuse(ReasonTooLarge, "", "got a payload of %d bytes, want at most %d", len(payload), MaxPayload)
	}
	var st *Statement
	refusal := readDocument(payload, ReasonMalformedStatement, func(r *reader) {
		st = &Statement{Payload: payload}
		st.read(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	if bad := st.check(); bad != nil {
		return nil, bad
	}
	st.ID = sha256.Sum256(payload)
	return st, nil
}

func (st *Statement) read(r *reader) {
	var typ, predicateType string
	predicate := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "_type":
			typ = r.constant(StatementType)
		case "subject":
			st.Subjects = r.subjects()
		case "predicateType":
			predicateType = r.constant(PredicateType)
		case "predicate":
			st.predicate(r)
			predicate = true
		default:
			r.unknown()
		}
	}
	r.require("_type", typ != "")
	r.require("subject", len(st.Subjects) > 0)
	r.require("predicateType", predicateType != "")
	r.require("predicate", predicate)
}

// constant reads a string that has one value.
func (r *reader) constant(want string) string {
	b := r.bytes(maxName)
	if r.refusal == nil && string(b) != want {
		r.failf(ReasonMalformedStatement, "want %q", want)
	}
	return want
}

func (r *reader) subject() Subject {
	var s Subject
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "name":
			s.Name = r.line(maxFileName)
			if r.refusal == nil {
				if bad := badFileName(s.Name); bad != "" {
					r.failf(ReasonBadName, "%s", bad)
				}
			}
		case "digest":
			s.Digests = r.digests()
		default:
			r.unknown()
		}
	}
	r.require("name", s.Name != "")
	r.require("digest", len(s.Digests) > 0)
	return s
}

// digests reads names and values. Which names a known kind may have is checked
// with the whole, because a kind of a later version may have others.
func (r *reader) digests() Digests {
	// Whoever appends must not reach what follows, so the capacity is cut too.
	var few [maxDigests]Digest
	n := 0
	r.begin('{')
	for r.next() {
		name := internDigest(r.name)
		b := r.coded(64 << 10)
		if r.refusal != nil {
			break
		}
		sum, ok := decodeHex32(b)
		switch {
		case !isDigestName(name):
			r.failf(ReasonBadDigest, "want a digest's name in lowercase letters, digits and hyphens")
		case !ok:
			r.failf(ReasonBadDigest, "got %d characters, want 64 lowercase hexadecimal characters", len(b))
		case n == maxDigests:
			r.failf(ReasonTooLarge, "got more than %d digests", maxDigests)
		default:
			few[n] = Digest{name, sum}
			n++
		}
	}
	if n == 0 {
		r.failf(ReasonBadDigest, "want at least one digest")
		return nil
	}
	return r.keepDigests(few[:n])
}

// keepDigests returns a copy in ascending order of names, which stands in one
// piece of memory with those of other subjects.
func (r *reader) keepDigests(few []Digest) Digests {
	if len(few) > 1 {
		slices.SortFunc(few, func(a, b Digest) int { return strings.Compare(a.Name, b.Name) })
	}
	d := &r.digestsKept
	if cap(*d)-len(*d) < len(few) {
		*d = make([]Digest, 0, r.expect(r.digestCount+len(few))+len(few))
	}
	r.digestCount += len(few)
	from := len(*d)
	*d = append(*d, few...)
	return Digests((*d)[from:len(*d):len(*d)])
}

// internDigest saves a string for the names that nearly every subject has.
func internDigest(name []byte) string {
	switch string(name) {
	case DigestSHA256:
		return DigestSHA256
	case DigestTable:
		return DigestTable
	case DigestManifest:
		return DigestManifest
	case DigestCommitment:
		return DigestCommitment
	}
	return string(name)
}

func (st *Statement) predicate(r *reader) {
	p := &st.Predicate
	var present fields
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "charter":
			p.Charter = r.hash(ReasonBadIdentifier)
		case "trial":
			p.Trial = r.registry()
		case "site":
			p.Site = r.identifier(isSite, "a site's id: at most 20 letters, digits, _ or -")
		case "kind":
			p.Kind = Kind(r.identifier(isKind, "a kind: at most 40 lowercase letters, digits or -"))
		case "document":
			p.Document = r.document()
		case "version":
			p.Version = r.identifier(isVersion, "a version label of at most 32 characters, such as 3.1 or 2.1-FR")
		case "supersedes":
			p.Supersedes = r.hash(ReasonBadIdentifier)
		case "reason":
			p.Reason = r.text()
		case "declaredTime":
			p.Declared = r.instant()
		case "signedTime":
			p.Signed = r.instant()
		case "signer":
			p.Signer = r.signer()
		case "meaning":
			p.Meaning = oneOf(r, meanings)
		case "lineage":
			p.Lineage = r.ids(maxLineage)
		case "seen":
			p.Seen = r.treeHead()
		case "manifest":
			p.Manifest = r.manifestInfo()
		case "salt":
			p.Salt = r.base64x32()
			present.salt = true
		case "body":
			st.readBody(r)
			present.body = true
		default:
			r.unknown()
		}
	}
	if r.refusal == nil {
		st.finishBody(r, present)
	}
}

// fields tells which members were there whose value cannot tell.
type fields struct{ salt, body bool }

// readBody reads the body, or only its extent where the kind comes after it.
func (st *Statement) readBody(r *reader) {
	if st.Predicate.Kind == "" || !st.Predicate.Kind.Known() {
		st.body = r.skip()
		return
	}
	start, _ := r.place()
	st.Predicate.Body = parseBody(r, st.Predicate.Kind)
	if r.refusal == nil {
		st.body = r.textSince(start)
	}
}

// finishBody parses a body that was only skipped so far, and checks that there
// is one.
func (st *Statement) finishBody(r *reader, present fields) {
	p := &st.Predicate
	r.require("salt", present.salt)
	r.require("kind", p.Kind != "")
	if r.refusal != nil {
		return
	}
	switch {
	case !p.Kind.Known():
		p.Body = RawBody(st.body)
	case !present.body:
		if !kinds[p.Kind].bare {
			r.failAtf("body", ReasonMissingField, "missing: the kind needs one")
			return
		}
		p.Body = NewBody(p.Kind)
	case p.Body == nil:
		inner := newReader(st.body, ReasonMalformedStatement, "predicate.body", r.quick)
		defer inner.release()
		p.Body = parseBody(inner, p.Kind)
		inner.end()
		r.refusal = inner.refusal
	}
}
