package blinding_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/blinding"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// look returns the places of the clues.
func look(t *testing.T, name, text string, what blinding.What) ([]string, string) {
	t.Helper()
	r, err := blinding.Look(t.Context(), name, strings.NewReader(text), what, dataset.Options{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var places []string
	for _, c := range r.Clues {
		places = append(places, c.Where)
	}
	return places, r.Unread
}

func ndjson(tb testing.TB, name string, columns []string, rows ...[]any) string {
	tb.Helper()
	return file(tb, datasettest.JSON{Lines: true}, datasettest.New(name, datasettest.Columns(columns...), rows...))
}

type format interface {
	Bytes(t *datasettest.Table) ([]byte, error)
}

func file(tb testing.TB, f format, t *datasettest.Table) string {
	tb.Helper()
	text, err := f.Bytes(t)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestTables: a variable that could unblind is found by its name or label where its
// values say something, and no other is.
func TestTables(t *testing.T) {
	dm := []string{"C8 USUBJID", "C8 ARMCD", "C20 ARM"}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"arms":                 {ndjson(t, "DM", dm, []any{"1", "", ""}, []any{"2", "PBO", "Low Dose"}), []string{"variable ARMCD", "variable ARM"}},
		"a blinded export":     {ndjson(t, "DM", dm, []any{"1", "BLINDED", "Blinded therapy"}, []any{"2", "SCRNFAIL", "Screen Failure"}, []any{"3", "", "NOT ASSIGNED"}), nil},
		"one of many is not":   {ndjson(t, "DM", dm, []any{"1", "BLINDED", "BLINDED"}, []any{"2", "BLINDED", "A"}), []string{"variable ARM"}},
		"analysis variables":   {ndjson(t, "ADSL", []string{"C8 USUBJID", "C8 TRT01A", "N8 TRT01PN", "C8 TRTSEQP", "N8 TR01AG1N", "N8 TRTSDT", "N8 AGE"}, []any{"1", "A", 1, "A-B", 2, 3, 4}), []string{"variable TRT01A", "variable TRT01PN", "variable TRTSEQP", "variable TR01AG1N"}},
		"doses of an analysis": {ndjson(t, "ADSL", []string{"C8 USUBJID", "N8 AVGDD", "N8 CUMDOSE", "N8 DOSE01A", "N8 CMDOSE"}, []any{"1", 0, 0, 0, 0}, []any{"2", 54, 972, 54, 5}), []string{"variable AVGDD", "variable CUMDOSE", "variable DOSE01A"}},
		"missing numbers":      {ndjson(t, "ADSL", []string{"C8 USUBJID", "N8 TRT01PN"}, []any{"1", nil}), nil},
		"doses that differ":    {ndjson(t, "EX", []string{"C8 USUBJID", "C8 EXTRT", "N8 EXDOSE"}, []any{"1", "STUDY DRUG", 54}, []any{"2", "STUDY DRUG", 0}), []string{"variable EXDOSE"}},
		"one dose":             {ndjson(t, "EX", []string{"C8 USUBJID", "C8 EXTRT", "N8 EXDOSE"}, []any{"1", "STUDY DRUG", 54}, []any{"2", "STUDY DRUG", 54}), nil},
		"lots that differ":     {ndjson(t, "DA", []string{"C8 USUBJID", "C8 DALOT"}, []any{"1", "A1"}, []any{"2", "B1"}), []string{"variable DALOT"}},
		"codes":                {ndjson(t, "IX", []string{"C8 USUBJID", "C8 RANDNO", "C8 kit_no"}, []any{"1", "0017", "K3"}), []string{"variable RANDNO", "variable kit_no"}},
		"a word in a value":    {ndjson(t, "AE", []string{"C8 USUBJID", "C40 AETERM"}, []any{"1", "Rash"}, []any{"2", "Rash after Placebo"}), []string{"variable AETERM, row 2"}},
		"part of a word":       {ndjson(t, "AE", []string{"C8 USUBJID", "C40 AETERM"}, []any{"1", "Shampoo, washboard"}), nil},
		"a supplement":         {ndjson(t, "SUPPDM", []string{"C8 USUBJID", "C8 QNAM", "C20 QVAL"}, []any{"1", "COMPLT8", "Y"}, []any{"1", "TRTGRP", "A"}, []any{"2", "TRTGRP", "B"}), []string{"variable TRTGRP in QNAM"}},
		"a blinded supplement": {ndjson(t, "SUPPDM", []string{"C8 USUBJID", "C8 QNAM", "C20 QVAL"}, []any{"1", "TRTGRP", "BLINDED"}), nil},
		"the trial's design":   {ndjson(t, "TA", []string{"C8 STUDYID", "C8 ARMCD", "C20 ARM"}, []any{"S", "PBO", "Placebo"}), nil},
		"design of somebody":   {ndjson(t, "TA", dm, []any{"1", "PBO", "Placebo"}), []string{"variable ARMCD", "variable ARM"}},
		"an empty table":       {ndjson(t, "DM", dm), nil},
	} {
		if got, unread := look(t, "x.ndjson", c.text, blinding.Data); !slices.Equal(got, c.want) || unread != "" {
			t.Errorf("%s: got %q (%s), want %q", name, got, unread, c.want)
		}
	}
}

// TestLabels: names are a sponsor's, labels tell.
func TestLabels(t *testing.T) {
	table := datasettest.New("XX", datasettest.Columns("C8 USUBJID", "C8 GRP", "C10 GRPDT", "C8 NR"), []any{"1", "A", "2026-01-02", "7"})
	for i, label := range []string{"Subject", "Description of Planned Arm", "Date of Treatment Assignment", "Randomization Number"} {
		table.Meta.Columns[i].Label = label
	}
	for _, text := range []string{file(t, datasettest.JSON{Lines: true}, table), file(t, datasettest.XPT{}, table)} {
		if got, unread := look(t, "x", text, blinding.Data); !slices.Equal(got, []string{"variable GRP", "variable NR"}) || unread != "" {
			t.Errorf("got %q (%s)", got, unread)
		}
	}
}

// TestDamagedTables: what cannot be read is said, and a name that could unblind is
// not passed over.
func TestDamagedTables(t *testing.T) {
	text := ndjson(t, "DM", []string{"C8 USUBJID", "C20 ARM"}, []any{"1", "BLINDED"}, []any{"2", "A"})
	cut := text[:strings.LastIndex(strings.TrimSpace(text), "\n")] + "\n[oops\n"
	got, unread := look(t, "x.ndjson", cut, blinding.Data)
	if !slices.Equal(got, []string{"variable ARM"}) || !strings.Contains(unread, "cannot be read") {
		t.Errorf("got %q (%s)", got, unread)
	}
}

func TestDelimited(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a list":           {"slot,arm\n1,A\n2,B\n", []string{"column arm"}},
		"with a mark":      {"\ufeffTreatment Group;Subject\nA;1\n", []string{"column Treatment Group"}},
		"tabs":             {"Kit No\tSite\n17\t701\n", []string{"column Kit No"}},
		"blinded":          {"subject,arm\n1,\n2,blinded\n", nil},
		"quotes":           {"subject,\"arm\"\n1,\"A, or B\"\n", []string{"column arm"}},
		"a word":           {"subject,note\n1,sham device\n", []string{"column note, row 1"}},
		"short rows":       {"subject,arm\n1,\n2\n3,A,x\n", []string{"column arm"}},
		"prose":            {"The arm, of the trial\nis not said.\n", nil},
		"nothing":          {"", nil},
		"UTF-16":           {"\xff\xfes\x00u\x00b\x00\t\x00a\x00r\x00m\x00\n\x001\x00\t\x00A\x00\n\x00", []string{"column arm"}},
		"UTF-16, reversed": {"\xfe\xff\x00a\x00;\x00a\x00r\x00m\x00\n\x001\x00;\x00A", []string{"column arm"}},
		"one line, no end": {"subject,arm", nil},
	} {
		if got, unread := look(t, "x.csv", c.text, blinding.Data); !slices.Equal(got, c.want) || unread != "" {
			t.Errorf("%s: got %q (%s), want %q", name, got, unread, c.want)
		}
	}
}

func TestNarratives(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a word":         {"The subject\nreceived PLACEBO.\nPlacebo!", []string{"line 2"}},
		"two words":      {"He was randomised\n to A, the active\tcomparator.", []string{"line 2", "line 2"}},
		"words apart":    {"The code. Break now; active, comparator", nil},
		"nothing":        {"The subject had a rash and recovered.", nil},
		"in XML":         {"<safetyreport><drug>Placebo</drug></safetyreport>", []string{"line 1"}},
		"with commas":    {"On day 1, it began\nOn day 2, placebo ended", []string{"line 2"}},
		"UTF-16":         {"\xff\xfea\x00\n\x00s\x00h\x00a\x00m\x00", []string{"line 2"}},
		"across a piece": {strings.Repeat("x", 64<<10-4) + " placebo", []string{"line 1"}},
	} {
		if got, unread := look(t, "x.txt", c.text, blinding.Narrative); !slices.Equal(got, c.want) || unread != "" {
			t.Errorf("%s: got %q (%s), want %q", name, got, unread, c.want)
		}
	}
	for _, text := range []string{"%PDF-1.7 placebo", "PK\x03\x04", "\x00\x01"} {
		if got, unread := look(t, "x", text, blinding.Narrative); got != nil || unread == "" {
			t.Errorf("%q: got %q (%s), want that it was not looked into", text, got, unread)
		}
	}
	for _, text := range []string{"PK\x03\x04", "a,arm\n\x00,A\n"} { // a workbook may hold a table
		if got, unread := look(t, "x", text, blinding.Data); got != nil || unread == "" {
			t.Errorf("%q among data: got %q (%s), want that it was not looked into", text, got, unread)
		}
	}
	if got, unread := look(t, "x", "%PDF-1.7", blinding.Data); got != nil || unread != "" {
		t.Errorf("a document among data: got %q (%s)", got, unread)
	}
}

