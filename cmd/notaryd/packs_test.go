package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/trial/rules"
)

const testPack = `pack: sponsor
version: "1"
title: One rule
rules:
  - id: T1
    title: Sites are named
    severity: minor
    trigger:
      events: [logged]
    expression: act.site != ""
    message: "No site."
`

func packDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadPacks(t *testing.T) {
	second := strings.Replace(testPack, `"1"`, `"2"`, 1)
	dir := packDir(t, map[string]string{"one.yaml": testPack, "README.md": "of this folder", ".hidden.yaml": "x"})
	file := filepath.Join(packDir(t, map[string]string{"two.txt": second}), "two.txt")
	packs, err := readPacks([]string{dir, file})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{testPack, second, string(rules.DefaultText())} {
		if _, err := packs.Pack(rules.Digest([]byte(text))); err != nil {
			t.Error(err)
		}
	}
	if packs, err = readPacks(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := packs.Pack(rules.Default().Digest); err != nil {
		t.Error(err)
	}
}

func TestReadPacksRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text, says string
	}{
		"an unknown field":  {strings.Replace(testPack, "severity", "colour", 1), "p.yaml:7: invalid rule T1 7:5: unknown field"},
		"a bad expression":  {strings.Replace(testPack, `act.site != ""`, "act.site == colour", 1), "p.yaml:10: invalid rule T1: expression 1:13"},
		"not YAML":          {"pack: [", "p.yaml"},
		"a param of no one": {strings.Replace(testPack, `act.site != ""`, "params.mine > 1", 1), "p.yaml:10: invalid rule T1: expression 1:7"},
		"too long":          {testPack + strings.Repeat("#", rules.MaxPack), "want at most"},
	} {
		dir := packDir(t, map[string]string{"p.yaml": c.text})
		if _, err := readPacks([]string{dir}); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want the file and %q", name, err, c.says)
		}
	}
	empty := t.TempDir()
	for _, path := range []string{empty, filepath.Join(empty, "missing.yaml")} {
		if _, err := readPacks([]string{path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
	many := map[string]string{}
	for i := range maxPacks + 1 {
		many[strings.Repeat("a", i+1)+".yaml"] = testPack
	}
	if _, err := readPacks([]string{packDir(t, many)}); err == nil {
		t.Error("got no error of too many packs")
	}
}

// TestABadPackEndsTheStart: nobody finds out later that a pack cannot be used.
func TestABadPackEndsTheStart(t *testing.T) {
	c, err := LoadConfig(newNotary(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Rules.Packs = []string{packDir(t, map[string]string{"p.yaml": testPack + "oops"})}
	if _, err := openParts(context.Background(), c, zap.NewNop(), nil); err == nil || !strings.Contains(err.Error(), "p.yaml") {
		t.Fatalf("got %v, want an error that names the pack", err)
	}
	c.Rules.Packs = []string{packDir(t, map[string]string{"p.yaml": testPack})}
	p, err := openParts(context.Background(), c, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.close(context.Background()); err != nil {
		t.Error(err)
	}
}
