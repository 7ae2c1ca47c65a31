package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/trialnotary/trialnotary/notary/monitor"
	"github.com/trialnotary/trialnotary/notary/telemetry"
)

// TestManual runs the commands of docs/notary.md, in their order, against a real
// notary: what the manual shows works as it stands.
func TestManual(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "notary.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := manualScript(t, string(text))
	if err := os.WriteFile(filepath.Join(dir, "manual.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, params(dir))
}

// manualScript makes a test script of the manual's shell boxes. A line that
// ends in "# exit status N" has that status.
func manualScript(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("server start\nuser sponsor sponsor 'Example Pharma'\nbigdir images 1001\n")
	fmt.Fprintf(&b, "config sponsor.yaml token=sponsor.token key=sponsor.key trial=NCT04573309 trust=trust\n")
	commands := 0
	for _, box := range boxes(text, "sh") {
		for line := range strings.SplitSeq(strings.TrimSpace(box), "\n") {
			command, status, negative := strings.Cut(line, " # exit status ")
			switch {
			case strings.HasPrefix(command, "printf "):
				b.WriteString("flip dm.csv\n")
			case negative:
				fmt.Fprintf(&b, "status %s %s\n", status, command)
			default:
				fmt.Fprintf(&b, "exec %s\n", command)
			}
			if strings.HasPrefix(command, "notary trust show") {
				b.WriteString("capture TRIAL 'trial        '\nuser site701 site $TRIAL 701\n" +
					"config site.yaml token=site701.token key=coordinator.key trial=NCT04573309 site=701 trust=trust tiles=$TILES\n")
			}
			commands++
		}
	}
	if commands < 20 {
		t.Fatalf("got %d commands in the manual, want at least 20", commands)
	}
	b.WriteString("-- dm.csv --\na,b\n-- incoming/vs.csv --\ng,h\n-- export/lb.csv --\nc,d\n-- export/ae.csv --\ne,f\n" +
		"-- edc-audit.xml --\n" + manualExport + "-- package/define.xml --\n" + manualDefine + "-- package/dm.json --\n{}\n" +
		"-- protocol-1.txt --\none\n-- protocol-2.txt --\ntwo\n-- list.csv --\nslot,arm\n-- lock-1.txt --\nmembers\n")
	return b.String()
}

// TestMonitorManual runs the commands of docs/monitor.md, in their order.
func TestMonitorManual(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitor.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("server start\nsetup-trial\nexec notary submit --config site.yaml --kind dataset dm.csv\n")
	commands := 0
	for _, box := range boxes(string(text), "sh") {
		for line := range strings.SplitSeq(strings.TrimSpace(box), "\n") {
			command, status, negative := strings.Cut(line, " # exit status ")
			if negative {
				fmt.Fprintf(&b, "status %s %s\n", status, command)
			} else {
				fmt.Fprintf(&b, "exec %s\n", command)
			}
			commands++
		}
	}
	if commands < 5 {
		t.Fatalf("got %d commands in the manual, want at least 5", commands)
	}
	b.WriteString("-- dm.csv --\na,b\n")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "manual.txtar"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, params(dir))
}

// TestMonitorManualNamesAll holds docs/monitor.md to the kinds of alarms, the flags
// and the metrics that there are.
func TestMonitorManualNamesAll(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitor.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, kind := range monitor.Kinds() {
		want = append(want, "| `"+string(kind)+"` |")
	}
	a := &app{}
	a.monitorCommand().LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { want = append(want, "--"+f.Name) })
	m := telemetry.NewMonitorMetrics("v0")
	m.Looked(&monitor.Report{Findings: &monitor.FindingCount{}}, time.Second)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for line := range strings.SplitSeq(rec.Body.String(), "\n") {
		if name, ok := strings.CutPrefix(line, "# TYPE trialnotary_"); ok {
			want = append(want, "trialnotary_"+strings.Fields(name)[0])
		}
	}
	if len(want) < 35 {
		t.Fatalf("got %d names, want all kinds, flags and metrics: %v", len(want), want)
	}
	for _, name := range want {
		if !strings.Contains(string(text), name) {
			t.Errorf("docs/monitor.md does not name %s", name)
		}
	}
}

// boxes returns the fenced blocks of one language.
func boxes(text, language string) []string {
	var out []string
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "\n```"+language+"\n")
		if !ok {
			return out
		}
		box, tail, _ := strings.Cut(after, "\n```\n")
		out, rest = append(out, box), tail
	}
}

// The settings of the manual are those of the configuration, and its examples
// are accepted.
func TestManualKnowsEverySetting(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "notary.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{
		"server", "token", "cert", "certKey", "ca", "serverName", "insecure", "tiles", "trial", "site", "key", "trust", "state", "receipts",
	} {
		if !strings.Contains(string(text), "`"+f+"`") {
			t.Errorf("the manual does not name %s", f)
		}
		value := "x"
		if f == "insecure" {
			value = "true"
		}
		if _, err := parseConfig([]byte(f + ": " + value + "\n")); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	examples := boxes(string(text), "yaml")
	if len(examples) != 2 {
		t.Errorf("got %d examples, want 2", len(examples))
	}
	for _, e := range examples {
		if c, err := parseConfig([]byte(e)); err != nil || c.Server == "" {
			t.Errorf("example: got %+v, %v", c, err)
		}
	}
}

// The manual's audit trail of one record, and a define.xml that names a file too many.
const (
	manualExport = `<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" SourceSystem="EDC" SourceSystemVersion="4.2"><ClinicalData StudyOID="S">` +
		`<SubjectData SubjectKey="A"><AuditRecord><UserRef UserOID="U"/><DateTimeStamp>2026-01-31T09:00:00</DateTimeStamp></AuditRecord></SubjectData>` +
		"</ClinicalData></ODM>\n"
	manualDefine = `<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:def="http://www.cdisc.org/ns/def/v2.1" xmlns:xlink="http://www.w3.org/1999/xlink">` +
		`<Study><MetaDataVersion def:DefineVersion="2.1.0"><def:leaf xlink:href="dm.xpt"/><def:leaf xlink:href="ae.xpt"/></MetaDataVersion></Study></ODM>` + "\n"
)