func supply(quantities, items string) string {
	return `{"type":"EPCISDocument","epcisBody":{"eventList":[{"type":"ObjectEvent","eventTime":"2026-01-31T10:11:12Z","epcList":[` + items +
		`],"quantityList":[` + quantities + `]}]}}`
}

func TestSupply(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"one product":        {supply("", `"urn:epc:id:sgtin:952114.1012345.7","urn:epc:id:sgtin:952114.1012345.8","urn:epc:id:sscc:952114.1012345678"`), nil},
		"two products":       {supply("", `"urn:epc:id:sgtin:952114.1012345.7","urn:epc:id:sgtin:952114.1012346.8"`), []string{"items"}},
		"two by their links": {supply("", `"https://id.gs1.org/01/09521141012348/21/1","https://id.gs1.org/01/09521141012355/21/2"`), []string{"items"}},
		"a lot":              {supply(`{"epcClass":"urn:epc:class:lgtin:952114.1012345.L1"}`, ""), []string{"line 1", "event 1"}},
		"a lot by its link":  {supply(`{"epcClass":"https://id.gs1.org/01/09521141012348/10/L1"}`, ""), []string{"event 1"}},
		"its lot number":     {strings.Replace(supply("", ""), `"type":"ObjectEvent"`, `"type":"ObjectEvent","ilmd":{"cbvmda:lotNumber":"L1"}`, 1), []string{"line 1"}},
		"a list of kits":     {"kit,site\n1,701\n2,702\n", nil},
		"with numbers":       {"Kit Number,Site\n1,701\n2,702\n", []string{"column Kit Number"}},
		"XML":                {`<epcis:EPCISDocument><epc>urn:epc:class:lgtin:952114.1012345.L1</epc></epcis:EPCISDocument>`, []string{"line 1"}},
	} {
		if got, _ := look(t, "x.json", c.text, blinding.Supply); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if _, unread := look(t, "x.json", `{"type":"EPCISDocument","epcisBody":{"eventList":[{}]}}`, blinding.Supply); !strings.Contains(unread, "cannot be read") {
		t.Errorf("got %q, want that the events cannot be read", unread)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]int{
		"dm.xpt": 0, "dm_placebo.xpt": 1, "export/unblinded/dm.xpt": 1, "shampoo.csv": 0, "randomised-to-a.txt": 1,
	} {
		if got, _ := look(t, name, "x", blinding.Data); len(got) != want {
			t.Errorf("%s: got %q, want %d", name, got, want)
		}
	}
}

