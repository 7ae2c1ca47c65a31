package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestValidationNamesRealTests holds each row of docs/validation.md against the
// package that it names.
func TestValidationNamesRealTests(t *testing.T) {
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, "docs", "validation.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[3], "`Test") {
			continue
		}
		rows++
		source := testSource(t, filepath.Join(root, quoted.FindStringSubmatch(cells[4])[1]))
		for _, name := range quoted.FindAllStringSubmatch(cells[3], -1) {
			if !strings.Contains(source, "\nfunc "+name[1]+"(t *testing.T)") {
				t.Errorf("docs/validation.md names %s, which is not in%s", name[1], cells[4])
			}
		}
	}
	if rows < 15 {
		t.Errorf("docs/validation.md has %d rows, want the whole table", rows)
	}
}

func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
