package odm

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Leaf is a file that a define.xml names.
type Leaf struct {
	ID    string `json:"id"`
	Href  string `json:"href"`
	Title string `json:"title,omitzero"`
}

// maxLeaves bounds the files that a define.xml may name.
const maxLeaves = 100_000

// Namespaces of Define-XML 1.0 to 2.1 and of XLink.
const (
	defineNamespace = "http://www.cdisc.org/ns/def/v"
	xlinkNamespace  = "http://www.w3.org/1999/xlink"
)

// Leaves returns the files that a define.xml names, in its order.
func Leaves(src io.Reader) ([]Leaf, error) {
	s := newScanner(src)
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	if !isODM(root) {
		return nil, s.errorf(ErrNotDefine, "the root element is %s, want ODM", root.Name.Local)
	}
	var leaves []Leaf
	define, title := false, false
	for {
		token, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			define = define || isDefine(t)
			title = t.Name.Local == "title" && strings.HasPrefix(t.Name.Space, defineNamespace)
			if t.Name.Local != "leaf" || !strings.HasPrefix(t.Name.Space, defineNamespace) {
				continue
			}
			if len(leaves) == maxLeaves {
				return nil, s.errorf(ErrLimit, "more than %d files", maxLeaves)
			}
			leaf := Leaf{ID: attribute(t, "ID"), Href: href(t)}
			if leaf.Href == "" {
				return nil, s.errorf(ErrNotDefine, "leaf %q has no xlink:href", leaf.ID)
			}
			leaves = append(leaves, leaf)
		case xml.CharData:
			if title && len(leaves) > 0 {
				leaves[len(leaves)-1].Title += strings.TrimSpace(string(t))
			}
		case xml.EndElement:
			title = false
		}
	}
	if !define {
		return nil, s.errorf(ErrNotDefine, "no MetaDataVersion has a def:DefineVersion")
	}
	return leaves, nil
}

func isDefine(t xml.StartElement) bool {
	return t.Name.Local == "MetaDataVersion" && slices.ContainsFunc(t.Attr, func(a xml.Attr) bool {
		return a.Name.Local == "DefineVersion" && strings.HasPrefix(a.Name.Space, defineNamespace)
	})
}

func href(t xml.StartElement) string {
	for _, a := range t.Attr {
		if a.Name.Space == xlinkNamespace && a.Name.Local == "href" {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// Match is a leaf with the files that stand for it.
type Match struct {
	Leaf  Leaf     `json:"leaf"`
	Files []string `json:"files"`
	// ByStem says that none has the very name: a define.xml that names dm.xpt is
	// matched by dm.json too, another form of the same dataset.
	ByStem bool `json:"byStem"`
}

// Package compares the files that a define.xml names with those that are there.
type Package struct {
	Matches []Match `json:"matches"`
	Missing []Leaf  `json:"missing"` // named and not there
	// Outside are leaves that name no file of the folder, such as a web address.
	Outside []Leaf   `json:"outside"`
	Extra   []string `json:"extra"` // there and not named
}

// Complete tells whether every file that is named is there.
func (p *Package) Complete() bool { return len(p.Missing) == 0 }

// CheckPackage compares leaves with the files of the folder that the define.xml
// stands in: paths relative to it, with forward slashes. define is the define.xml
// itself, which needs no leaf.
func CheckPackage(leaves []Leaf, define string, files []string) *Package {
	exact, stems := map[string]string{}, map[string][]string{}
	for _, f := range files {
		exact[f] = f
		if stem, ok := tableStem(f); ok {
			stems[stem] = append(stems[stem], f)
		}
	}
	p, named := &Package{}, map[string]bool{define: true}
	for _, leaf := range leaves {
		name, ok := inside(leaf.Href)
		if !ok {
			p.Outside = append(p.Outside, leaf)
			continue
		}
		m := Match{Leaf: leaf, ByStem: true}
		if f, ok := exact[name]; ok {
			m.ByStem, m.Files = false, append(m.Files, f)
		}
		if stem, ok := tableStem(name); ok {
			for _, f := range stems[stem] {
				if f != name {
					m.Files = append(m.Files, f)
				}
			}
		}
		if len(m.Files) == 0 {
			p.Missing = append(p.Missing, leaf)
			continue
		}
		for _, f := range m.Files {
			named[f] = true
		}
		p.Matches = append(p.Matches, m)
	}
	for _, f := range files {
		if !named[f] {
			p.Extra = append(p.Extra, f)
		}
	}
	slices.Sort(p.Extra)
	return p
}

// inside returns the path that a leaf names, unless that leaves the folder.
func inside(href string) (string, bool) {
	u, err := url.Parse(href)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" || u.Path[0] == '/' {
		return "", false
	}
	name := path.Clean(strings.ReplaceAll(u.Path, `\`, "/"))
	return name, name != ".." && !strings.HasPrefix(name, "../")
}

// tableStem returns the name without its suffix, if that is one of a dataset: the
// forms of one dataset differ in it alone, and in case.
func tableStem(name string) (string, bool) {
	suffix := path.Ext(name)
	switch strings.ToLower(suffix) {
	case ".xpt", ".json", ".ndjson", ".dsjc":
		return strings.ToLower(strings.TrimSuffix(name, suffix)), true
	}
	return "", false
}