// TestNoValueIsRepeated: who reads the clues may be blinded.
func TestNoValueIsRepeated(t *testing.T) {
	text := ndjson(t, "DM", []string{"C8 USUBJID", "C20 ARM", "C20 RANDNO"}, []any{"SUBJ-17", "Xanomeline", "R-4711"})
	r, err := blinding.Look(t.Context(), "dm", strings.NewReader(text), blinding.Data, dataset.Options{})
	if err != nil || len(r.Clues) != 2 {
		t.Fatalf("got %v, %v", r, err)
	}
	for _, c := range r.Clues {
		if s := c.String(); strings.Contains(s, "Xanomeline") || strings.Contains(s, "4711") || strings.Contains(s, "SUBJ") {
			t.Errorf("got %q, which repeats a value", s)
		}
	}
}

type failing struct{ *bytes.Reader }

var errRead = errors.New("the disk fails")

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errRead }

func TestLookFails(t *testing.T) {
	if _, err := blinding.Look(t.Context(), "x", failing{bytes.NewReader([]byte("a,b"))}, blinding.Data, dataset.Options{}); !errors.Is(err, errRead) {
		t.Errorf("got %v, want %v", err, errRead)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{"a,arm\n1,\n", ndjson(t, "DM", []string{"C8 ARM"}, []any{"A"}), "words"} {
		if _, err := blinding.Look(ctx, "x", strings.NewReader(text), blinding.Narrative, dataset.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

// TestPublishedData: of the pilot's data exactly those tables have clues that name
// treatments.
func TestPublishedData(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(datasettest.Data(t, "cdisc-datasetjson"), "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range append(paths, datasettest.Data(t, "demo", "files", "randomisation_list.csv")) {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a folder
		}
		got, unread := look(t, filepath.Base(path), string(text), blinding.Data)
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		want := slices.Contains([]string{"dm", "adsl", "adae", "randomisation_list"}, name)
		if want != (len(got) > 0) || unread != "" {
			t.Errorf("%s: got %q (%s)", path, got, unread)
		}
		if want {
			seen++
		}
	}
	if seen < 10 {
		t.Errorf("got %d files that name treatments, want at least 10", seen)
	}
}

// Whatever the bytes, looking into them ends without an error and gives clues with
// a place and a reason.
func FuzzLook(f *testing.F) {
	f.Add("a.csv", "slot,arm\n1,A\n", byte(0))
	f.Add("x.ndjson", ndjson(f, "DM", []string{"C8 USUBJID", "C20 ARM"}, []any{"1", "A"}), byte(0))
	f.Add("x.xpt", file(f, datasettest.XPT{}, datasettest.New("DM", datasettest.Columns("C8 ARM"), []any{"A"})), byte(0))
	f.Add("x.json", supply(`{"epcClass":"urn:epc:class:lgtin:952114.1012345.L1"}`, ""), byte(1))
	f.Add("placebo", "active\xffcomparator \"x\n\"arm\";\"b", byte(2))
	f.Fuzz(func(t *testing.T, name, text string, what byte) {
		r, err := blinding.Look(t.Context(), name, strings.NewReader(text), blinding.What(what%3), dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Clues {
			if c.Where == "" || c.Why == "" {
				t.Errorf("got %+v", c)
			}
		}
	})
}
