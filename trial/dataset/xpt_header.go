package dataset

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// sections are the names of a version's header records.
type sections struct {
	library, member, descriptor, names, rows string
}

var (
	sections5 = sections{"LIBRARY", "MEMBER", "DSCRPTR", "NAMESTR", "OBS"}
	sections8 = sections{"LIBV8", "MEMBV8", "DSCPTV8", "NAMSTV8", "OBSV8"}
)

// field is where a column lies in a row.
type field struct {
	index     int // of the column
	at, size  int
	character bool
	mask      uint64 // of the bytes that a number has
}

// xptHeader is what precedes the rows.
type xptHeader struct {
	meta   *Meta
	fields []field // in the order of the columns
	row    int     // bytes of a row
	data   int64   // offset of the first row
	rows   int64   // as the header says, or -1
	// rowsAt is the offset of the record that says how many rows there are.
	rowsAt int64
}

// xptParser reads the head of a transport file.
type xptParser struct {
	records
	sections sections
	text     *decoder
	h        *xptHeader
	namestr  int      // bytes of the description of a variable
	numbers  []uint16 // of the variables, for the long labels
}

// parseXPTHeader reads the head of a transport file up to its first row.
func parseXPTHeader(src Source, text *decoder) (*xptHeader, error) {
	h := &xptHeader{rows: -1, meta: &Meta{Format: XPT5, Encoding: text.name, Rows: -1, Source: map[string]string{}}}
	p := &xptParser{records: records{src: src}, sections: sections5, text: text, h: h}
	name, _, err := p.header(sections5.library, sections8.library)
	if err != nil {
		return nil, err
	}
	if name == sections8.library {
		p.sections, h.meta.Format = sections8, XPT8
	}
	for _, parse := range []func() error{p.library, p.member, p.variables, p.labels} {
		if err := parse(); err != nil {
			return nil, err
		}
	}
	h.data = p.off
	return h, p.layout()
}

// v8 reports whether the file is of version 8.
func (p *xptParser) v8() bool { return p.h.meta.Format == XPT8 }

// decodeHead returns a text of the header, without its padding of blanks or NULs.
func (p *xptParser) decodeHead(at int64, what, s string) (string, error) {
	text, ok := p.text.decode(strings.TrimRight(s, " \x00"))
	if !ok {
		return "", errorAt(ErrText, where(at), "%s is not %s: if the file is in another encoding, name it", what, p.text.name)
	}
	return text, nil
}

// keep keeps what the file says about its making; unreadable text is left out,
// for nothing depends on it.
func (p *xptParser) keep(name, s string) {
	if text, ok := p.text.decode(strings.Trim(s, " \x00")); ok && text != "" {
		p.h.meta.Source[name] = text
	}
}

// library reads the two records about the file.
func (p *xptParser) library() error {
	s, err := p.read(2 * recordSize)
	if err != nil {
		return err
	}
	p.keep("sasVersion", s[24:32])
	p.keep("operatingSystem", s[32:40])
	p.keep("created", s[64:80])
	p.keep("modified", s[80:96])
	return nil
}

// member reads the header of the table, up to the header of its variables.
func (p *xptParser) member() error {
	at := p.off
	_, numbers, err := p.header(p.sections.member)
	if err != nil {
		return err
	}
	size, _ := count(numbers[24:30])
	if p.namestr = int(size); p.namestr != namestr && (p.namestr != namestrVAX || p.v8()) {
		return errorAt(ErrHeader, where(at), "a description of a variable has %q bytes, want %d", numbers[24:30], namestr)
	}
	if _, _, err := p.header(p.sections.descriptor); err != nil {
		return err
	}
	at = p.off
	s, err := p.read(2 * recordSize)
	if err != nil {
		return err
	}
	name, label := s[8:16], s[112:152]
	if p.v8() {
		name = s[8:40]
	}
	if p.h.meta.Name, err = p.decodeHead(at, "name of the dataset", name); err != nil {
		return err
	}
	if p.h.meta.Label, err = p.decodeHead(at+recordSize, "label of the dataset", label); err != nil {
		return err
	}
	p.keep("datasetCreated", s[64:80])
	p.keep("datasetModified", s[80:96])
	return nil
}

