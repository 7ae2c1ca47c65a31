package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trialnotary/trialnotary/trial/rules"
)

// maxPacks bounds the packs of rules: each stays in memory.
const maxPacks = 100

// readPacks reads the packs of rules in files and in folders, beside the default
// one. What cannot be used is named by its file and line.
func readPacks(paths []string) (*rules.Packs, error) {
	var packs []*rules.Pack
	for _, path := range paths {
		files, err := packFiles(path)
		if err != nil {
			return nil, fmt.Errorf("rules.packs: %w", err)
		}
		for _, file := range files {
			p, err := readPack(file)
			if err != nil {
				return nil, fmt.Errorf("rules.packs: %w", err)
			}
			if packs = append(packs, p); len(packs) > maxPacks {
				return nil, fmt.Errorf("rules.packs: got more than %d packs", maxPacks)
			}
		}
	}
	return rules.NewPacks(packs...), nil
}

// packFiles returns the file, or the folder's packs in order of their names. A
// folder of a Kubernetes ConfigMap has others beside them that begin with a dot.
func packFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); filepath.Ext(name) == ".yaml" && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(path, name))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("folder %s holds no .yaml file", path)
	}
	return files, nil
}

func readPack(file string) (*rules.Pack, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a file", file)
	case info.Size() > rules.MaxPack:
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d", file, info.Size(), rules.MaxPack)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := rules.Parse(text)
	if err == nil {
		_, err = rules.Compile(p, nil, nil)
	}
	if err != nil {
		return nil, atLine(file, err)
	}
	return p, nil
}

// atLine names the file and the line of it that an error is about, as editors
// read it.
func atLine(file string, err error) error {
	if bad, ok := errors.AsType[*rules.Error](err); ok {
		if line := bad.FileLine(); line > 0 {
			return fmt.Errorf("%s:%d: %w", file, line, err)
		}
	}
	return fmt.Errorf("%s: %w", file, err)
}
