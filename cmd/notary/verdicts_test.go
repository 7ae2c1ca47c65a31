package main

import (
	"os"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// cmdTable writes a file with a table: table FILE FORMAT [latin1] [stamp] [label] [cell].
// The format is xpt5, xpt8, json, ndjson or dsjc; latin1 writes the text in
// ISO 8859-1, stamp another time into a transport file, label another label, cell
// another value of one cell.
func cmdTable(ts *testscript.TestScript, _ bool, args []string) {
	is := func(word string) bool { return slices.Contains(args[2:], word) }
	name, age := "André", 63
	if is("latin1") {
		name = "Andr\xe9"
	}
	if is("cell") {
		age = 64
	}
	t := datasettest.New("DM", datasettest.Columns("C6 USUBJID", "C12 NAME", "N8 AGE"),
		[]any{"701-01", name, age}, []any{"701-02", "Zo", 70}, []any{"701-03", "", nil})
	for i := range t.Meta.Columns {
		t.Meta.Columns[i].Label = "Label"
	}
	if is("label") {
		t.Meta.Columns[2].Label = "Age (years)"
	}
	x := datasettest.XPT{Stamp: "01JAN26:00:00:00"}
	if is("stamp") {
		x.Stamp = "02FEB26:00:00:00"
	}
	var text []byte
	var err error
	switch dataset.Format(args[1]) {
	case dataset.XPT8:
		x.Version = 8
		text, err = x.Bytes(t)
	case dataset.XPT5:
		text, err = x.Bytes(t)
	default:
		text, err = datasettest.JSON{Lines: args[1] != "json", Compress: args[1] == "dsjc"}.Bytes(t)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o644))
}
