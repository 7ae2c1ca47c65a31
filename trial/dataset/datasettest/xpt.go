package datasettest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// XPT says how a transport file is written. The zero value writes version 5.
type XPT struct {
	Version int    // 5, or 8 for long names and labels
	Repeat  int    // how often the rows are written, for large files; 0 is once
	Stamp   string // time in the header, for example "21AUG20:09:14:29"
	// Uncounted leaves the number of rows out of a version 8 header, as some
	// writers do.
	Uncounted bool
	NULs      bool // pad text of the header with NULs
}

// Bytes returns a file that holds the table.
func (x XPT) Bytes(t *Table) ([]byte, error) {
	var b bytes.Buffer
	err := x.Write(&b, t)
	return b.Bytes(), err
}

// Write writes a file that holds the table.
func (x XPT) Write(out io.Writer, t *Table) error {
	if x.Stamp == "" {
		x.Stamp = "01JAN20:00:00:00"
	}
	x.Repeat = max(1, x.Repeat)
	w := &xptWriter{XPT: x, out: bufio.NewWriterSize(out, 1<<20)}
	w.head(t)
	w.names(t)
	w.rowsHeader(t)
	if err := w.rows(t); err != nil {
		return err
	}
	return w.out.Flush()
}

type xptWriter struct {
	XPT
	out *bufio.Writer
	n   int64
}

// put writes s, padded to a width.
func (w *xptWriter) put(s string, width int) {
	pad := " "
	if w.NULs {
		pad = "\x00"
	}
	if len(s) < width {
		s += strings.Repeat(pad, width-len(s))
	}
	w.raw([]byte(s[:width]))
}

func (w *xptWriter) raw(b []byte) {
	n, _ := w.out.Write(b) // the error comes back from Flush
	w.n += int64(n)
}

// fill goes on to the next record.
func (w *xptWriter) fill() {
	w.raw([]byte(strings.Repeat(" ", int((80-w.n%80)%80))))
}

// section writes a header record.
func (w *xptWriter) section(name5, name8, numbers string) {
	if w.Version == 8 {
		name5 = name8
	}
	w.raw(fmt.Appendf(nil, "HEADER RECORD*******%-8sHEADER RECORD!!!!!!!%-32s", name5, numbers))
}

const zeros = "000000000000000000000000000000"

func (w *xptWriter) head(t *Table) {
	w.section("LIBRARY", "LIBV8", zeros)
	w.raw(fmt.Appendf(nil, "%-8s%-8s%-8s%-8s%-32s%-16s%-80s", "SAS", "SAS", "SASLIB", "9.4", "Linux", w.Stamp, w.Stamp))
	w.section("MEMBER", "MEMBV8", "000000000000000001600000000140")
	w.section("DSCRPTR", "DSCPTV8", zeros)
	w.raw([]byte("SAS     "))
	if w.Version == 8 {
		w.put(t.Meta.Name, 32)
		w.raw(fmt.Appendf(nil, "%-8s%-8s%-8s", "SASDATA", "9.4", "Linux"))
	} else {
		w.put(t.Meta.Name, 8)
		w.raw(fmt.Appendf(nil, "%-8s%-8s%-32s", "SASDATA", "9.4", "Linux"))
	}
	w.raw(fmt.Appendf(nil, "%-16s%-32s", w.Stamp, w.Stamp))
	w.put(t.Meta.Label, 40)
	w.raw([]byte("        "))
}

