package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// madeUpTrial is a small trial with what only a hostile signer would write.
func madeUpTrial() *folded {
	at := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	lock, late := trial.ID{1}, trial.ID{2}
	signer := trial.Signer{KeyID: trial.KeyID{9}, Name: "=HYPERLINK(\"x\")", Role: "data-manager", Organisation: "@SUM(A1)"}
	r := &chronology.Report{
		Trial: trial.ID{7}, Numbers: []string{"NCT04573309"}, Sponsor: "Example Pharma", Sites: []trial.Site{{ID: "701"}},
		RulePack: strings.Repeat("5a", 32), Position: 12, Time: at.AddDate(0, 0, 1), Statements: 9, Origin: "log.example", Size: 13,
		Withheld: new(uint64(2)), Notes: []string{"A note."},
		Events: []chronology.Event{
			{
				Index: 10, Type: trial.EventLogged, Status: trial.StatusPending, Statement: lock, Logged: 10, Kind: trial.KindDatabaseLock,
				Title: "Database lock L1 (final), 1 member", Detail: "Waits for biostatistician", Signer: signer,
			},
			{
				Index: 11, Time: at, Type: trial.EventEffect, Status: trial.StatusEffective, Statement: lock, Logged: 10,
				Kind: trial.KindDatabaseLock, Title: "Database lock L1 (final), 1 member", Detail: "-1+cmd|' /C calc'!A0", Signer: signer,
				Closed: []chronology.Ref{{Rule: "R14", Statement: lock, Severity: trial.SeverityMajor}},
			},
			{
				Index: 12, Time: at.AddDate(0, 0, 1), Type: trial.EventLogged, Status: trial.StatusEffective, Statement: late, Logged: 12,
				Kind: trial.KindDataset, Site: "701", Version: "2", Title: "+Dataset, \"DM\"", Declared: trial.NewInstant(at, "Europe/Berlin"),
				Signer: signer, Opened: []chronology.Ref{{Rule: "R10", Statement: late, Severity: trial.SeverityMajor}},
			},
		},
		Findings: []rules.Finding{
			{Rule: "R14", Title: "Acts are endorsed in time", Severity: trial.SeverityMajor, Statement: lock, Index: 9, Why: "Late.", Closed: new(uint64(11))},
			{
				Rule: "R10", Title: "Data respect the lock", Clauses: []string{"21 CFR 11.10(e)"}, Severity: trial.SeverityMajor, Statement: late,
				Site: "701", Index: 12, Time: at.AddDate(0, 0, 1), Why: "=Data were sent while they were locked.",
			},
		},
		Windows: []chronology.Window{{Statement: lock, Label: "L1", Type: trial.LockFinal, Begin: 11, From: at, Members: 1}},
	}
	return &folded{report: r, view: rules.View{Folded: [32]byte{3}, Digest: [32]byte{4}}}
}

func TestChronologyOutput(t *testing.T) {
	f := madeUpTrial()
	golden(t, "chronology", newChronologyResult(f), func(w io.Writer) { printChronology(w, f.report) })
	goldenFile(t, "chronology.csv", func(w io.Writer) error { return writeCSV(w, eventLines(f.report)) })
	goldenFile(t, "findings.csv", func(w io.Writer) error { return writeCSV(w, findingLines(f.report)) })
}

// goldenFile compares what is written with a file of testdata/golden.
func goldenFile(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, out.Bytes(), want)
	}
}

// No spreadsheet takes what somebody signed for a formula.
func TestCSVFormulas(t *testing.T) {
	f := madeUpTrial()
	for _, line := range append(eventLines(f.report), findingLines(f.report)...) {
		var out bytes.Buffer
		if err := writeCSV(&out, [][]string{line}); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{",=", ",+", ",-1", ",@", ",\"=", ",\"+", ",\"@", ",\"-"} {
			if strings.Contains(","+out.String(), bad) {
				t.Errorf("%q holds %q", out.String(), bad)
			}
		}
	}
}

// Nor what a table holds.
func TestDiffCSVFormulas(t *testing.T) {
	r := &diffResult{A: "a.xpt", B: "-b.xpt", Verdict: receipt.DataDiffer, Diff: &dataset.Diff{
		Changed: []dataset.CellChange{{Variable: "AETERM", RowA: 1, RowB: 1, A: "=HYPERLINK(1)", B: "-5"}},
	}}
	var out bytes.Buffer
	if err := r.writeCSV(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{",'-b.xpt,", ",'=HYPERLINK(1),-5,"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out.String(), want)
		}
	}
}

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		o                chronologyOptions
		events, findings int
	}{
		"all":        {chronologyOptions{}, 3, 2},
		"a site":     {chronologyOptions{site: "701"}, 1, 1},
		"a kind":     {chronologyOptions{kind: "database-lock"}, 2, 0},
		"a day":      {chronologyOptions{since: "2026-01-31", before: "2026-02-01"}, 1, 0},
		"none of it": {chronologyOptions{since: "2027-01-01"}, 0, 0},
	} {
		r := madeUpTrial().report
		if err := c.o.choose(r); err != nil {
			t.Fatal(err)
		}
		if len(r.Events) != c.events || c.o != (chronologyOptions{}) && len(r.Findings) != c.findings {
			t.Errorf("%s: got %d events and %d findings, want %d and %d", name, len(r.Events), len(r.Findings), c.events, c.findings)
		}
	}
}
