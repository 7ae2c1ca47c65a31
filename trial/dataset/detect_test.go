package dataset_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"os"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

func gzipped(tb testing.TB, text string) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zlibbed(tb testing.TB, text string) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestDetect(t *testing.T) {
	t.Parallel()
	const described = `{"datasetJSONCreationDateTime":"2024-11-11T15:09:15","datasetJSONVersion":"1.1.0","columns":[]`
	long := `{"datasetJSONVersion":"1.1.0","columns":["` + strings.Repeat("x", dataset.HeadLength) + `"]}`
	tests := map[string]struct {
		head string
		want dataset.Format
	}{
		"xpt5":                   {"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!000000", dataset.XPT5},
		"xpt8":                   {"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!000000", dataset.XPT8},
		"dataset-json":           {described + `,"rows":[["a"]]}`, dataset.DatasetJSON},
		"dataset-json, spaced":   {"\n " + described + `,"rows":[["a"]]}`, dataset.DatasetJSON},
		"dataset-json, marked":   {"\xef\xbb\xbf" + described + `,"rows":[["a"]]}`, dataset.DatasetJSON},
		"dataset-json, long":     {long, dataset.DatasetJSON},
		"dataset-json, rows":     {`{"rows":[["a"]],` + described[1:] + `}`, dataset.DatasetJSON},
		"dataset-json, all rows": {`{"rows":[["` + strings.Repeat("x", dataset.HeadLength), dataset.DatasetJSON},
		"ndjson":                 {described + "}\n[\"a\"]\n", dataset.NDJSON},
		"ndjson, spaced":         {described + "}\r\n[\"a\"]\r\n", dataset.NDJSON},
		"dsjc, gzip":             {string(gzipped(t, described+"}\n[\"a\"]\n")), dataset.DSJC},
		"dsjc, zlib":             {string(zlibbed(t, described+"}\n[\"a\"]\n")), dataset.DSJC},
		"odm":                    {`<?xml version="1.0"?><!-- x --><ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" FileOID="x">`, dataset.ODMXML},
		"odm 2":                  {`<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0" FileOID="x"/>`, dataset.ODMXML},
		"define":                 {`<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:def="http://www.cdisc.org/ns/def/v2.1" FileOID="x">`, dataset.DefineXML},
		"epcis":                  {`{"@context":["x"],"type":"EPCISDocument","schemaVersion":"2.0"}`, dataset.EPCIS},
		"epcis, xml":             {`<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0">`, dataset.EPCIS},
		"usdm":                   {`{"study":{"instanceType":"Study"},"usdmVersion":"4.0"}`, dataset.USDM},
		"usdm, version":          {`{"usdmVersion":"4.0","study":{}}`, dataset.USDM},
		"dicom":                  {strings.Repeat("\x00", 128) + "DICM\x02\x00", dataset.DICOM},
		"pdf":                    {"%PDF-1.7\n", dataset.PDF},
		"zip":                    {"PK\x03\x04xxxx", dataset.ZIP},
		"xml":                    {`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, dataset.XML},
		"xml, cut":               {`<?xml version="1.0"?><!-- `, dataset.XML},
		"json":                   {`{"a":1}`, dataset.JSON},
		"json, split":            {`{"columns":["a"],"data":[[1]]}`, dataset.JSON},
		"json, another type":     {`{"type":"FeatureCollection"}`, dataset.JSON},
		"gzip of text":           {string(gzipped(t, "hello")), dataset.FormatUnknown},
		"gzip, cut":              {"\x1f\x8b", dataset.FormatUnknown},
		"zlib of nothing":        {"\x78\x9c", dataset.FormatUnknown},
		"empty":                  {"", dataset.FormatUnknown},
		"text":                   {"USUBJID,AGE\n", dataset.FormatUnknown},
		"utf-16":                 {"\xff\xfe{\x00\"\x00", dataset.FormatUnknown},
		"array":                  {`[1]`, dataset.FormatUnknown},
		"less":                   {`<3`, dataset.FormatUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := dataset.Detect([]byte(tt.head)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDetectRealFiles(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]dataset.Format{
		"cdisc-datasetjson/adam/adsl.xpt":                     dataset.XPT5,
		"cdisc-datasetjson/adam/adsl.json":                    dataset.DatasetJSON,
		"cdisc-datasetjson/adam/adsl.ndjson":                  dataset.NDJSON,
		"cdisc-datasetjson/adam/adsl.dsjc":                    dataset.DSJC,
		"cdisc-datasetjson/adam/adrg.pdf":                     dataset.PDF,
		"cdisc-datasetjson/adam/define.xml":                   dataset.DefineXML,
		"cdisc-datasetjson/schema/dataset.schema.json":        dataset.JSON,
		"cdisc-datasetjson/schema/dataset-ndjson-schema.json": dataset.FormatUnknown, // UTF-16
		"demo/files/ae_701_2022-08-19.ndjson":                 dataset.NDJSON,
		"demo/files/icf_v1.0.txt":                             dataset.FormatUnknown,
		"ddf-ra/CDISC_Pilot_Study.usdm.json":                  dataset.USDM,
		"openepcis/epcisEvent.json":                           dataset.EPCIS,
	} {
		content, err := os.ReadFile(datasettest.Data(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := dataset.Detect(content); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
