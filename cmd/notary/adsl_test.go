package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

const adslScript = `server start
setup-trial
exec notary keygen -o dana
exec notary enrol --config sponsor.yaml --trial $TRIAL --holder-key dana.key --holder dana --name 'Dana Data' --organisation 'Example Pharma' --organisation-type sponsor --role data-manager --all-sites
cp 'OLD' adsl.xpt
cp 'NEW' new.xpt
exec notary submit --config sponsor.yaml --trial $TRIAL --key dana.key --kind dataset --dataset ADSL --origin sponsor --source-system SAS --purpose routine adsl.xpt
stdout 'tn-table-v1 [0-9a-f]+$'
exec notary verify --trust trust --receipt adsl.xpt.receipt.json new.xpt
stdout '^new.xpt: same data, different file$'
exec notary diff adsl.xpt new.xpt
stdout '^same data, different file$'
stdout '^  a  adsl.xpt: 254 rows$'
status 1 notary verify --trust trust --receipt adsl.xpt.receipt.json 'OTHER'
stdout 'data differ$'
exec notary verify --trust trust --receipt adsl.xpt.receipt.json 'FORMATS.json' 'FORMATS.ndjson' 'FORMATS.dsjc'
stdout -count=3 ': same data, different file$'
exec notary verify --trust trust --output json --receipt adsl.xpt.receipt.json --original adsl.xpt new.xpt
stdout '"verdict": "same data, different file"'
stdout '"metadata": '
exec notary diff --csv adsl.xpt new.xpt
stdout '^verdict,,,,,adsl.xpt,new.xpt,"same data, different file"$'
stdout '^metadata,'
! stdout '^cell,'
status 1 notary verify --trust trust --receipt adsl.xpt.receipt.json --original adsl.xpt 'OTHER'
stdout '^      variables only in a: '
status 1 notary diff --output json adsl.xpt 'OTHER'
stdout '"verdict": "data differ"'
status 1 notary verify --trust trust --receipt adsl.xpt.receipt.json 'DEFINE'
stdout ': file differs, contents not comparable$'
status 1 notary diff --csv adsl.xpt 'DEFINE'
stdout '^verdict,.*file differs, contents not comparable'
status 1 notary verify --trust trust new.xpt
stdout ': not notarized$'
`

// The export of 2018 is notarized, that of 2022 holds the same data.
func TestADSL(t *testing.T) {
	script := strings.NewReplacer(
		"OLD", datasettest.Data(t, "phuse-scripts", "adam", "TDF_ADaM_v1.0", "adsl.xpt"),
		"NEW", datasettest.Data(t, "cdisc-datasetjson", "adam", "adsl.xpt"),
		"FORMATS.json", datasettest.Data(t, "cdisc-datasetjson", "adam", "adsl.json"),
		"FORMATS.ndjson", datasettest.Data(t, "cdisc-datasetjson", "adam", "adsl.ndjson"),
		"FORMATS.dsjc", datasettest.Data(t, "cdisc-datasetjson", "adam", "adsl.dsjc"),
		"DEFINE", datasettest.Data(t, "cdisc-datasetjson", "adam", "define.xml"),
		"OTHER", datasettest.Data(t, "cdisc-datasetjson", "adam", "adae.xpt"),
	).Replace(adslScript)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adsl.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, params(dir))
}
