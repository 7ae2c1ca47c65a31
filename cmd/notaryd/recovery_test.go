package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// remedy is a section of docs/operations.md about what the server may say.
type remedy struct {
	says   []*regexp.Regexp
	blocks []string // shell commands
}

// readRemedies reads the sections below "When it refuses to start".
func readRemedies(t *testing.T) map[string]*remedy {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n## When it refuses to start\n")
	if !ok {
		t.Fatal("docs/operations.md has no such section")
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	remedies := map[string]*remedy{}
	for _, section := range strings.Split(rest, "\n### ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		r := &remedy{}
		for _, said := range regexp.MustCompile("(?m)^> `(.+)`$").FindAllStringSubmatch(text, -1) {
			r.says = append(r.says, sayPattern(said[1]))
		}
		for _, block := range regexp.MustCompile("(?ms)^```\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
			r.blocks = append(r.blocks, block[1])
		}
		remedies[title] = r
	}
	return remedies
}

// sayPattern makes a pattern of a message as the document writes it: words in
// capitals stand for what varies, and … for anything.
func sayPattern(said string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.ReplaceAll(said, "…", "\x00"))
	quoted = regexp.MustCompile(`\b(N|M|K|I|FILE|HASH|SOURCE)\b`).ReplaceAllString(quoted, `.+?`)
	return regexp.MustCompile(strings.ReplaceAll(quoted, "\x00", ".*"))
}

func (r *remedy) covers(said string) bool {
	for _, pattern := range r.says {
		if pattern.MatchString(said) {
			return true
		}
	}
	return false
}

// follow runs a block of the document with bash, where `notaryd` is this test.
func (r *remedy) follow(t *testing.T, block int, variables map[string]string) {
	t.Helper()
	if block >= len(r.blocks) {
		t.Fatalf("the section has %d blocks", len(r.blocks))
	}
	bin := t.TempDir()
	shim := fmt.Sprintf("#!/bin/bash\nexport %s=\"$(printf '%%s\\n' \"$@\")\"\nexec %q\n", asServer, os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "notaryd"), []byte(shim), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", r.blocks[block])
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("following the document: %v\n%s", err, out)
	}
}
