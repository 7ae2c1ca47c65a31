package epcis_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
	"github.com/trialnotary/trialnotary/trial/dataset/epcis"
)

const shipment = `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",
"creationDate":"2026-01-31T12:00:00Z","epcisBody":{"eventList":[{"type":"AggregationEvent","eventID":"urn:uuid:1","eventTime":"2026-01-31T10:11:12+01:00",
"eventTimeZoneOffset":"+01:00","action":"OBSERVE","bizStep":"https://ref.gs1.org/cbv/BizStep-shipping","parentID":"urn:epc:id:sscc:952114.1012345678",
"childEPCs":["urn:epc:id:sgtin:952114.1012345.7"],"childQuantityList":[{"epcClass":"urn:epc:class:lgtin:952114.1012345.L1","quantity":2}],
"sourceList":[{"type":"owning_party","source":"urn:epc:id:pgln:0614141.00000"},{"type":"location","source":"https://id.gs1.org/414/9521141000014"}],
"destinationList":[{"type":"urn:epcglobal:cbv:sdt:possessing_party","destination":"urn:epc:id:sgln:952114.100002.0"}]}]}}`

func TestRead(t *testing.T) {
	t.Parallel()
	events, err := epcis.Read(strings.NewReader(shipment))
	if err != nil || len(events) != 1 {
		t.Fatalf("got %v, %v", events, err)
	}
	e := events[0]
	if e.Type != "AggregationEvent" || e.ID != "urn:uuid:1" || e.Step != "shipping" || !e.Time.Equal(time.Date(2026, 1, 31, 9, 11, 12, 0, time.UTC)) {
		t.Errorf("got %+v", e)
	}
	if want := []string{"urn:epc:id:sscc:952114.1012345678", "urn:epc:id:sgtin:952114.1012345.7"}; !slices.Equal(e.Items, want) {
		t.Errorf("items: got %v, want %v", e.Items, want)
	}
	if want := []string{"urn:epc:class:lgtin:952114.1012345.L1"}; !slices.Equal(e.Classes, want) {
		t.Errorf("classes: got %v, want %v", e.Classes, want)
	}
	if e.Source != "9521141000014" || e.Destination != "9521141000021" {
		t.Errorf("got from %q to %q", e.Source, e.Destination)
	}
}

func TestReadRefused(t *testing.T) {
	t.Parallel()
	replace := func(old, with string) string { return strings.Replace(shipment, old, with, 1) }
	tests := map[string]struct {
		text string
		want error
	}{
		"empty":         {"", epcis.ErrSyntax},
		"cut":           {shipment[:len(shipment)-1], epcis.ErrSyntax},
		"trailing":      {shipment + "{}", epcis.ErrSyntax},
		"member twice":  {replace(`"schemaVersion":"2.0"`, `"type":"EPCISDocument"`), epcis.ErrSyntax},
		"not UTF-8":     {replace("urn:uuid:1", "\xe9"), epcis.ErrSyntax},
		"another type":  {replace("EPCISDocument", "FeatureCollection"), epcis.ErrNotEPCIS},
		"no type":       {`{}`, epcis.ErrNotEPCIS},
		"an array":      {`[]`, epcis.ErrNotEPCIS},
		"list a string": {replace(`"childEPCs":["urn:epc:id:sgtin:952114.1012345.7"]`, `"childEPCs":"x"`), epcis.ErrNotEPCIS},
		"no time":       {replace(`"eventTime":"2026-01-31T10:11:12+01:00",`, ""), epcis.ErrNotEPCIS},
		"bad time":      {replace("2026-01-31T10:11:12+01:00", "31.01.2026"), epcis.ErrNotEPCIS},
		"no event type": {replace("AggregationEvent", ""), epcis.ErrNotEPCIS},
		"large":         {`{"type":"EPCISDocument","x":"` + strings.Repeat("x", 17<<20) + `"}`, epcis.ErrLimit},
		"many events":   {`{"type":"EPCISDocument","epcisBody":{"eventList":[` + strings.Repeat("{},", 100_000) + `{}]}}`, epcis.ErrLimit},
	}
	for name, tt := range tests {
		if _, err := epcis.Read(strings.NewReader(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	fault := errors.New("input/output error")
	if _, err := epcis.Read(iotest.ErrReader(fault)); !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
}

func TestGLN(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"urn:epc:id:sgln:0614141.12345.400":                   "0614141123452",
		"urn:epc:id:sgln:0614141.12345.0":                     "0614141123452",
		"urn:epc:id:pgln:0614141.12345":                       "0614141123452",
		"https://id.gs1.org/414/0614141123452":                "0614141123452",
		"https://example.org/x/414/0614141123452/254/32a?x=y": "0614141123452",
		"https://id.gs1.org/417/0614141123452?x=y":            "0614141123452",
		"https://id.gs1.org/414/0614141123453":                "", // another check digit
		"https://id.gs1.org/01/0614141123452":                 "",
		"https://id.gs1.org/414":                              "",
		"urn:epc:id:sgln:0614141.1234.0":                      "",
		"urn:epc:id:sgln:061414x.12345.0":                     "",
		"urn:epc:id:sgtin:0614141.12345.0":                    "",
		"0614141123452":                                       "",
		"":                                                    "",
	} {
		if got := epcis.GLN(uri); got != want {
			t.Errorf("%s: got %q, want %q", uri, got, want)
		}
	}
}

func TestReadRealDocument(t *testing.T) {
	t.Parallel()
	f, err := os.Open(datasettest.Data(t, "openepcis", "epcisEvent.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := epcis.Read(f)
	if err != nil || len(events) != 2 || len(events[0].Items) != 5 || events[1].Items[4] != "https://id.gs1.org/01/09521141012345/21/37546" {
		t.Errorf("got %+v, %v", events, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(shipment)
	f.Add(`{"type":"EPCISDocument","epcisBody":{"eventList":[{"type":"ObjectEvent","eventTime":"2026-01-31T10:11:12Z","sourceList":[{"type":"location","source":"https://id.gs1.org/414/9521141000014"}]}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		events, err := epcis.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range events {
			if e.Time.IsZero() || e.Type == "" || e.Source != "" && len(e.Source) != 13 {
				t.Errorf("got %+v", e)
			}
		}
	})
}
