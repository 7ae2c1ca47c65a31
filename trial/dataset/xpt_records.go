package dataset

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A transport file is records of 80 bytes. Those that say what follows begin with
// 48 bytes of fixed text, which names the section, and end with numbers.
const (
	recordSize   = 80
	headerPrefix = "HEADER RECORD*******"
	headerMiddle = "HEADER RECORD!!!!!!!"
	headerSize   = len(headerPrefix) + 8 + len(headerMiddle)
)

// records reads the head of a transport file.
type records struct {
	src Source
	off int64
}

// where names the record at an offset, counted from one.
func where(off int64) string { return fmt.Sprintf("record %d", off/recordSize+1) }

// read returns the next n bytes.
func (r *records) read(n int) (string, error) {
	buf := make([]byte, n)
	got, err := r.src.ReadAt(buf, r.off)
	if got == n {
		r.off += int64(n)
		return string(buf), nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return "", errorAt(ErrTruncated, where(r.off), "file ends in its header, after %d bytes", r.off+int64(got))
	}
	return "", err
}

// skipPadding goes on to the next record and checks that what it skips is blank.
func (r *records) skipPadding() error {
	n := int((recordSize - r.off%recordSize) % recordSize)
	at := r.off
	s, err := r.read(n)
	if err != nil {
		return err
	}
	if strings.Trim(s, " \x00") != "" {
		return errorAt(ErrHeader, where(at), "padding is not blank")
	}
	return nil
}

// section returns the name of a header record, or "" where s is none.
func section(s string) string {
	if len(s) < headerSize || s[:len(headerPrefix)] != headerPrefix || s[len(headerPrefix)+8:headerSize] != headerMiddle {
		return ""
	}
	return strings.TrimRight(s[len(headerPrefix):len(headerPrefix)+8], " ")
}

// header reads the next record, which must be one of the sections named, and
// returns the section's name and the record's numbers.
func (r *records) header(names ...string) (name, numbers string, err error) {
	at := r.off
	s, err := r.read(recordSize)
	if err != nil {
		return "", "", err
	}
	name = section(s)
	if slices.Contains(names, name) {
		return name, s[headerSize:], nil
	}
	return "", "", errorAt(ErrHeader, where(at), "want a header record %s, got %.48q", strings.Join(names, " or "), s)
}

// count parses a number in a header record, padded with blanks or zeros.
func count(s string) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.Trim(s, " \x00"), 10, 64)
	return n, err == nil && n >= 0
}
