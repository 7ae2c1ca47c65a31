package rules

import (
	"os"
	"strings"
	"testing"
)

// The page's example of own rules can be used.
func TestOwnRulesDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	own, err := ParseOwn([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compile(Default(), own.Rules, nil); err != nil {
		t.Error(err)
	}
}

// The page names every word that an expression can use.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range Vocabulary() {
		if _, name, ok := strings.Cut(word, "."); ok && !strings.HasPrefix(word, "params.") {
			word = name
		}
		if !strings.Contains(string(page), "`"+strings.TrimPrefix(word, "params.")+"`") {
			t.Errorf("docs/rules.md does not name %s", word)
		}
	}
}
