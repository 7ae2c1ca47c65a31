package odm_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
	"github.com/trialnotary/trialnotary/trial/dataset/odm"
)

// define is a define.xml that names files.
func define(hrefs ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet type="text/xsl" href="define2-1.xsl"?>
<ODM xmlns="` + odm13 + `" xmlns:def="http://www.cdisc.org/ns/def/v2.1" xmlns:xlink="http://www.w3.org/1999/xlink">
<Study OID="S"><MetaDataVersion OID="M" def:DefineVersion="2.1.0">`)
	for _, h := range hrefs {
		b.WriteString(`<def:leaf ID="LF.` + h + `" xlink:href="` + h + `"><def:title>` + h + ` title</def:title></def:leaf>`)
	}
	b.WriteString(`</MetaDataVersion></Study></ODM>`)
	return b.String()
}

func TestLeaves(t *testing.T) {
	t.Parallel()
	got, err := odm.Leaves(strings.NewReader(define("dm.xpt", "acrf.pdf")))
	want := []odm.Leaf{{ID: "LF.dm.xpt", Href: "dm.xpt", Title: "dm.xpt title"}, {ID: "LF.acrf.pdf", Href: "acrf.pdf", Title: "acrf.pdf title"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestLeavesRefused(t *testing.T) {
	t.Parallel()
	base := define("dm.xpt")
	tests := map[string]struct {
		text string
		want error
	}{
		"no ODM":    {"<html/>", odm.ErrNotDefine},
		"an export": {export("F", "x", first), odm.ErrNotDefine},
		"no href":   {strings.Replace(base, "xlink:href", "href", 1), odm.ErrNotDefine},
		"cut":       {base[:300], odm.ErrSyntax},
		"entity":    {strings.Replace(base, "dm.xpt title", "&x;", 1), odm.ErrDTD},
		"many":      {strings.Replace(base, "</MetaDataVersion>", strings.Repeat(`<def:leaf xlink:href="x"/>`, 100_001)+"</MetaDataVersion>", 1), odm.ErrLimit},
	}
	for name, tt := range tests {
		if _, err := odm.Leaves(strings.NewReader(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func TestCheckPackage(t *testing.T) {
	t.Parallel()
	leaves, err := odm.Leaves(strings.NewReader(define(
		"dm.xpt", "ae.xpt", "LB.xpt", "acrf.pdf", "sub/te.xpt", "cover%20page.pdf#page=2", "./ts.xpt", "vs.xpt",
		"http://example.org/x.pdf", "../other.pdf", "/etc/passwd")))
	if err != nil {
		t.Fatal(err)
	}
	files := []string{
		"define.xml", "dm.xpt", "dm.json", "ae.json", "lb.ndjson", "acrf.json", "sub/te.xpt", "te.xpt", "cover page.pdf", "ts.dsjc", "define2-1.xsl",
	}
	p := odm.CheckPackage(leaves, "define.xml", files)
	type match struct {
		href, files string
		byStem      bool
	}
	var got []match
	for _, m := range p.Matches {
		got = append(got, match{m.Leaf.Href, strings.Join(m.Files, " "), m.ByStem})
	}
	want := []match{
		{"dm.xpt", "dm.xpt dm.json", false}, {"ae.xpt", "ae.json", true}, {"LB.xpt", "lb.ndjson", true},
		{"sub/te.xpt", "sub/te.xpt", false}, {"cover%20page.pdf#page=2", "cover page.pdf", false}, {"./ts.xpt", "ts.dsjc", true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("matches: got %v, want %v", got, want)
	}
	if got, want := hrefs(p.Missing), "acrf.pdf vs.xpt"; got != want {
		t.Errorf("missing: got %s, want %s", got, want)
	}
	if got, want := hrefs(p.Outside), "http://example.org/x.pdf ../other.pdf /etc/passwd"; got != want {
		t.Errorf("outside: got %s, want %s", got, want)
	}
	if got, want := strings.Join(p.Extra, " "), "acrf.json define2-1.xsl te.xpt"; got != want {
		t.Errorf("extra: got %s, want %s", got, want)
	}
	if p.Complete() {
		t.Error("a package with missing files is complete")
	}
	if !odm.CheckPackage(leaves[:1], "define.xml", files).Complete() {
		t.Error("a package with all its files is not complete")
	}
}

func hrefs(leaves []odm.Leaf) string {
	var all []string
	for _, l := range leaves {
		all = append(all, l.Href)
	}
	return strings.Join(all, " ")
}

// TestRealPackage reads the define.xml of real packages, which name files .xpt.
func TestRealPackage(t *testing.T) {
	t.Parallel()
	dir := datasettest.Data(t, "cdisc-datasetjson")
	for name, want := range map[string]struct {
		leaves, missing int
		extra           string
	}{
		"sdtm": {30, 20, ""},
		"adam": {14, 11, ""},
	} {
		f, err := os.Open(filepath.Join(dir, name, "define.xml"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		leaves, err := odm.Leaves(f)
		if err != nil || len(leaves) != want.leaves {
			t.Errorf("%s: got %d leaves, %v, want %d", name, len(leaves), err, want.leaves)
		}
		entries, err := os.ReadDir(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, e := range entries {
			files = append(files, e.Name())
		}
		p := odm.CheckPackage(leaves, "define.xml", files)
		if len(p.Missing) != want.missing || strings.Join(p.Extra, " ") != want.extra {
			t.Errorf("%s: %d are missing (%s), want %d; extra %v", name, len(p.Missing), hrefs(p.Missing), want.missing, p.Extra)
		}
		for _, m := range p.Matches {
			if m.ByStem != (m.Leaf.ID == "LF.LB") {
				t.Errorf("%s: %s is matched by %v, by stem: %v", name, m.Leaf.Href, m.Files, m.ByStem)
			}
		}
	}
}

func FuzzLeaves(f *testing.F) {
	f.Add(define("dm.xpt", "acrf.pdf"))
	f.Add(define("a%zz", "..", ".", `a\b`, "x:y"))
	f.Fuzz(func(t *testing.T, text string) {
		leaves, err := odm.Leaves(strings.NewReader(text))
		if err != nil {
			return
		}
		p := odm.CheckPackage(leaves, "define.xml", []string{"define.xml", "dm.xpt"})
		if len(p.Matches)+len(p.Missing)+len(p.Outside) != len(leaves) {
			t.Errorf("%d leaves became %d, %d and %d", len(leaves), len(p.Matches), len(p.Missing), len(p.Outside))
		}
	})
}
