package trial

import (
	"slices"
	"strings"
)

// Names of registries in [Registry].
const (
	RegistryNCT     = "nct"
	RegistryEUCT    = "euct"
	RegistryISRCTN  = "isrctn"
	RegistryUTN     = "utn"
	RegistryEudraCT = "eudract"
	RegistryJRCT    = "jrct"
	RegistryChiCTR  = "chictr"
	RegistryDRKS    = "drks"
	RegistryACTRN   = "actrn"
	// RegistrySponsorProtocol is the sponsor's own number. It is unique with
	// that sponsor only, so it names no trial.
	RegistrySponsorProtocol = "sponsorProtocol"
)

// Names of other identifiers, for [CheckIdentifier].
const (
	SchemeGLN      = "gln"
	SchemeGTIN14   = "gtin14"
	SchemeSSCC     = "sscc"
	SchemeSGTIN    = "sgtin" // GS1 digital link
	SchemeNDC10    = "ndc10"
	SchemeDICOMUID = "dicom-uid"
	SchemeIND      = "ind"
	SchemeORCID    = "orcid"
	SchemeSite     = "site"
	SchemeVersion  = "version"
	SchemeE2B      = "e2b" // worldwide unique case identification, C.1.1
)

// schemes holds what each identifier looks like. Registries publish no algorithm
// for their check digits; GS1 and ORCID do.
var schemes = map[string]func(string) bool{
	RegistryNCT:             func(s string) bool { return shaped(s, "NCTdddddddd") },
	RegistryEUCT:            func(s string) bool { return shaped(s, "20dd-5ddddd-dd-dd") },
	RegistryISRCTN:          func(s string) bool { return shaped(s, "ISRCTNnddddddd") },
	RegistryUTN:             func(s string) bool { return shaped(s, "U1111-dddd-dddd") },
	RegistryEudraCT:         func(s string) bool { return shaped(s, "20dd-dddddd-dd") },
	RegistryJRCT:            isJRCT,
	RegistryChiCTR:          func(s string) bool { return shaped(s, "ChiCTRdddddddddd") },
	RegistryDRKS:            func(s string) bool { return shaped(s, "DRKSdddddddd") },
	RegistryACTRN:           func(s string) bool { return shaped(s, "ACTRN126ddddddddddd") },
	RegistrySponsorProtocol: isSponsorProtocol,
	SchemeGLN:               func(s string) bool { return shaped(s, "ddddddddddddd") && gs1(s) },
	SchemeGTIN14:            func(s string) bool { return shaped(s, "dddddddddddddd") && gs1(s) },
	SchemeSSCC:              func(s string) bool { return shaped(s, "dddddddddddddddddd") && gs1(s) },
	SchemeSGTIN:             isSGTIN,
	SchemeNDC10: func(s string) bool {
		return shaped(s, "dddd-dddd-dd") || shaped(s, "ddddd-ddd-dd") || shaped(s, "ddddd-dddd-d")
	},
	SchemeDICOMUID: isDICOMUID,
	SchemeIND:      func(s string) bool { return shaped(s, "ddddd") || shaped(s, "dddddd") },
	SchemeORCID:    isORCID,
	SchemeSite:     isSite,
	SchemeVersion:  isVersion,
	SchemeE2B:      isE2B,
}

// CheckIdentifier checks the shape of an identifier, and its check digit where
// the scheme has one. It fails with BAD_IDENTIFIER.
func CheckIdentifier(scheme, value string) error {
	ok, known := schemes[scheme]
	if !known {
		return refuse(ReasonBadIdentifier, "", "unknown scheme %.40q", scheme)
	}
	if !ok(value) {
		return refuse(ReasonBadIdentifier, "", "not an identifier of scheme %s", scheme)
	}
	return nil
}