// The size of the description of a variable. That of VAX/VMS lacks four of the
// bytes at its end, which say nothing.
const (
	namestr    = 140
	namestrVAX = 136
)

// variables reads the descriptions of the variables.
func (p *xptParser) variables() error {
	at := p.off
	_, numbers, err := p.header(p.sections.names)
	if err != nil {
		return err
	}
	// SPEC: SAS's own %xpt2loc reads columns 53 to 58, wherever a writer puts
	// the four to six digits of the documentation.
	n, ok := count(numbers[4:10])
	if !ok || n == 0 {
		return errorAt(ErrHeader, where(at), "number of variables is %q", numbers[4:10])
	}
	if n > MaxColumns {
		return errorAt(ErrLimit, where(at), "header says %d variables, at most %d are read", n, MaxColumns)
	}
	if need, left := n*int64(p.namestr), p.src.Size()-p.off; need > left {
		return errorAt(ErrTruncated, where(at), "header says %d variables, which need %d bytes, and %d are left", n, need, left)
	}
	for i := range int(n) {
		if err := p.variable(i); err != nil {
			return err
		}
	}
	return p.skipPadding()
}

// variable reads the description of one variable.
func (p *xptParser) variable(i int) error {
	at := p.off
	s, err := p.read(p.namestr)
	if err != nil {
		return err
	}
	b := []byte(s)
	short := func(at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	c, f := Column{}, field{index: i}
	name := s[8:16]
	if p.v8() && strings.Trim(s[88:120], " \x00") != "" {
		name = s[88:120]
	}
	if c.Name, err = p.decodeHead(at, "name of a variable", name); err != nil {
		return err
	}
	if c.Label, err = p.decodeHead(at, "label of variable "+c.Name, s[16:56]); err != nil {
		return err
	}
	if c.Format, err = p.decodeHead(at, "format of variable "+c.Name, s[56:64]); err != nil {
		return err
	}
	c.Format = formatName(c.Format, short(64), short(66))
	f.size, c.Length = short(4), short(4)
	switch kind := short(0); {
	case kind == 1 && f.size >= 2 && f.size <= 8:
		c.Type, f.mask = Numeric, ^uint64(0)<<(64-8*f.size)
	case kind == 2 && f.size >= 1 && f.size <= 1<<15-1:
		c.Type, f.character = Character, true
	case kind == 1 || kind == 2:
		return errorAt(ErrLimit, where(at), "variable %s has a length of %d", c.Name, f.size)
	default:
		return errorAt(ErrHeader, where(at), "variable %s is of type %d, want 1 (numeric) or 2 (character)", c.Name, kind)
	}
	position := binary.BigEndian.Uint32(b[84:])
	if position > MaxRowLength {
		return errorAt(ErrLimit, where(at), "variable %s is at byte %d of a row, at most %d are read", c.Name, position, MaxRowLength)
	}
	f.at = int(position)
	p.h.meta.Columns = append(p.h.meta.Columns, c)
	p.h.fields = append(p.h.fields, f)
	p.numbers = append(p.numbers, binary.BigEndian.Uint16(b[6:]))
	return nil
}

// formatName spells a format as SAS does.
func formatName(name string, width, decimals int) string {
	switch {
	case name == "" && width == 0:
		return ""
	case decimals > 0:
		return fmt.Sprintf("%s%d.%d", name, width, decimals)
	case width > 0:
		return fmt.Sprintf("%s%d.", name, width)
	}
	return name + "."
}

// layout checks that the variables fill a row without gap or overlap.
func (p *xptParser) layout() error {
	order := slices.Clone(p.h.fields)
	slices.SortStableFunc(order, func(a, b field) int { return a.at - b.at })
	for _, f := range order {
		if f.at != p.h.row {
			return errorAt(ErrHeader, "", "variable %s is at byte %d of a row, want %d", p.h.meta.Columns[f.index].Name, f.at, p.h.row)
		}
		if p.h.row += f.size; p.h.row > MaxRowLength {
			return errorAt(ErrLimit, "", "rows have more than %d bytes", MaxRowLength)
		}
	}
	_, err := sortColumns(p.h.meta.Columns)
	return err
}
