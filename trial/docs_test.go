package trial

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the examples of docs/statements.md anew")

const (
	docPage   = "../docs/statements.md"
	docSchema = "../docs/statement.schema.json"
)

var docExample = regexp.MustCompile("(?s)<!-- example -->\n```json\n(.*?)```\n")

func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.NewCompiler().Compile(docSchema)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func schemaError(tb testing.TB, s *jsonschema.Schema, doc []byte) error {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		tb.Fatal(err)
	}
	return s.Validate(v)
}

func docPayloads(tb testing.TB) [][]byte {
	tb.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for _, m := range docExample.FindAllSubmatch(page, -1) {
		out = append(out, bytes.TrimSuffix(m[1], []byte("\n")))
	}
	return out
}

// The examples are one trial, folded in the order of the page.
func TestDocExamples(t *testing.T) {
	if *update {
		writeDocExamples(t)
	}
	s := schema(t)
	seen := map[Kind]bool{}
	var a *Authority
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i, payload := range docPayloads(t) {
		st, err := ParseStatement(payload)
		if err != nil {
			t.Errorf("example %d: %v", i, err)
			continue
		}
		seen[st.Predicate.Kind] = true
		if err := schemaError(t, s, payload); err != nil {
			t.Errorf("example %d (%s): the schema refuses it: %v", i, st.Predicate.Kind, err)
		}
		switch {
		case i == 0:
			a, err = NewAuthority(st, 0)
		case st.Predicate.Kind == KindTimeMark:
		default:
			err = a.Apply(st, uint64(i), at)
		}
		if err != nil {
			t.Errorf("example %d (%s): %v", i, st.Predicate.Kind, err)
		}
	}
	for _, k := range Kinds() {
		if !seen[k] {
			t.Errorf("kind %s has no example", k)
		}
	}
}

func TestDocListsReasons(t *testing.T) {
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Reasons() {
		if !bytes.Contains(page, []byte("`"+string(r)+"`")) {
			t.Errorf("reason %s is not on the page", r)
		}
	}
}

// writeDocExamples makes the story of the page with fresh keys.
func writeDocExamples(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	examples := docStory(t)
	n := 0
	page = docExample.ReplaceAllFunc(page, func([]byte) []byte {
		out := "<!-- example -->\n```json\n" + string(examples[n]) + "\n```\n"
		n++
		return []byte(out)
	})
	if n != len(examples) {
		t.Fatalf("got %d places on the page, want %d", n, len(examples))
	}
	if err := os.WriteFile(docPage, page, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pretty gives a statement the spelling of the page, and with it its id.
func pretty(t *testing.T, st *Statement) *Statement {
	t.Helper()
	v := jsontext.Value(bytes.Clone(marshal(t, st).Payload))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	out, err := ParseStatement(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
