package trial

import "slices"

func (r *reader) document() *Document {
	d := new(Document)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			d.ID = r.identifier(isDocument, "a document's id of at most 128 characters")
		case "language":
			d.Language = r.identifier(isLanguage, "a language tag such as en or de-AT")
		case "scope":
			d.Scope = r.line(maxName)
		default:
			r.unknown()
		}
	}
	if *d == (Document{}) {
		r.failf(ReasonBadValue, "empty: leave the field out where there is no value")
	}
	return d
}

func (r *reader) signer() Signer {
	var s Signer
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "keyId":
			s.KeyID = r.hash(ReasonBadIdentifier)
		case "name":
			s.Name = r.line(maxName)
		case "role":
			s.Role = Role(r.identifier(isRole, "a role: at most 40 lowercase letters, digits or -"))
		case "organisation":
			s.Organisation = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("keyId", !s.KeyID.IsZero())
	r.require("name", s.Name != "")
	r.require("role", s.Role != "")
	r.require("organisation", s.Organisation != "")
	return s
}

func (r *reader) treeHead() *TreeHead {
	t := new(TreeHead)
	var size, root bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "origin":
			t.Origin = r.identifier(isOrigin, "a log's name: a bare host name in lower case")
		case "size":
			t.Size, size = r.number(), true
		case "root":
			t.Root, root = r.base64x32(), true
		default:
			r.unknown()
		}
	}
	r.require("origin", t.Origin != "")
	r.require("size", size)
	r.require("root", root)
	return t
}

func (r *reader) manifestInfo() *ManifestInfo {
	m := new(ManifestInfo)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "files":
			m.Files = r.number()
			if r.refusal == nil && (m.Files == 0 || m.Files > maxManifestFiles) {
				r.failf(ReasonBadNumber, "want 1 to %d files", maxManifestFiles)
			}
		default:
			r.unknown()
		}
	}
	r.require("files", m.Files != 0)
	return m
}

func (r *reader) registry() Registry {
	out := make(Registry, 2)
	r.begin('{')
	for r.next() {
		name := string(r.name)
		if !isRegistry(name) {
			r.unknown()
			return nil
		}
		out[name] = r.identifier(schemes[name], "a number of the registry "+name)
	}
	r.notEmpty(len(out))
	return out
}

// ids reads a list of statement ids, each once.
func (r *reader) ids(limit int) []ID {
	var out []ID
	var seen map[ID]struct{}
	r.begin('[')
	for r.more() {
		if len(out) == limit {
			r.failf(ReasonTooLarge, "got more than %d entries", limit)
			return nil
		}
		id := ID(r.hash(ReasonBadIdentifier))
		if seen == nil {
			seen = make(map[ID]struct{})
		}
		if _, dup := seen[id]; dup {
			r.failf(ReasonDuplicateValue, "listed more than once")
		}
		seen[id] = struct{}{}
		out = append(out, id)
	}
	r.notEmpty(len(out))
	return out
}

// oneOf reads a value of a closed list.
func oneOf[T ~string](r *reader, list []T) T {
	b := r.bytes(maxName)
	if r.refusal != nil {
		return ""
	}
	for _, v := range list {
		if string(v) == string(b) {
			return v
		}
	}
	r.failf(ReasonBadValue, "want one of %q", list)
	return ""
}

// listOf reads a list of at least one and at most limit values, each once.
func listOf[T ~string](r *reader, limit int, value func() T) []T {
	out := listOrNone(r, limit, value)
	r.notEmpty(len(out))
	return out
}

// listOrNone reads a list of at most limit values, each once.
func listOrNone[T ~string](r *reader, limit int, value func() T) []T {
	out := []T{}
	r.begin('[')
	for r.more() {
		if len(out) == limit {
			r.failf(ReasonTooLarge, "got more than %d entries", limit)
			return nil
		}
		v := value()
		if r.refusal == nil && slices.Contains(out, v) {
			r.failf(ReasonDuplicateValue, "listed more than once")
		}
		out = append(out, v)
	}
	return out
}

// notEmpty refuses a list or an object without entries.
func (r *reader) notEmpty(entries int) {
	if entries == 0 {
		r.failf(ReasonBadValue, "empty: leave the field out where there is no value")
	}
}
