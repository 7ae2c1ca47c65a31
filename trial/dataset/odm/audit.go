package odm

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// AuditVersion begins each record that is hashed, and names the digest in a
// statement.
const AuditVersion = "tn-audit-v1"

// Limits on an audit trail: the hashes of a day's records are kept in memory.
const (
	MaxRecords   = 1 << 24
	maxRecord    = 1 << 20 // bytes of a record in canonical form
	hashLength   = 32
	contextEvery = 1 << 12 // elements between two looks at the context
)

// Trail is what an audit trail comes to.
type Trail struct {
	Root    [hashLength]byte
	Records uint64 // under the root
	Others  uint64 // records of other days, which are not under it
	// First and Last are the first and last day of any record, empty without one.
	First, Last string
	// Source is the system that wrote the export and its version, as the file says.
	Source string
}

// AuditTrail reads the audit records of an ODM-XML 1.3 or 2.0 export and returns
// the root over those of a day: the day that a record's own DateTimeStamp begins
// with. An empty day stands for all. Each record counts with the data it is about
// and where that stands; their order, and what the export says about itself, do
// not count.
func AuditTrail(ctx context.Context, src io.Reader, day string) (*Trail, error) {
	s := newScanner(src)
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	if !isODM(root) {
		return nil, s.errorf(ErrNotODM, "the root element is %s, want ODM", root.Name.Local)
	}
	a := &auditor{scanner: s, day: day, trail: &Trail{
		Source: strings.TrimSpace(attribute(root, "SourceSystem") + " " + attribute(root, "SourceSystemVersion")),
	}}
	for n := 0; ; n++ {
		if n%contextEvery == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		token, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = a.token(token)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := a.finish(); err != nil {
		return nil, err
	}
	return a.trail, nil
}

// auditor gathers records. The stack holds the open elements from ClinicalData or
// ReferenceData on; outside of those nothing is kept.
type auditor struct {
	*scanner

	day    string
	trail  *Trail
	hashes [][hashLength]byte
	stack  []*element
	path   []byte // canonical starts of the open data elements
	begun  []byte // canonical start of the newest element
	record []byte // canonical form of the newest record
}

// element is an open element.
type element struct {
	kind     elementKind
	name     string
	pathAt   int // of a data element: length of the path without it
	text     []byte
	children bool
	// content is what a data element or an audit record holds, in canonical form;
	// what other elements hold goes to the nearest of those above.
	content []byte
	records []auditRecord // of a data element
	// Of an audit record: its time, and the element that has it.
	stamp, stampName string
}

type auditRecord struct {
	canonical []byte
	day       string
}

type elementKind byte

const (
	plain elementKind = iota
	data              // may have audit records, and holds other data elements
	audit             // an audit record of a data element
)

// dataElements are those that an audit record may be about, and those around them.
var dataElements = map[string]bool{
	"ClinicalData": true, "ReferenceData": true, "SubjectData": true, "StudyEventData": true, "FormData": true,
	"ItemGroupData": true, "Query": true,
}

// isData knows the data elements of ODM, with the typed ItemDataString and others.
func isData(n xml.Name) bool {
	return strings.HasPrefix(n.Space, odmNamespace) && (dataElements[n.Local] || strings.HasPrefix(n.Local, "ItemData"))
}

func (a *auditor) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return a.begin(t)
	case xml.CharData:
		if len(a.stack) == 0 {
			return nil
		}
		top := a.stack[len(a.stack)-1]
		top.text = append(top.text, t...)
		return a.bounded(len(top.text))
	case xml.EndElement:
		if len(a.stack) > 0 {
			return a.end()
		}
	}
	return nil
}

func (a *auditor) bounded(n int) error {
	if n > maxRecord {
		return a.errorf(ErrLimit, "a record is longer than %d bytes", maxRecord)
	}
	return nil
}

func (a *auditor) begin(t xml.StartElement) error {
	odm := strings.HasPrefix(t.Name.Space, odmNamespace)
	if odm && (t.Name.Local == "AuditRecords" || attribute(t, "AuditRecordID") != "") {
		return a.errorf(ErrRecord, "the export keeps audit records apart from their data (AuditRecordID); export them with AuditRecord inside the data elements")
	}
	if len(a.stack) == 0 {
		switch {
		case odm && (t.Name.Local == "ClinicalData" || t.Name.Local == "ReferenceData"):
		case odm && t.Name.Local == "AuditRecord":
			return a.errorf(ErrRecord, "an AuditRecord stands outside of ClinicalData and ReferenceData")
		default:
			return nil
		}
	}
	e := &element{name: a.fullName(t.Name)}
	var parent *element
	if len(a.stack) > 0 {
		parent = a.stack[len(a.stack)-1]
		parent.children = true
	}
	a.begun = a.appendStart(a.begun[:0], t)
	start := a.begun
	switch {
	case isData(t.Name):
		if parent != nil && parent.kind != data {
			return a.errorf(ErrRecord, "%s stands where it is not read, in %s", t.Name.Local, parent.name)
		}
		e.kind, e.pathAt = data, len(a.path)
		a.path = append(a.path, start...)
	case odm && t.Name.Local == "AuditRecord":
		if parent.kind != data {
			return a.errorf(ErrRecord, "%s stands where it is not read, in %s", t.Name.Local, parent.name)
		}
		e.kind, e.content, e.stampName = audit, bytes.Clone(start), a.fullName(xml.Name{Space: t.Name.Space, Local: "DateTimeStamp"})
	default:
		holder := a.holder()
		holder.content = append(holder.content, start...)
		if err := a.bounded(len(holder.content)); err != nil {
			return err
		}
	}
	a.stack = append(a.stack, e)
	return a.bounded(len(a.path) + len(e.content))
}

