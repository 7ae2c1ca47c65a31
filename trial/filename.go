package trial

import "strings"

// badFileName says what is wrong with a subject's name, or "". A name is a base
// name or a relative path with forward slashes; on no system may it lead out of
// the folder where it is looked for.
func badFileName(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > maxFileName:
		return "too long"
	case strings.IndexByte(name, '\\') >= 0:
		return "a backslash: write paths with forward slashes"
	case name[0] == '/', len(name) >= 2 && name[1] == ':' && letter(name[0]):
		return "an absolute path: want a base name, or a path inside the folder"
	}
	for more := true; more; {
		var part string
		switch part, name, more = strings.Cut(name, "/"); part {
		case "":
			return "an empty part of a path"
		case ".", "..":
			return "a path with . or .. in it"
		}
	}
	return ""
}
