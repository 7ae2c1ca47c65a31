package rules

import (
	"os"
	"strings"
	"testing"
)

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
