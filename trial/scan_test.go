package trial

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// readOnce reads a document in one of the two ways.
func readOnce(b []byte, quick bool, parse func(*reader)) *Refusal {
	r := newReader(b, ReasonMalformedStatement, "", quick)
	defer r.release()
	parse(r)
	r.end()
	return r.refusal
}

// readBothWays reads b quickly and with care: what the quick reader accepts, the
// careful one must read alike. It tells whether each of them accepted b.
func readBothWays(t *testing.T, what string, b []byte, parse func(*reader) any) (quickly, carefully bool) {
	t.Helper()
	var quick, careful any
	hasty := readOnce(b, true, func(r *reader) { quick = parse(r) })
	refusal := readOnce(b, false, func(r *reader) { careful = parse(r) })
	if hasty == nil && (refusal != nil || !reflect.DeepEqual(quick, careful)) {
		t.Errorf("%s: the quick reader got %+v, the careful one %+v, %v\nof %q", what, quick, careful, refusal, b)
	}
	if hasty != nil && hasty != gaveUp {
		t.Errorf("%s: the quick reader gave the refusal %v", what, hasty)
	}
	return hasty == nil, refusal == nil
}

func readEverything(t *testing.T, b []byte) (quickly, carefully bool) {
	t.Helper()
	readBothWays(t, "any value", b, func(r *reader) any { return bytes.Clone(r.skip()) })
	readBothWays(t, "envelope", b, func(r *reader) any {
		e := new(Envelope)
		e.read(r, PayloadType)
		return e
	})
	return readBothWays(t, "statement", b, func(r *reader) any {
		st := new(Statement)
		st.read(r)
		return st
	})
}

// FuzzScanner holds the quick reader against the slow reference.
func FuzzScanner(f *testing.F) {
	for _, p := range docPayloads(f) {
		f.Add(p)
	}
	good := goodStatements(f)
	for _, c := range refusalCases() {
		if doc := c.change(good[c.kind]); len(doc) < 8<<10 {
			f.Add([]byte(doc))
		}
	}
	for _, s := range scannerCases {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		readEverything(t, b)
		if !bytes.Equal(b, kept) {
			t.Fatal("reading changed the document")
		}
	})
}

var scannerCases = []string{
	`{}`, `[]`, ` [ ] `, `[1,2]`, `[1 2]`, `[1,]`, `[,1]`, `{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a"::1}`, `{"a":}`, `{"a"}`, `{"a",1}`,
	`{"a":1 "b":2}`, `{"a":1}}`, `{"a":1}]`, `[}`, `{]`, `[1}`, `{"a":1]`, `{1:2}`, `{null:1}`, `{"a":{"a":1},"b":[{"a":1}]}`,
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"ä":1,"ä":2}`, `"\ud800"`, `"\ud83d\ude00"`, `"\udc00\ud800"`, `"\x"`, `"\`, `"\"`, `"\\"`, `"\u12"`,
	"\"\x00\"", "\"\n\"", "\"\x7f\"", "\"\xff\"", "\"\xed\xa0\x80\"", `"abcdefg\"h"`, `"abcdefgh"`, `"abcdefg`, `"\ud800abcdefgh\"`,
	`0`, `-0`, `01`, `-`, `1.`, `.1`, `1.0`, `1e`, `1e5`, `1E+5`, `1e-05`, `+1`, `1a`, `9007199254740992`, `1e400`, `0x1`, `NaN`,
	`true`, `false`, `null`, `tru`, `truex`, `nul`, `[true,false,null]`, `True`, ``, ` `, "\ufeff{}", `{} {}`, "\v{}", "{}\x00",
}

// Whatever clients write is read quickly: giving up costs time, not correctness,
// so nothing else would show it.
func TestReadQuickly(t *testing.T) {
	for name, p := range docPayloads(t) {
		if quickly, carefully := readEverything(t, p); !quickly || !carefully {
			t.Errorf("statement %v: read quickly %v, with care %v", name, quickly, carefully)
		}
	}
	text := []byte("{\"payload\":\"e30=\",\"payloadType\":\"" + PayloadType + "\",\"signatures\":[{\"sig\":\"AAAAAAAAAAA=\",\"keyid\":\"\"}]}\n")
	if refusal := readOnce(text, true, func(r *reader) { new(Envelope).read(r, PayloadType) }); refusal != nil {
		t.Error("an envelope is not read quickly")
	}
	for _, escaped := range []string{`"a\u00e9\n\"b"`, `"é\\"`} {
		if _, err := readValue(escaped); err != nil {
			t.Errorf("%s is not read quickly: %v", escaped, err)
		}
	}
}

