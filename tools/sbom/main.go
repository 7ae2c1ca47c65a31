// Command sbom writes a CycloneDX 1.6 bill of materials of Go programs, from the
// build information that the compiler put into them: so it lists what is in the
// programs, not what go.mod could bring. The same programs give the same bytes.
//
//	sbom PROGRAM... >sbom.cdx.json
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(programs []string, out io.Writer) error {
	if len(programs) == 0 {
		return errors.New("want the paths of the programs")
	}
	b := &bill{modules: make(map[string]cdx.Component)}
	for _, path := range programs {
		if err := b.add(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	encoder := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true)
	return encoder.EncodeVersion(b.bom(), cdx.SpecVersion1_6)
}

// bill collects programs, and what they are made of by package URL.
type bill struct {
	programs []cdx.Component
	modules  map[string]cdx.Component
	uses     []cdx.Dependency
}

func (b *bill) add(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(content)
	program := cdx.Component{
		BOMRef: "program:" + filepath.Base(path), Type: cdx.ComponentTypeApplication,
		Name: filepath.Base(path), Version: info.Main.Version,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}},
		Properties: &[]cdx.Property{},
	}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" || strings.HasPrefix(s.Key, "vcs.") {
			*program.Properties = append(*program.Properties, cdx.Property{Name: "go:" + s.Key, Value: s.Value})
		}
	}
	refs := []string{b.module("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		refs = append(refs, b.module(m.Path, m.Version, m.Sum))
	}
	slices.Sort(refs)
	b.programs = append(b.programs, program)
	b.uses = append(b.uses, cdx.Dependency{Ref: program.BOMRef, Dependencies: &refs})
	return nil
}

// module adds a Go module once and returns its reference, its package URL. Sum is
// the module's hash in go.sum: no hash of one file, so it is a property.
func (b *bill) module(path, version, sum string) string {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	b.modules[purl] = c
	return purl
}

// bom is free of times and random numbers, so that a build can be reproduced.
func (b *bill) bom() *cdx.BOM {
	bom := cdx.NewBOM()
	components := slices.Clone(b.programs)
	for _, c := range b.modules {
		components = append(components, c)
	}
	slices.SortFunc(components, func(x, y cdx.Component) int { return strings.Compare(x.BOMRef, y.BOMRef) })
	bom.Components, bom.Dependencies = &components, &b.uses
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "trialnotary", Type: cdx.ComponentTypeApplication, Name: "Trial Notary", Version: b.programs[0].Version,
	}}
	return bom
}
