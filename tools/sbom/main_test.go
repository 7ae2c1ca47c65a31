package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func TestBillOfNotaryd(t *testing.T) {
	program := filepath.Join(t.TempDir(), "notaryd")
	build := exec.Command("go", "build", "-o", program, "./cmd/notaryd")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{program}, out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same program gave two different bills")
	}
	var bom cdx.BOM
	if err := json.Unmarshal(first.Bytes(), &bom); err != nil {
		t.Fatal(err)
	}
	want := []string{"github.com/transparency-dev/merkle", "google.golang.org/grpc", "std"}
	for _, name := range want {
		if !slices.ContainsFunc(*bom.Components, func(c cdx.Component) bool {
			return c.Name == name && c.Version != "" && strings.HasPrefix(c.PackageURL, "pkg:golang/"+name+"@")
		}) {
			t.Errorf("the bill does not name %s", name)
		}
	}
	if uses := *bom.Dependencies; len(uses) != 1 || len(*uses[0].Dependencies) != len(*bom.Components)-1 {
		t.Errorf("got %d dependency lists, want one that names every module", len(uses))
	}
}

func TestNoProgram(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("not a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, programs := range [][]string{nil, {text}, {text + ".missing"}} {
		var out bytes.Buffer
		if err := run(programs, &out); err == nil || out.Len() > 0 {
			t.Errorf("run(%q) gave %d bytes and error %v, want none and an error", programs, out.Len(), err)
		}
	}
}