// names writes the descriptions of the variables, and their long labels.
func (w *xptWriter) names(t *Table) {
	w.section("NAMESTR", "NAMSTV8", fmt.Sprintf("000000%04d00000000000000000000", len(t.Meta.Columns)))
	at, long, section := 0, 0, "LABELV8"
	for i, c := range t.Meta.Columns {
		kind := uint16(1)
		if c.Type == dataset.Character {
			kind = 2
		}
		format := strings.TrimSuffix(c.Format, ".")
		if len(format) > 8 {
			section = "LABELV9"
		}
		if len(c.Label) > 40 || len(format) > 8 {
			long++
		}
		w.raw(shorts(kind, 0, uint16(c.Length), uint16(i+1)))
		w.put(c.Name, 8)
		w.put(c.Label, 40)
		w.put(format, 8)
		w.raw(make([]byte, 8))
		w.put("", 8)
		w.raw(make([]byte, 4))
		w.raw(binary.BigEndian.AppendUint32(nil, uint32(at)))
		if w.Version == 8 {
			w.put(c.Name, 32)
			w.raw(append(shorts(uint16(len(c.Label))), make([]byte, 18)...))
		} else {
			w.raw(make([]byte, 52))
		}
		at += c.Length
	}
	w.fill()
	if w.Version != 8 || long == 0 {
		return
	}
	w.section("", section, fmt.Sprint(long))
	for i, c := range t.Meta.Columns {
		switch {
		case len(c.Label) <= 40 && len(strings.TrimSuffix(c.Format, ".")) <= 8:
		case section == "LABELV8":
			w.raw(shorts(uint16(i+1), uint16(len(c.Name)), uint16(len(c.Label))))
			w.raw([]byte(c.Name + c.Label))
		default:
			w.raw(shorts(uint16(i+1), uint16(len(c.Name)), uint16(len(c.Label)), uint16(len(c.Format)), 0))
			w.raw([]byte(c.Name + c.Label + c.Format))
		}
	}
	w.fill()
}

func shorts(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func (w *xptWriter) rowsHeader(t *Table) {
	numbers := zeros
	if w.Version == 8 && !w.Uncounted {
		numbers = fmt.Sprintf("%15d", len(t.Rows)*w.Repeat)
	}
	w.section("OBS", "OBSV8", numbers)
}

func (w *xptWriter) rows(t *Table) error {
	var block []byte
	var err error
	for i, row := range t.Rows {
		for j, c := range t.Meta.Columns {
			if block, err = appendCell(block, row[j], c); err != nil {
				return fmt.Errorf("row %d column %s: %w", i+1, c.Name, err)
			}
		}
	}
	for range w.Repeat {
		w.raw(block)
	}
	w.fill()
	return nil
}

// appendCell appends a value as the file holds it.
func appendCell(b []byte, v dataset.Value, c dataset.Column) ([]byte, error) {
	switch {
	case v.Kind() == dataset.KindText && c.Type == dataset.Character && len(v.Text()) <= c.Length:
		return append(append(b, v.Text()...), strings.Repeat(" ", c.Length-len(v.Text()))...), nil
	case v.Kind() == dataset.KindMissing && c.Type == dataset.Numeric:
		return append(append(b, v.Code()), make([]byte, c.Length-1)...), nil
	case v.Kind() == dataset.KindNumber && c.Type == dataset.Numeric:
		u, ok := IBM(v)
		if !ok || u<<(8*c.Length) != 0 {
			return nil, fmt.Errorf("number %v does not fit %d bytes", v, c.Length)
		}
		return append(b, binary.BigEndian.AppendUint64(nil, u)[:c.Length]...), nil
	}
	return nil, fmt.Errorf("value %q does not fit a %s column of %d bytes", v.String(), c.Type, c.Length)
}

// IBM returns a number as IBM hexadecimal floating point, normalised, or false
// where the format cannot hold it exactly.
func IBM(v dataset.Value) (u uint64, ok bool) {
	negative, mant, exp := v.Exact()
	if mant == 0 {
		return 0, true
	}
	// mant × 2^exp = fraction × 2^-56 × 16^e, with e as small as it can be.
	length := bits.Len64(mant) + exp
	e := (length + 3) >> 2
	shift := exp - 4*e + 56
	if e < -64 || e > 63 || shift < 0 {
		return 0, false
	}
	u = uint64(e+64)<<56 | mant<<shift
	if negative {
		u |= 1 << 63
	}
	return u, true
}
