package client

import (
	"os"
	"strings"
	"testing"
)

// The code in the README is the one that the example compiles.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	must(t, err)
	example, err := os.ReadFile("example_test.go")
	must(t, err)
	_, code, ok := strings.Cut(string(readme), "```go\n")
	code, _, end := strings.Cut(code, "```")
	if !ok || !end || !strings.Contains(string(example), code) {
		t.Error("the README's code is not in example_test.go")
	}
}
