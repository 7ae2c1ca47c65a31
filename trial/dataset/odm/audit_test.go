package odm_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trialnotary/trialnotary/trial/dataset/odm"
)

const odm13 = "http://www.cdisc.org/ns/odm/v1.3"

// record is an ItemData of ODM 1.3 with its audit record.
func record(item, value, stamp string) string {
	return fmt.Sprintf(`<ItemData ItemOID="%s" Value="%s" TransactionType="Update">
          <AuditRecord EditPoint="DataManagement">
            <UserRef UserOID="U.1"/><LocationRef LocationOID="701"/>
            <DateTimeStamp>%s</DateTimeStamp>
            <ReasonForChange>Transcription error</ReasonForChange>
          </AuditRecord>
        </ItemData>`, item, value, stamp)
}

// export is an ODM 1.3 export of one form of one subject.
func export(fileOID, created string, items ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<!-- exported at night -->
<ODM xmlns="` + odm13 + `" ODMVersion="1.3.2" FileType="Transactional" FileOID="` + fileOID + `" CreationDateTime="` + created + `" SourceSystem="EDC" SourceSystemVersion="9.1">
  <Study OID="S"><GlobalVariables><StudyName>x</StudyName></GlobalVariables></Study>
  <ClinicalData StudyOID="S" MetaDataVersionOID="1">
    <SubjectData SubjectKey="01-701-1015" TransactionType="Update"><SiteRef LocationOID="701"/>
      <StudyEventData StudyEventOID="V1"><FormData FormOID="AE"><ItemGroupData ItemGroupOID="AE" ItemGroupRepeatKey="1">
        ` + strings.Join(items, "\n        ") + `
      </ItemGroupData></FormData></StudyEventData>
    </SubjectData>
  </ClinicalData>
</ODM>
`
}

func trail(t *testing.T, text, day string) *odm.Trail {
	t.Helper()
	got, err := odm.AuditTrail(t.Context(), strings.NewReader(text), day)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var (
	first  = record("AETERM", "HEADACHE", "2026-01-31T10:11:12")
	second = record("AESEV", "MILD", "2026-01-31T10:11:13+01:00")
	third  = record("AESEV", "SEVERE", "2026-02-01T00:00:00")
)

func TestAuditTrailCountsRecordsOnly(t *testing.T) {
	t.Parallel()
	want := trail(t, export("F.1", "2026-02-01T01:00:00", first, second), "")
	if want.Records != 2 || want.Others != 0 || want.First != "2026-01-31" || want.Last != "2026-01-31" || want.Source != "EDC 9.1" {
		t.Errorf("got %+v", want)
	}
	base := export("F.1", "2026-02-01T01:00:00", first, second)
	same := map[string]string{
		"another export":          export("F.2", "2026-02-01T02:00:00", first, second),
		"another order":           export("F.1", "2026-02-01T01:00:00", second, first),
		"another prefix":          strings.NewReplacer("</", "</o:", "<?", "<?", "<!", "<!", "<", "<o:", `xmlns="`, `xmlns:o="`).Replace(base),
		"another layout":          strings.NewReplacer("\n", "", "  ", "").Replace(base),
		"another attribute order": strings.ReplaceAll(base, `SubjectKey="01-701-1015" TransactionType="Update"`, `TransactionType="Update" SubjectKey="01-701-1015"`),
		"another quote":           strings.ReplaceAll(base, `"V1"`, `'V1'`),
		"a character reference":   strings.ReplaceAll(base, "Transcription", "&#84;ranscription"),
		"CDATA":                   strings.ReplaceAll(base, "Transcription error", "<![CDATA[Transcription error]]>"),
		"a comment":               strings.ReplaceAll(base, "Transcription error", "Transcription<!-- x --> error"),
		"another definition":      strings.ReplaceAll(base, "<StudyName>x", "<StudyName>y"),
	}
	for name, text := range same {
		if got := trail(t, text, ""); got.Root != want.Root || got.Records != want.Records {
			t.Errorf("%s: got another root over %d records", name, got.Records)
		}
	}
	other := map[string]string{
		"a record less":        export("F.1", "2026-02-01T01:00:00", first),
		"a record twice":       export("F.1", "2026-02-01T01:00:00", first, first, second),
		"another value":        strings.Replace(base, "MILD", "SEVERE", 1),
		"another user":         strings.Replace(base, `UserOID="U.1"`, `UserOID="U.2"`, 1),
		"another time":         strings.Replace(base, "10:11:12", "10:11:14", 1),
		"another reason":       strings.Replace(base, "Transcription error", "Transcription  error", 1),
		"no reason":            strings.Replace(base, "<ReasonForChange>Transcription error</ReasonForChange>", "", 1),
		"another subject":      strings.Replace(base, "01-701-1015", "01-701-1016", 1),
		"another study":        strings.Replace(base, `StudyOID="S"`, `StudyOID="T"`, 1),
		"another visit":        strings.Replace(base, `"V1"`, `"V2"`, 1),
		"another edit point":   strings.Replace(base, `EditPoint="DataManagement"`, `EditPoint="Monitoring"`, 1),
		"an attribute more":    strings.Replace(base, `Value="MILD"`, `Value="MILD" IsNull="Yes"`, 1),
		"moved to another row": strings.Replace(base, "        "+second, `      </ItemGroupData><ItemGroupData ItemGroupOID="AE" ItemGroupRepeatKey="2">`+second, 1),
	}
	for name, text := range other {
		if text == base {
			t.Fatalf("%s: nothing was changed", name)
		}
		if got := trail(t, text, ""); got.Root == want.Root {
			t.Errorf("%s: got the same root", name)
		}
	}
}

func TestAuditTrailOfADay(t *testing.T) {
	t.Parallel()
	all := export("F.1", "2026-02-02T01:00:00", first, second, third)
	got := trail(t, all, "2026-01-31")
	if want := trail(t, export("F.2", "2026-02-01T01:00:00", first, second), ""); got.Root != want.Root {
		t.Error("the day's root is not that of the day's records alone")
	}
	if got.Records != 2 || got.Others != 1 || got.First != "2026-01-31" || got.Last != "2026-02-01" {
		t.Errorf("got %+v", got)
	}
	empty := trail(t, all, "2026-03-01")
	if hex.EncodeToString(empty.Root[:]) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" || empty.Records != 0 || empty.Others != 3 {
		t.Errorf("got %+v", empty)
	}
}

// TestAuditTrailVector is the worked example of docs/audit-digest.md.
func TestAuditTrailVector(t *testing.T) {
	t.Parallel()
	text := `<ODM xmlns="` + odm13 + `"><ClinicalData StudyOID="S" MetaDataVersionOID="1"><SubjectData SubjectKey="7">
<SiteRef LocationOID="701"/>
<AuditRecord><UserRef UserOID="U"/><DateTimeStamp>2026-01-31T10:11:12</DateTimeStamp></AuditRecord>
</SubjectData></ClinicalData></ODM>`
	const ns = "{" + odm13 + "}"
	name := func(local string) string { return fmt.Sprintf("<%d:%s", len(ns+local), ns+local) }
	canonical := "tn-audit-v1\n" +
		name("ClinicalData") + "@18:MetaDataVersionOID1:1" + "@8:StudyOID1:S" +
		name("SubjectData") + "@10:SubjectKey1:7" +
		name("SiteRef") + "@11:LocationOID3:701" + ">" +
		name("AuditRecord") +
		name("UserRef") + "@7:UserOID1:U" + ">" +
		name("DateTimeStamp") + "\"19:2026-01-31T10:11:12" + ">" +
		">"
	want := rfc6962.DefaultHasher.HashLeaf([]byte(canonical))
	got := trail(t, text, "2026-01-31")
	if hex.EncodeToString(got.Root[:]) != hex.EncodeToString(want) {
		t.Errorf("got another root than that over %q", canonical)
	}
	if root := "7acb530a979b891d0cce05a4d9457f21530b39ffe82efa6c5bbfaa2397136986"; hex.EncodeToString(got.Root[:]) != root {
		t.Errorf("got %x, want %s", got.Root, root)
	}
}

// TestAuditTrailODM2 reads the newer form: nested groups, values as elements, and
// queries with their own records.
func TestAuditTrailODM2(t *testing.T) {
	t.Parallel()
	text := `<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0" ODMVersion="2.0"><ClinicalData StudyOID="S" MetaDataVersionOID="1">
 <SubjectData SubjectKey="7"><StudyEventData StudyEventOID="V"><ItemGroupData ItemGroupOID="F"><ItemGroupData ItemGroupOID="G">
  <ItemData ItemOID="I"><Value>12</Value>
   <Query OID="Q" State="Open"><Value>Please check</Value><AuditRecord><DateTimeStamp>2026-01-31T12:00:00Z</DateTimeStamp></AuditRecord></Query>
   <AuditRecord><UserRef UserOID="U"/><LocationRef LocationOID="L"/><DateTimeStamp>2026-01-31T10:00:00Z</DateTimeStamp></AuditRecord>
  </ItemData></ItemGroupData></ItemGroupData></StudyEventData></SubjectData></ClinicalData></ODM>`
	want := trail(t, text, "")
	if want.Records != 2 {
		t.Errorf("got %d records, want 2", want.Records)
	}
	for _, change := range [][2]string{{">12<", ">13<"}, {"Please check", "Please"}, {`State="Open"`, `State="Closed"`}, {`OID="F"`, `OID="H"`}} {
		if got := trail(t, strings.Replace(text, change[0], change[1], 1), ""); got.Root == want.Root {
			t.Errorf("%s: got the same root", change)
		}
	}
}

func TestAuditTrailRefused(t *testing.T) {
	t.Parallel()
	base := export("F", "2026-02-01T01:00:00", first, second)
	replace := func(old, with string) string { return strings.Replace(base, old, with, 1) }
	tests := map[string]struct {
		text string
		want error
	}{
		"empty":                   {"", odm.ErrSyntax},
		"text":                    {"hello", odm.ErrSyntax},
		"cut":                     {base[:len(base)-20], odm.ErrSyntax},
		"two roots":               {base + "<ODM/>", odm.ErrSyntax},
		"text after":              {base + "x", odm.ErrSyntax},
		"wrong end":               {replace("</FormData>", "</Formdata>"), odm.ErrSyntax},
		"attribute twice":         {replace(`Value="MILD"`, `Value="MILD" Value="SEVERE"`), odm.ErrSyntax},
		"document type":           {replace("<ODM", `<!DOCTYPE ODM SYSTEM "http://example.org/x.dtd"><ODM`), odm.ErrDTD},
		"entity":                  {replace("Transcription", "&secret;"), odm.ErrDTD},
		"declared entity":         {replace("<ODM", `<!DOCTYPE ODM [<!ENTITY a "aaaa">]><ODM`), odm.ErrDTD},
		"another encoding":        {replace("UTF-8", "ISO-8859-1"), odm.ErrEncoding},
		"not UTF-8":               {replace("Transcription", "\xe9"), odm.ErrEncoding},
		"UTF-16":                  {"\xff\xfe<\x00O\x00", odm.ErrEncoding},
		"another root":            {"<html/>", odm.ErrNotODM},
		"another namespace":       {replace(odm13, "http://example.org/"), odm.ErrNotODM},
		"records apart":           {replace(`Value="MILD"`, `Value="MILD" AuditRecordID="A.1"`), odm.ErrRecord},
		"records apart, the list": {replace("</SubjectData>", `</SubjectData><AuditRecords/>`), odm.ErrRecord},
		"record outside":          {replace("<Study ", "<AuditRecord/><Study "), odm.ErrRecord},
		"record in an annotation": {replace(`<SiteRef LocationOID="701"/>`, `<Annotation><AuditRecord/></Annotation>`), odm.ErrRecord},
		"data in an annotation":   {replace(`<SiteRef LocationOID="701"/>`, `<Annotation><ItemData/></Annotation>`), odm.ErrRecord},
		"no time":                 {replace("<DateTimeStamp>2026-01-31T10:11:12</DateTimeStamp>", ""), odm.ErrRecord},
		"two times":               {replace("<DateTimeStamp>", "<DateTimeStamp>2026-01-30</DateTimeStamp><DateTimeStamp>"), odm.ErrRecord},
		"no day":                  {replace("2026-01-31T10:11:12", "31.01.2026 10:11"), odm.ErrRecord},
		"too deep":                {replace("</SubjectData>", strings.Repeat("<x>", 100)+strings.Repeat("</x>", 100)+"</SubjectData>"), odm.ErrLimit},
		"long text":               {replace("Transcription", strings.Repeat("x", 5<<20)), odm.ErrLimit},
		"long record":             {replace("Transcription", strings.Repeat("x", 2<<20)), odm.ErrLimit},
		"long content":            {replace(`<SiteRef LocationOID="701"/>`, strings.Repeat(`<SiteRef LocationOID="701"/>`, 30_000)), odm.ErrLimit},
		"many attributes":         {replace("<ClinicalData", "<ClinicalData "+manyAttributes(300)), odm.ErrLimit},
	}
	for name, tt := range tests {
		got, err := odm.AuditTrail(t.Context(), strings.NewReader(tt.text), "")
		if !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="x"`, i)
	}
	return b.String()
}

func TestAuditTrailStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := odm.AuditTrail(ctx, strings.NewReader(export("F", "x", first)), ""); !errors.Is(err, enough) {
		t.Errorf("got %v, want %v", err, enough)
	}
	fault := errors.New("input/output error")
	src := io.MultiReader(strings.NewReader(export("F", "x", first)[:500]), failing{fault})
	if _, err := odm.AuditTrail(t.Context(), src, ""); !errors.Is(err, fault) || errors.Is(err, odm.ErrSyntax) {
		t.Errorf("got %v, want %v", err, fault)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// long repeats the middle of an export.
type long struct {
	head, middle, tail string
	times              int
	rest               string
}

func (l *long) Read(p []byte) (int, error) {
	if l.rest == "" {
		switch {
		case l.head != "":
			l.rest, l.head = l.head, ""
		case l.times > 0:
			l.rest, l.times = l.middle, l.times-1
		case l.tail != "":
			l.rest, l.tail = l.tail, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// TestAuditTrailMemory reads 28 MB of other days' records: nothing of them stays.
func TestAuditTrailMemory(t *testing.T) {
	base := export("F", "x", "\x00")
	head, tail, _ := strings.Cut(base, "\x00")
	src := &long{head: head, middle: `<ItemData ItemOID="I" Value="` + strings.Repeat("x", 1000) + `"><AuditRecord><DateTimeStamp>2026-01-30T00:00:00</DateTimeStamp></AuditRecord></ItemData>`, tail: tail, times: 25_000}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, err := odm.AuditTrail(t.Context(), src, "2026-01-31")
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got.Others != 25_000 {
		t.Errorf("got %d records of other days, want 25,000", got.Others)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func FuzzAuditTrail(f *testing.F) {
	f.Add(export("F", "2026-02-01T01:00:00", first, second, third))
	f.Add(`<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0"><ClinicalData><Query><AuditRecord><DateTimeStamp>2026-01-31</DateTimeStamp></AuditRecord></Query></ClinicalData></ODM>`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := odm.AuditTrail(t.Context(), strings.NewReader(text), "")
		if err != nil {
			if all != nil {
				t.Error("got a trail with an error")
			}
			return
		}
		if all.Records == 0 {
			return
		}
		day, err := odm.AuditTrail(t.Context(), strings.NewReader(text), all.First)
		if err != nil || day.Records+day.Others != all.Records || day.Records == 0 {
			t.Errorf("the first day has %+v of %+v, %v", day, all, err)
		}
	})
}

func BenchmarkAuditTrail(b *testing.B) {
	head, tail, _ := strings.Cut(export("F", "x", "\x00"), "\x00")
	const times = 20_000
	b.SetBytes(int64(len(head) + len(first)*times + len(tail)))
	for b.Loop() {
		got, err := odm.AuditTrail(b.Context(), &long{head: head, middle: first, tail: tail, times: times}, "")
		if err != nil || got.Records != times {
			b.Fatalf("got %+v, %v", got, err)
		}
	}
}
