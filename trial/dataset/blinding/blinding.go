// Package blinding looks for what could tell, in a file of a blinded trial, who
// gets which treatment: variables of treatment and randomisation in a table, lots
// and kinds of products in a document of the supply chain, and telling words in a
// narrative.
//
// It finds what people put into such files by mistake, by names and words that are
// common. It cannot know a trial's own names, so that no clue is no proof. It reads
// a file as a stream, keeps nothing of it, and repeats no value: what it says may
// be read by somebody who is blinded.
package blinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/epcis"
)

// What a file is looked at as.
type What byte

// The kinds of files.
const (
	// Data are tables: each variable is looked at.
	Data What = iota
	// Supply is a document of the supply chain; it may also be a table, such as a
	// list of kits.
	Supply
	// Narrative is a report in words; it may also be a table.
	Narrative
)

// Clue is a place in a file that could unblind.
type Clue struct {
	// Where is the place, such as "variable ARM" or "line 12".
	Where string
	// Why says in plain words what it could tell, without a value.
	Why string
}

func (c Clue) String() string { return c.Where + ": " + c.Why }

// Report is what was found in a file.
type Report struct {
	Clues []Clue
	// Unread says why the file, or a part of it, was not looked into; empty where it
	// was.
	Unread string
}

// maxText is how much is read of a file that is no table of a format with types.
const maxText = 64 << 20

// Look looks into a file. Its name is looked at too, since it goes into the
// statement. What is wrong in the file is part of the report; the error is of
// reading.
func Look(ctx context.Context, name string, src dataset.Source, what What, o dataset.Options) (Report, error) {
	r := Report{Clues: inName(name)}
	head := make([]byte, min(dataset.HeadLength, src.Size()))
	if n, err := src.ReadAt(head, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(head)) {
		return r, err
	}
	format := dataset.Detect(head)
	if format.Table() {
		return r, r.table(ctx, src, o)
	}
	text := func() io.Reader { return io.NewSectionReader(src, 0, min(src.Size(), maxText)) }
	if format == dataset.FormatUnknown && isUTF16(head) { // as spreadsheets write it
		text = func() io.Reader {
			decoder := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
			return transform.NewReader(io.NewSectionReader(src, 0, min(src.Size(), maxText)), decoder)
		}
		n, err := io.ReadFull(text(), head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return r, err
		}
		head = head[:n]
	}
	document := format == dataset.PDF || format == dataset.DICOM
	if format == dataset.FormatUnknown && !isText(head) || format == dataset.ZIP || document {
		if what != Data || !document && len(head) > 0 { // a workbook may hold a table
			r.Unread = "the format is not read here: look into it yourself"
		}
		return r, nil
	}
	if src.Size() > maxText {
		r.Unread = fmt.Sprintf("only the first %d MiB were looked at", maxText>>20)
	}
	if format == dataset.FormatUnknown {
		if err := r.delimited(ctx, text(), head, what == Data); err != nil {
			return r, err
		}
	}
	if what == Data {
		return r, nil
	}
	if err := r.text(ctx, text(), what); err != nil {
		return r, err
	}
	if what == Supply && format == dataset.EPCIS {
		return r, r.supply(io.NewSectionReader(src, 0, src.Size()))
	}
	return r, nil
}

func (r *Report) addf(where, format string, args ...any) {
	r.Clues = append(r.Clues, Clue{where, fmt.Sprintf(format, args...)})
}

// supply looks at the items of an EPCIS document.
func (r *Report) supply(src io.Reader) error {
	events, err := epcis.Read(src)
	switch {
	case errors.Is(err, epcis.ErrSyntax), errors.Is(err, epcis.ErrNotEPCIS), errors.Is(err, epcis.ErrLimit):
		r.Unread = "its events cannot be read: " + err.Error()
		return nil
	case err != nil:
		return err
	}
	products := map[string]bool{}
	for i, e := range events {
		if slices.ContainsFunc(e.Classes, lot) {
			r.addf(fmt.Sprintf("event %d", i+1), "it names a lot, and a lot can tell the treatment")
		}
		for _, item := range append(e.Items, e.Classes...) {
			if p := product(item); p != "" {
				products[p] = true
			}
		}
	}
	if len(products) > 1 {
		r.addf("items", "they are of %d different products, and a product can tell the treatment", len(products))
	}
	return nil
}
