package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial/dataset/odm"
)

// defineName is the name that a define.xml has in a submission.
const defineName = "define.xml"

// packageResult is a package compared with its define.xml.
type packageResult struct {
	Define   string `json:"define"`
	Folder   string `json:"folder"`
	Complete bool   `json:"complete"`
	*odm.Package
}

func (a *app) checkPackageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check-package DEFINE.XML [FOLDER]",
		Short: "Compare a folder with the files that its define.xml names",
		Long: `check-package lists what a define.xml names and the folder lacks, and what the folder has
and the define.xml does not name. FOLDER is the define.xml's own unless given.

A define.xml often names NAME.xpt where the package holds NAME.json, NAME.ndjson or
NAME.dsjc: these are forms of one dataset, count as being there, and are listed as matched
by name without suffix. Receipts and what else notary writes are left out. The exit status
is 1 if anything is missing.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := filepath.Dir(args[0])
			if len(args) == 2 {
				folder = args[1]
			}
			return a.checkPackage(cmd.Context(), args[0], folder)
		},
	}
}

func (a *app) checkPackage(ctx context.Context, define, folder string) error {
	files, err := packageFiles(ctx, folder)
	if err != nil {
		return err
	}
	p, err := comparePackage(define, folder, files)
	if err != nil {
		return err
	}
	r := packageResult{Define: define, Folder: folder, Complete: p.Complete(), Package: p}
	if err := a.print(r, r.print); err != nil {
		return err
	}
	if !r.Complete {
		return errNegative
	}
	return nil
}

// packageFiles lists a folder by relative path, without what notary wrote into it.
func packageFiles(ctx context.Context, folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, err := filepath.Rel(folder, p)
		if err == nil && !d.IsDir() && !ownFile(name) {
			files = append(files, filepath.ToSlash(name))
		}
		return err
	})
	return files, err
}

// ownFile knows the files that notary writes beside others.
func ownFile(name string) bool {
	for _, suffix := range []string{client.ReceiptSuffix, client.EvidenceSuffix, client.ManifestSuffix} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// comparePackage reads a define.xml and compares it with the files of its folder.
func comparePackage(define, folder string, files []string) (*odm.Package, error) {
	f, err := os.Open(define)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("invalid DEFINE.XML: %s is a folder, want the %s in it", define, defineName)
	}
	leaves, err := odm.Leaves(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", define, err)
	}
	self, err := filepath.Rel(folder, define)
	if err != nil {
		self = defineName
	}
	return odm.CheckPackage(leaves, filepath.ToSlash(self), files), nil
}

func (r *packageResult) print(w io.Writer) {
	named := len(r.Matches) + len(r.Missing)
	if r.Complete {
		fmt.Fprintf(w, "%s: complete, %s\n", r.Folder, count(named, "named file is there", "named files are there"))
	} else {
		fmt.Fprintf(w, "%s: %d of %s missing\n", r.Folder, len(r.Missing), count(named, "named file is", "named files are"))
	}
	for _, l := range r.Missing {
		fmt.Fprintf(w, "  missing  %s%s\n", l.Href, titled(l.Title))
	}
	for _, m := range r.Matches {
		if m.ByStem {
			fmt.Fprintf(w, "  by name without suffix  %s: %s\n", m.Leaf.Href, strings.Join(m.Files, ", "))
		}
	}
	for _, l := range r.Outside {
		fmt.Fprintf(w, "  outside  %s (not checked)\n", l.Href)
	}
	for _, name := range r.Extra {
		fmt.Fprintf(w, "  not named  %s\n", name)
	}
}

func titled(title string) string {
	if title == "" {
		return ""
	}
	return " (" + title + ")"
}

// notePackages warns where a folder that is submitted differs from what the
// define.xml in it names. It stops nothing.
func (a *app) notePackages(inputs []*input) {
	for _, in := range inputs {
		for _, f := range in.files {
			if f.Path == in.path || path.Base(f.Name) != defineName {
				continue
			}
			dir := path.Dir(f.Name)
			p, err := comparePackage(f.Path, filepath.Dir(f.Path), in.below(dir))
			if err != nil {
				a.notef("warning: cannot compare the package with its define.xml: %v", err)
				continue
			}
			a.notePackage(f.Path, p)
		}
	}
}

// below lists the files of a folder inside the input, relative to it.
func (in *input) below(dir string) []string {
	var names []string
	for _, f := range in.files {
		if dir == "." {
			names = append(names, f.Name)
		} else if name, ok := strings.CutPrefix(f.Name, dir+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

func (a *app) notePackage(define string, p *odm.Package) {
	var missing, stems []string
	for _, l := range p.Missing {
		missing = append(missing, l.Href)
	}
	for _, m := range p.Matches {
		if m.ByStem {
			stems = append(stems, m.Leaf.Href)
		}
	}
	for _, note := range []struct {
		text  string
		names []string
	}{
		{"warning: %s names what the folder lacks: %s", missing},
		{"note: %s names these by another suffix than they have: %s", stems},
		{"note: %s does not name: %s", p.Extra},
	} {
		if len(note.names) > 0 {
			a.notef(note.text, define, some(note.names))
		}
	}
}

// some lists a few names, and how many more there are.
func some(names []string) string {
	const shown = 10
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