// holder returns the innermost open data element or audit record.
func (a *auditor) holder() *element {
	for i := len(a.stack) - 1; ; i-- {
		if e := a.stack[i]; e.kind != plain {
			return e
		}
	}
}

func (a *auditor) end() error {
	e := a.stack[len(a.stack)-1]
	text := e.text
	if e.children && len(bytes.TrimSpace(text)) == 0 {
		text = nil // the export's layout
	}
	holder := a.holder()
	a.stack = a.stack[:len(a.stack)-1]
	if len(text) > 0 {
		holder.content = appendText(holder.content, text)
	}
	switch e.kind {
	case plain:
		holder.content = append(holder.content, endTag)
		if parent := a.stack[len(a.stack)-1]; parent.kind == audit && e.name == parent.stampName {
			if parent.stamp != "" {
				return a.errorf(ErrRecord, "an AuditRecord has two times")
			}
			parent.stamp = strings.TrimSpace(string(e.text))
		}
	case audit:
		day, err := a.dayOf(e.stamp)
		if err != nil {
			return err
		}
		parent := a.stack[len(a.stack)-1]
		parent.records = append(parent.records, auditRecord{append(e.content, endTag), day})
		if len(parent.records)*len(e.content) > maxRecord {
			return a.errorf(ErrLimit, "an element has more than %d bytes of audit records", maxRecord)
		}
	case data:
		if err := a.close(e); err != nil {
			return err
		}
		a.path = a.path[:e.pathAt]
	}
	return a.bounded(len(holder.content))
}

// close hashes the records of a data element, now that all it holds is known.
func (a *auditor) close(e *element) error {
	for _, r := range e.records {
		a.seen(r.day)
		if a.day != "" && r.day != a.day {
			a.trail.Others++
			continue
		}
		if len(a.hashes) == MaxRecords {
			return a.errorf(ErrLimit, "more than %d audit records; give a day", MaxRecords)
		}
		a.record = append(append(a.record[:0], AuditVersion...), '\n')
		for _, part := range [][]byte{a.path, e.content, r.canonical} {
			a.record = append(a.record, part...)
		}
		a.hashes = append(a.hashes, [hashLength]byte(rfc6962.DefaultHasher.HashLeaf(a.record)))
	}
	return nil
}

func (a *auditor) seen(day string) {
	t := a.trail
	if t.First == "" || day < t.First {
		t.First = day
	}
	if day > t.Last {
		t.Last = day
	}
}

// dayOf returns the day that a time begins with, as it is written: an export has
// its records in the system's own time.
func (a *auditor) dayOf(stamp string) (string, error) {
	day, _, _ := strings.Cut(stamp, "T")
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return "", a.errorf(ErrRecord, "an AuditRecord has the time %.40q, want one such as 2026-01-31T15:04:05", stamp)
	}
	return day, nil
}

// finish computes the root over the sorted hashes.
func (a *auditor) finish() error {
	slices.SortFunc(a.hashes, func(x, y [hashLength]byte) int { return bytes.Compare(x[:], y[:]) })
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i := range a.hashes {
		if err := r.Append(a.hashes[i][:], nil); err != nil {
			return err
		}
	}
	root := rfc6962.DefaultHasher.EmptyRoot()
	if len(a.hashes) > 0 {
		var err error
		if root, err = r.GetRootHash(nil); err != nil {
			return err
		}
	}
	a.trail.Root, a.trail.Records = [hashLength]byte(root), uint64(len(a.hashes))
	return nil
}

// The canonical form of a record. A string is written as its length in bytes in
// decimal digits, a colon, and the bytes.
const (
	startTag     = '<' // name
	attributeTag = '@' // name, value
	textTag      = '"' // text
	endTag       = '>'
)

func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// appendStart writes an element's name and its attributes, which are sorted, but
// for declarations of namespaces.
func (a *auditor) appendStart(b []byte, t xml.StartElement) []byte {
	b = appendString(append(b, startTag), a.fullName(t.Name))
	for _, at := range t.Attr {
		if at.Name.Space == "xmlns" || at.Name.Space == "" && at.Name.Local == "xmlns" {
			continue
		}
		b = appendString(append(b, attributeTag), a.fullName(at.Name))
		b = appendString(b, at.Value)
	}
	return b
}

func appendText(b, text []byte) []byte { return appendString(append(b, textTag), text) }