// TestSubjectSpellings reads subjects in the usual spelling and beside it: each
// alone, between usual ones, and inside what is no subject.
func TestSubjectSpellings(t *testing.T) {
	digest := `"digest":{"sha256":"` + hexOf('a') + `"}`
	usual := `{"name":"a",` + digest + `}`
	for subject, want := range map[string]struct{ quickly, carefully bool }{
		usual: {true, true},
		`{"name":"data/.x/dm..xpt",` + digest + `}`:                            {true, true},
		`{"name":"ä",` + digest + `}`:                                          {true, true},
		`{"name":"\u0061b",` + digest + `}`:                                    {true, true},
		` {"name":"b" ,` + digest + `} `:                                       {true, true},
		`{` + digest + `,"name":"b"}`:                                          {true, true},
		strings.Replace(usual, `"}}`, `"} }`, 1):                               {true, true},
		`{"name":"a/../b",` + digest + `}`:                                     {},
		`{"name":"a\\b",` + digest + `}`:                                       {},
		`{"name":"",` + digest + `}`:                                           {},
		`{"name":"` + strings.Repeat("x", maxFileName) + `",` + digest + `}`:   {true, true},
		`{"name":"` + strings.Repeat("x", maxFileName+1) + `",` + digest + `}`: {},
		"{\"name\":\"a\x7fb\"," + digest + `}`:                                 {},
		`{"name":"a","x":1,` + digest + `}`:                                    {},
		`{"name":"a",` + digest:                                                {},
		usual + `}`:                                                            {},
		strings.Replace(usual, "aaaa", "aaaA", 1):                              {},
		strings.Replace(usual, "aaaa", "aaa", 1):                               {},
		strings.Replace(usual, "aaaa", "aa\"a", 1):                             {},
		strings.Replace(usual, "aaaa", "\\u0061aaa", 1):                        {false, true},
		strings.Replace(usual, "sha256", "sha257", 1):                          {true, true},
		strings.Replace(usual, `"}}`, `"}`, 1):                                 {},
	} {
		for _, list := range []string{subject, subject + `,{"name":"z",` + digest + `}`, `{"name":"A",` + digest + `},` + subject} {
			doc := []byte(`{"_type":"` + StatementType + `","subject":[` + list + `],"predicateType":"` + PredicateType + `","predicate":{}}`)
			quickly, carefully := readBothWays(t, "subjects", doc, func(r *reader) any { return readSubjects(r) })
			if quickly != want.quickly || carefully != want.carefully {
				t.Errorf("%s: read quickly %v, with care %v, want %v", list, quickly, carefully, want)
			}
			readEverything(t, doc)
			readEverything(t, bytes.ReplaceAll(doc, []byte(`"subject":[`), []byte(`"subject":[[`)))
			readEverything(t, bytes.ReplaceAll(doc, []byte(`"subject":[`), []byte(`"subject":{`)))
		}
	}
}

// readSubjects reads a statement's subjects and nothing that its predicate lacks.
func readSubjects(r *reader) []Subject {
	var out []Subject
	r.begin('{')
	for r.next() {
		if string(r.name) == "subject" {
			out = r.subjects()
		} else {
			r.skip()
		}
	}
	return out
}

func readValue(text string) (got string, refusal error) {
	if bad := readOnce([]byte(text), true, func(r *reader) { got = r.text() }); bad != nil {
		return "", bad
	}
	return got, nil
}

func TestEnvelopeText(t *testing.T) {
	payload := []byte(`{"a":"` + "b" + `"}`)
	e, err := Sign(testKey(t, "dm"), payload)
	if err != nil {
		t.Fatal(err)
	}
	e.KeyID = ""
	text := e.Marshal()
	got, err := ParseEnvelopeText(text)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := ParseEnvelope(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v (%v)", got, want, err)
	}
	if got.Digest() != paeDigest(PayloadType, payload) || got.Digest() != e.Digest() {
		t.Error("got another digest")
	}
	made := NewEnvelope(payload, "", e.Sig)
	if made.digest == nil || made.Digest() != e.Digest() || made.digest.sum != e.Digest() {
		t.Error("an envelope that is made of its parts has another digest, or does not remember it")
	}
	if NewEnvelope(nil, "", e.Sig).Digest() != paeDigest(PayloadType, nil) {
		t.Error("an envelope without a payload has another digest")
	}
	other := *got
	if other.Payload = []byte(`{"a":"c"}`); other.Digest() == got.Digest() {
		t.Error("another payload has the remembered digest")
	}
	if !e.IsText(text) {
		t.Error("the text is not taken for the envelope's")
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if e.IsText(bad) {
			t.Errorf("byte %d: another text is taken for the envelope's", i)
		}
		if got, err := ParseEnvelopeText(bad); err == nil && !got.IsText(bad) {
			t.Errorf("byte %d: got an envelope of %q", i, bad)
		}
		if e.IsText(text[:i]) {
			t.Errorf("%d bytes are taken for the whole", i)
		}
		if _, err := ParseEnvelopeText(text[:i]); err == nil {
			t.Errorf("%d bytes are read as the whole", i)
		} else {
			wantPlainRefusal(t, err)
		}
	}
	withID := *e
	withID.KeyID = publicKey(t, "dm").ID.String()
	if !withID.IsText(withID.Marshal()) || withID.IsText(text) || e.IsText(withID.Marshal()) {
		t.Error("the key id is not compared")
	}
}

// FuzzParseEnvelopeText: what it reads has one spelling, and reads alike.
func FuzzParseEnvelopeText(f *testing.F) {
	for _, p := range docPayloads(f) {
		e, err := Sign(testKey(f, "dm"), p)
		if err != nil {
			f.Fatal(err)
		}
		e.KeyID = ""
		f.Add(e.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelopeText(b)
		if err != nil {
			wantPlainRefusal(t, err)
			return
		}
		if !bytes.Equal(e.Marshal(), b) || !e.IsText(b) {
			t.Errorf("got another spelling of %q", b)
		}
		want, err := ParseEnvelope(b)
		if err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("got %+v, want %+v (%v)", e, want, err)
		}
	})
}
