package trial

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckIdentifier(t *testing.T) {
	for scheme, c := range map[string]struct{ good, bad []string }{
		RegistryNCT:             {[]string{"NCT04573309"}, []string{"", "NCT0457330", "NCT045733099", "nct04573309", "NCT0457330O", " NCT04573309", "NCT04573309\n"}},
		RegistryEUCT:            {[]string{"2022-501549-57-00"}, []string{"2022-401549-57-00", "2022-501549-57", "1922-501549-57-00"}},
		RegistryISRCTN:          {[]string{"ISRCTN54460428"}, []string{"ISRCTN04460428", "ISRCTN5446042"}},
		RegistryUTN:             {[]string{"U1111-1115-2414"}, []string{"U1112-1115-2414"}},
		RegistryEudraCT:         {[]string{"2010-022945-52"}, []string{"2010-022945-5"}},
		RegistryJRCT:            {[]string{"jRCT1234567890", "jRCTs031180253", "jRCT203118025"}, []string{"JRCT1234567890", "jRCTx031180253"}},
		RegistryChiCTR:          {[]string{"ChiCTR2000029308"}, []string{"ChiCTR-TRC-12345678", "ChiCTR200002930"}},
		RegistryDRKS:            {[]string{"DRKS00012345"}, []string{"DRKS0001234"}},
		RegistryACTRN:           {[]string{"ACTRN12605000000000"}, []string{"ACTRN12505000000000"}},
		RegistrySponsorProtocol: {[]string{"TN-001", "ABC 12/3"}, []string{"", "-1", strings.Repeat("a", 65)}},
		SchemeGLN:               {[]string{"4012345000009"}, []string{"4012345000008", "401234500000", "401234500000x"}},
		SchemeGTIN14:            {[]string{"09521141012345"}, []string{"09521141012346", "9521141012345"}},
		SchemeSSCC:              {[]string{"340123450000000000"}, []string{"340123450000000001"}},
		SchemeSGTIN:             {[]string{"https://id.gs1.org/01/09521141012345/21/A1"}, []string{"https://id.gs1.org/01/09521141012345/21/", "http://id.gs1.org/01/09521141012345/21/A", "https://id.gs1.org/01/09521141012345/21/A B", "https://id.gs1.org/01/0952114101234/21/AAAAA"}},
		SchemeNDC10:             {[]string{"1234-5678-90", "12345-678-90", "12345-6789-0"}, []string{"123456-789-0", "1234567890"}},
		SchemeDICOMUID:          {[]string{"1.2.840.10008.1.2", "2.0"}, []string{"1", "1..2", "1.02", "1.2.", ".1.2", "1." + strings.Repeat("1", 63)}},
		SchemeIND:               {[]string{"12345", "123456"}, []string{"1234", "1234567"}},
		SchemeORCID:             {[]string{"0000-0002-1825-0097", "0000-0002-1694-233X"}, []string{"0000-0002-1825-0098", "0000-0002-1694-2330", "0000-0002-1825-00977", "0000000218250097"}},
		SchemeSite:              {[]string{"701", "DE-01_a"}, []string{"", "-701", "7 01", strings.Repeat("7", 21)}},
		SchemeVersion:           {[]string{"3.1", "A", "2.1-FR"}, []string{"", " 1", strings.Repeat("1", 33)}},
		SchemeE2B:               {[]string{"DE-ACME-2026-17"}, []string{"de-ACME-1", "DE-ACME", "DE--1", "DEACME1", "DE-" + strings.Repeat("A", 41) + "-1", "DE-ACME-" + strings.Repeat("1", 58), "DE-ACME-\n"}},
	} {
		for _, s := range c.good {
			if err := CheckIdentifier(scheme, s); err != nil {
				t.Errorf("%s %q: got %v", scheme, s, err)
			}
		}
		for _, s := range c.bad {
			if err := CheckIdentifier(scheme, s); ReasonOf(err) != ReasonBadIdentifier {
				t.Errorf("%s %q: got %v, want %s", scheme, s, err, ReasonBadIdentifier)
			}
		}
	}
	wantRefusal(t, CheckIdentifier("passport", "x"), ReasonBadIdentifier, "")
}

