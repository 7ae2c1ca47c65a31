package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// The demo's inputs are generated: nobody's data, in the shape of CDISC
// Dataset-JSON 1.1 (https://www.cdisc.org/standards/data-exchange/dataset-json).

type datasetJSON struct {
	CreationDateTime string       `json:"datasetJSONCreationDateTime"`
	Version          string       `json:"datasetJSONVersion"`
	FileOID          string       `json:"fileOID"`
	Originator       string       `json:"originator"`
	SourceSystem     sourceSystem `json:"sourceSystem"`
	StudyOID         string       `json:"studyOID"`
	MetaDataVersion  string       `json:"metaDataVersionOID"`
	ItemGroupOID     string       `json:"itemGroupOID"`
	Records          int          `json:"records"`
	Name             string       `json:"name"`
	Label            string       `json:"label"`
	Columns          []column     `json:"columns"`
	Rows             [][]any      `json:"rows"`
}

type sourceSystem struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type column struct {
	ItemOID  string `json:"itemOID"`
	Name     string `json:"name"`
	Label    string `json:"label"`
	DataType string `json:"dataType"`
}

// vitalSigns makes a VS dataset of one site.
func vitalSigns(site string, participants int) datasetJSON {
	d := datasetJSON{
		CreationDateTime: "2026-01-15T08:00:00Z", Version: "1.1.0",
		FileOID: "demo.vs." + site, Originator: "Trial Notary demo",
		SourceSystem: sourceSystem{Name: "Trial Notary demo", Version: "1"},
		StudyOID:     "DEMO-01", MetaDataVersion: "MDV.DEMO-01", ItemGroupOID: "IG.VS",
		Name: "VS", Label: "Vital Signs",
	}
	for _, c := range []column{
		{Name: "STUDYID", Label: "Study Identifier", DataType: "string"},
		{Name: "USUBJID", Label: "Unique Subject Identifier", DataType: "string"},
		{Name: "VSSEQ", Label: "Sequence Number", DataType: "integer"},
		{Name: "VSTESTCD", Label: "Vital Signs Test Short Name", DataType: "string"},
		{Name: "VSSTRESN", Label: "Numeric Result/Finding in Standard Units", DataType: "integer"},
		{Name: "VSDTC", Label: "Date/Time of Measurements", DataType: "string"},
	} {
		c.ItemOID = "IT.VS." + c.Name
		d.Columns = append(d.Columns, c)
	}
	for p := range participants {
		subject := fmt.Sprintf("DEMO-01-%s-%03d", site, p+1)
		for visit := range 4 {
			date := fmt.Sprintf("2025-%02d-%02d", 3+visit, 1+p%28)
			d.Rows = append(d.Rows,
				[]any{"DEMO-01", subject, 2*visit + 1, "SYSBP", 112 + (p*7+visit*3)%36, date},
				[]any{"DEMO-01", subject, 2*visit + 2, "PULSE", 58 + (p*5+visit*11)%34, date})
		}
	}
	d.Records = len(d.Rows)
	return d
}

func writeDataset(path string, d datasetJSON) error {
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o640)
}

const (
	protocolText = `DEMO-01, version 1.0: a made-up protocol
A trial that never took place, of a treatment that does not exist.
Visits: four, a month apart. Measurements: systolic blood pressure, pulse.
`
	amendmentText = `DEMO-01, version 2.0: amendment 1
Adds a fifth visit. Reason: follow-up after the end of treatment.
`
)
