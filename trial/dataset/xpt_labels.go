package dataset

import (
	"encoding/binary"
	"slices"
	"strings"
)

// The sections of version 8 and 9 for what a description has no room for: labels
// of more than 40 bytes, and names of formats of more than 8.
const (
	labels8 = "LABELV8"
	labels9 = "LABELV9"
)

// maxLabel is more than SAS writes (256), and small enough that a forged header
// cannot fill the memory.
const maxLabel = 4096

// labels reads the long labels, if there are any, and the header of the rows.
func (p *xptParser) labels() error {
	names := []string{p.sections.rows}
	if p.v8() {
		names = append(names, labels8, labels9)
	}
	at := p.off
	name, numbers, err := p.header(names...)
	if err != nil {
		return err
	}
	if name == labels8 || name == labels9 {
		n, ok := count(numbers)
		if !ok || n > int64(len(p.h.fields)) {
			return errorAt(ErrHeader, where(at), "number of long labels is %q, and there are %d variables", strings.TrimSpace(numbers), len(p.h.fields))
		}
		for range n {
			if err := p.label(name); err != nil {
				return err
			}
		}
		if err := p.skipPadding(); err != nil {
			return err
		}
		at = p.off
		if _, numbers, err = p.header(p.sections.rows); err != nil {
			return err
		}
	}
	return p.rowCount(at, numbers)
}

// label reads one entry of the section: the variable's number, the lengths of
// its name, label, format and informat, and those texts.
func (p *xptParser) label(section string) error {
	at := p.off
	lengths := 2
	if section == labels9 {
		lengths = 4
	}
	s, err := p.read(2 + 2*lengths)
	if err != nil {
		return err
	}
	head := []byte(s)
	number := binary.BigEndian.Uint16(head)
	var texts [4]string
	for i := range lengths {
		size := int(binary.BigEndian.Uint16(head[2+2*i:]))
		if size > maxLabel {
			return errorAt(ErrLimit, where(at), "a long label has %d bytes, at most %d are read", size, maxLabel)
		}
		if s, err = p.read(size); err != nil {
			return err
		}
		if texts[i], err = p.decodeHead(at, "a long label", s); err != nil {
			return err
		}
	}
	// Some writers count variables from 0, in both places.
	i := slices.Index(p.numbers, number)
	if i < 0 {
		return errorAt(ErrHeader, where(at), "long label of variable number %d, which is not there", number)
	}
	c := &p.h.meta.Columns[i]
	if UpperName(texts[0]) != UpperName(c.Name) {
		return errorAt(ErrHeader, where(at), "long label of variable number %d calls it %q, its description %q", number, texts[0], c.Name)
	}
	c.Label = texts[1]
	if texts[2] != "" {
		c.Format = texts[2]
	}
	return nil
}

// rowCount reads how many rows there are, where the header says it. Fifteen zeros
// say nothing: writers that do not count leave them, and so does version 5.
func (p *xptParser) rowCount(at int64, numbers string) error {
	digits := numbers[:15]
	if !p.v8() || strings.Trim(digits, "0") == "" || strings.Trim(digits, " \x00") == "" {
		return nil
	}
	n, ok := count(digits)
	if !ok {
		return errorAt(ErrHeader, where(at), "number of rows is %q", digits)
	}
	p.h.rows, p.h.meta.Rows, p.h.rowsAt = n, n, at
	return nil
}