// The patterns that sponsors were given and ours accept the same, check digits
// aside.
func TestIdentifiersMatchTheList(t *testing.T) {
	text, err := os.ReadFile("../../shared/data/identifiers.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the list of patterns is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]jsonPattern
	if err := unmarshalPatterns(text, &list); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{
		"NCT": RegistryNCT, "EUCT": RegistryEUCT, "EudraCT": RegistryEudraCT, "ISRCTN": RegistryISRCTN, "UTN": RegistryUTN,
		"jRCT": RegistryJRCT, "ChiCTR": RegistryChiCTR, "DRKS": RegistryDRKS, "ACTRN": RegistryACTRN, "GLN": SchemeGLN,
		"GTIN14": SchemeGTIN14, "SSCC": SchemeSSCC, "SGTIN_digital_link": SchemeSGTIN, "NDC10": SchemeNDC10,
		"DICOM_UID": SchemeDICOMUID, "IND": SchemeIND, "ORCID": SchemeORCID, "SITEID": SchemeSite,
		"version_label": SchemeVersion, "E2B_safety_report_id": SchemeE2B,
	}
	checked := []string{SchemeGLN, SchemeGTIN14, SchemeSSCC, SchemeORCID}
	for name, scheme := range names {
		t.Run(name, func(t *testing.T) {
			p, ok := list[name]
			if !ok {
				t.Fatal("the list has no such pattern")
			}
			if p.Example != "" {
				if err := CheckIdentifier(scheme, p.Example); err != nil {
					t.Errorf("the list's example %q: %v", p.Example, err)
				}
			}
			re := regexp.MustCompile(p.RE)
			rapid.Check(t, func(t *rapid.T) {
				s := rapid.StringMatching(p.RE).Draw(t, "s")
				if rapid.Bool().Draw(t, "spoil") {
					i := rapid.IntRange(0, len(s)).Draw(t, "at")
					s = s[:i] + rapid.SampledFrom([]string{"", "0", "A", "-", " ", "\n"}).Draw(t, "with") + s[min(i+1, len(s)):]
				}
				want := re.MatchString(s) && (p.MaxLen == 0 || len(s) <= p.MaxLen)
				got := CheckIdentifier(scheme, s) == nil
				if slices.Contains(checked, scheme) {
					if got && !want {
						t.Fatalf("%q: accepted", s)
					}
					return
				}
				if got != want && len(s) <= 100 {
					t.Fatalf("%q: got %t, want %t", s, got, want)
				}
			})
		})
	}
}

type jsonPattern struct {
	RE      string `json:"re"`
	Example string `json:"example"`
	MaxLen  int    `json:"maxlen"`
}

func unmarshalPatterns(text []byte, list *map[string]jsonPattern) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*list = map[string]jsonPattern{}
	for name, v := range raw {
		var p jsonPattern
		if name != "note" && json.Unmarshal(v, &p) == nil && p.RE != "" {
			(*list)[name] = p
		}
	}
	return nil
}

func TestNormalise(t *testing.T) {
	r := Registry{RegistryNCT: "NCT04573309", RegistryEUCT: "2022-501549-57-02", RegistrySponsorProtocol: "TN-001"}
	if got, want := r.Normalise(), []string{"2022-501549-57", "NCT04573309"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for in, want := range map[string]string{
		"2022-501549-57-00": "2022-501549-57", "2022-501549-57": "2022-501549-57", "NCT04573309": "NCT04573309", "": "",
		"2010-022945-52": "2010-022945-52",
	} {
		if got := NormaliseRegistryNumber(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name      string
		ok        func(string) bool
		good, bad []string
	}{
		{"zone", isZone, []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"}, []string{"", "/", "Europe/", "../x", "a/b/c/d", "Europe Berlin", "1/x"}},
		{"language", isLanguage, []string{"en", "de-AT", "zh-Hant-TW", "sr-Latn-RS"}, []string{"", "e", "en_GB", "en-", "-en", "12", "en-abcdefghi"}},
		{"origin", isOrigin, []string{"notary.example", "a", "x-1.example"}, []string{"", "Notary.example", "notary.example/log", "notary.example:443", ".example", "a..b", "a-.b", "-a.b", "a.b."}},
		{"time", func(s string) bool { _, ok := parseTime(s); return ok },
			[]string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.123Z", "2024-02-29T00:00:00Z"},
			[]string{"", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:60Z", "2025-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z", "2026-01-00T00:00:00Z", "1899-12-31T00:00:00Z", "2026-01-02T03:04:05,1Z", "2026-01-02T03:04:05.-1Z"}},
		{"date", isDate, []string{"2026-01-02"}, []string{"", "2026-1-2", "2026-02-30", "20260102", "2026-01-02T00"}},
		{"role", isRole, []string{"qa", "site-1"}, []string{"QA", "1a", "-a", ""}},
		{"parameter", isParameter, []string{"endorsementDays"}, []string{"Days", "a-b", "1a"}},
	} {
		for _, s := range c.good {
			if !c.ok(s) {
				t.Errorf("%s %q is refused", c.name, s)
			}
		}
		for _, s := range c.bad {
			if c.ok(s) {
				t.Errorf("%s %q is accepted", c.name, s)
			}
		}
	}
}

func TestLooksLikeParticipantID(t *testing.T) {
	for _, s := range []string{
		"701-1015", "01-701-1015", "CDISC01-701-1015.xpt", "scans/701_1015.dcm", "subject 1015", "Subj. no. 17", "USUBJID=AB-12",
		"patient_0042.pdf", "participant id: 99", "screening number S0012", "MRN 123456", "born 1950", "DOB: 01.02.1950",
	} {
		if !LooksLikeParticipantID(s) {
			t.Errorf("%q is not noticed", s)
		}
	}
	for _, s := range []string{
		"", "adsl.xpt", "protocol-2.0.pdf", "New dose group after the interim analysis", "2026-03-01", "export 2026-03-01T09:30:00Z.csv",
		"NCT04573309", "2022-501549-57-00", "2010-022945-52", "U1111-1115-2414", "site 701", "version 2.1-FR", "dm_701.json", "icf-2.0-de.pdf",
	} {
		if LooksLikeParticipantID(s) {
			t.Errorf("%q is taken for a participant's id", s)
		}
	}
	st := charterStatement(t)
	st.Subjects = []Subject{{Name: "ok.pdf"}, {Name: "subject 1015.pdf"}}
	st.Predicate.Reason, st.Predicate.Document = "see patient 12", &Document{Scope: "701-1015"}
	st.Predicate.Body = &DataBody{Dataset: "LB subject 17"}
	want := []string{"subject[1].name", "predicate.reason", "predicate.document.scope", "predicate.body.dataset"}
	if got := st.ParticipantWarnings(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