// shaped compares s with a shape in which d is a digit, n a digit from 1 to 9
// and every other character itself.
func shaped(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; shape[i] {
		case 'd':
			if !digit(c) {
				return false
			}
		case 'n':
			if !digit(c) || c == '0' {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// word tells whether s is 1 to limit letters, digits and characters of extra,
// beginning with a letter or digit.
func word(s string, limit int, extra string) bool {
	if s == "" || len(s) > limit || !letter(s[0]) && !digit(s[0]) {
		return false
	}
	for i := range len(s) {
		if !letter(s[i]) && !digit(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return true
}

// slug tells whether s is a word in lower case that begins with a letter.
func slug(s string, limit int) bool {
	return word(s, limit, "-") && !digit(s[0]) && s == strings.ToLower(s)
}

func isSite(s string) bool            { return word(s, 20, "_-") }
func isVersion(s string) bool         { return word(s, 32, " ._-") }
func isSponsorProtocol(s string) bool { return word(s, 64, " ._/-") }
func isHolder(s string) bool          { return word(s, 64, "._@:+-") }
func isDocument(s string) bool        { return word(s, 128, " ._:/()+-") }
func isKind(s string) bool            { return slug(s, 40) }
func isRole(s string) bool            { return slug(s, 40) }
func isRuleID(s string) bool          { return word(s, 40, "._-") }
func isCountry(s string) bool {
	return len(s) == 2 && s == strings.ToUpper(s) && letter(s[0]) && letter(s[1])
}

// isParameter tells whether s is a name in lower camel case.
func isParameter(s string) bool {
	return word(s, 40, "") && s[0] >= 'a' && s[0] <= 'z'
}

// isDigestName tells whether s could name a digest.
func isDigestName(s string) bool { return word(s, 32, "-") && s == strings.ToLower(s) }

func isJRCT(s string) bool {
	s, ok := strings.CutPrefix(s, "jRCT")
	s, _ = strings.CutPrefix(s, "s")
	return ok && (shaped(s, "ddddddddd") || shaped(s, "dddddddddd"))
}

func isSGTIN(s string) bool {
	s, ok := strings.CutPrefix(s, "https://id.gs1.org/01/")
	if !ok || len(s) < 19 || !shaped(s[:14], "dddddddddddddd") || s[14:18] != "/21/" {
		return false
	}
	serial := s[18:]
	return len(serial) <= 20 && !strings.ContainsFunc(serial, func(c rune) bool { return c < '!' || c > '~' })
}

func isDICOMUID(s string) bool {
	if len(s) > 64 || strings.IndexByte(s, '.') < 0 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' || strings.ContainsFunc(part, func(c rune) bool { return c < '0' || c > '9' }) {
			return false
		}
	}
	return true
}

// isORCID checks the last character by ISO 7064 mod 11-2.
func isORCID(s string) bool {
	if len(s) != 19 || !shaped(s[:18], "dddd-dddd-dddd-ddd") {
		return false
	}
	sum := 0
	for i := range 18 {
		if s[i] != '-' {
			sum = (sum + int(s[i]-'0')) * 2
		}
	}
	want := byte('0' + (12-sum%11)%11)
	if want == '0'+10 {
		want = 'X'
	}
	return s[18] == want
}

// gs1 checks the last digit: weights 3 and 1 from the right, modulo 10.
func gs1(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			d *= 3
		}
		sum += d
	}
	return sum%10 == 0
}

// isE2B tells whether s is country, organisation and number.
func isE2B(s string) bool {
	country, rest, ok := strings.Cut(s, "-")
	organisation, number, ok2 := strings.Cut(rest, "-")
	return ok && ok2 && isCountry(country) && len(s) <= 100 &&
		len(organisation) >= 1 && len([]rune(organisation)) <= 40 &&
		len(number) >= 1 && len([]rune(number)) <= 57 && !strings.Contains(number, "\n")
}

// isZone tells whether s has the shape of a name in the IANA time zone database.
func isZone(s string) bool {
	if len(s) > 64 {
		return false
	}
	parts := 0
	for part := range strings.SplitSeq(s, "/") {
		if parts++; part == "" || parts > 3 || parts == 1 && !letter(part[0]) || !word(part, 32, "_+-") {
			return false
		}
	}
	return true
}

// isLanguage tells whether s has the shape of a BCP 47 tag.
func isLanguage(s string) bool {
	if len(s) > 35 {
		return false
	}
	first := true
	for part := range strings.SplitSeq(s, "-") {
		if part == "" || len(part) > 8 || !word(part, 8, "") {
			return false
		}
		if first && (len(part) < 2 || strings.ContainsAny(part, "0123456789")) {
			return false
		}
		first = false
	}
	return true
}

// isOrigin tells whether s is a bare host name in lower case: what stock tools
// take for a log's name.
func isOrigin(s string) bool {
	if s == "" || len(s) > 253 || s != strings.ToLower(s) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !word(label, 63, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// isArtifact tells whether s is a number of the TMF Reference Model.
func isEncoding(s string) bool { return word(s, 64, "-_.:+()") && s == strings.ToLower(s) }

func isArtifact(s string) bool { return shaped(s, "dd.dd.dd") }

// Registry holds a trial's numbers by the names of registries.
type Registry map[string]string

// registries are the names whose numbers may name a trial.
var registries = []string{
	RegistryNCT, RegistryEUCT, RegistryISRCTN, RegistryUTN, RegistryEudraCT, RegistryJRCT, RegistryChiCTR,
	RegistryDRKS, RegistryACTRN,
}

func isRegistry(name string) bool {
	return name == RegistrySponsorProtocol || slices.Contains(registries, name)
}

// Normalise returns the registry numbers in the form in which they compare,
// sorted: see [NormaliseRegistryNumber]. The sponsor's protocol number is not
// among them.
func (r Registry) Normalise() []string {
	var out []string
	for name, number := range r {
		if name != RegistrySponsorProtocol {
			out = append(out, NormaliseRegistryNumber(number))
		}
	}
	slices.Sort(out)
	return out
}

// NormaliseRegistryNumber returns a registry number in the form in which it
// compares: an EU CT number without its last two digits, which count
// resubmissions, every other as it is.
func NormaliseRegistryNumber(number string) string {
	if shaped(number, "20dd-5ddddd-dd-dd") {
		return number[:len(number)-3]
	}
	return number
}
