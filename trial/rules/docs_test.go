package rules

import (
	"fmt"
	"os"
	"strconv"
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

// The page names the limits that hold.
func TestDocumentedLimits(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"at most " + thousands(maxText) + " characters", fmt.Sprintf("%d parts", maxNodes), "more than " + thousands(maxEstimate) + " units",
		thousands(eventCost) + " units, and " + thousands(elementCost) + " more for each", "at most " + thousands(maxCost),
		fmt.Sprintf("at most %d KiB", MaxPack>>10), fmt.Sprintf("at most %d |", maxRules), fmt.Sprintf("at most %d of", maxCases),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/rules.md does not say %q", want)
		}
	}
}

// thousands writes a number as the pages do.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
