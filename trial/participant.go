package trial

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxScan bounds what LooksLikeParticipantID reads, in bytes.
const maxScan = 8 << 10

var (
	// notParticipant is what has the shape of an id and is none: dates, times,
	// registry numbers, and versions.
	notParticipant = regexp.MustCompile(`\b(?:` +
		`NCT[0-9]{8}|ISRCTN[0-9]{8}|U1111-[0-9]{4}-[0-9]{4}|DRKS[0-9]{8}|ACTRN[0-9]{14}|ChiCTR[0-9]{10}|jRCTs?[0-9]{9,10}|` +
		`20[0-9]{2}-[0-9]{6}-[0-9]{2}(?:-[0-9]{2})?|` +
		`(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?(?:T[0-9:.]+Z?)?|` +
		`(?:0[1-9]|[12][0-9]|3[01])-(?:0[1-9]|1[0-2])-(?:19|20)[0-9]{2}` +
		`)\b`)
	// participantShapes: site and number (701-1015), or study, site and number
	// (CDISC01-701-1015), also with other separators.
	participantShapes = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])(?:[A-Za-z][A-Za-z0-9]{1,19}[-_/])?[0-9]{2,5}[-_/][0-9]{3,6}(?:[^0-9A-Za-z]|$)`)
	// participantWords: a word for a participant, then a number or initials.
	participantWords = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:usubjid|subjid|subject|subj|patient|participant|proband|screening|scrn|` +
		`randomi[sz]ation|mrn|medical record)(?:[ _.#:=-]{0,3}(?:id|no|nr|num|number))?[ _.#:=-]{0,3}[a-z]{0,3}[-_]?[0-9]{2,}`)
	// participantBirth: a date of birth.
	participantBirth = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:dob|date of birth|born|birth ?date|brthdtc?)[ _.:=-]{0,3}(?:on |in )?[0-9]`)
)

// LooksLikeParticipantID tells whether free text or a file's name seems to hold a
// participant's id, such as 701-1015, CDISC01-701-1015, "subject 1015" or a date
// of birth. It is a guess that errs on both sides: good for a warning, never for
// a refusal. It reads the first 8 KiB.
func LooksLikeParticipantID(s string) bool {
	if len(s) > maxScan {
		s = s[:maxScan]
	}
	if !mayName(s) {
		return false
	}
	if participantBirth.MatchString(s) {
		return true
	}
	s = notParticipant.ReplaceAllString(s, " ")
	return participantWords.MatchString(s) || participantShapes.MatchString(s)
}

// participantHints are what participantWords and participantBirth begin with, in
// lower case.
var participantHints = []string{
	"subj", "patient", "participant", "proband", "screening", "scrn", "randomi", "mrn", "medical record",
	"dob", "date of birth", "born", "birth", "brthdt",
}

// mayName tells whether the expressions can match at all: most names have no
// word for a participant and no two numbers side by side, and every submission
// passes here.
func mayName(s string) bool {
	digits, pairs, ascii := false, false, true
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits = true
		case c == '-' || c == '_' || c == '/':
			pairs = pairs || i > 0 && isDigit(s[i-1]) && i+1 < len(s) && isDigit(s[i+1])
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !digits || pairs {
		return digits
	}
	if !ascii { // some letters beyond ASCII fold to one of it
		return true
	}
	lower := strings.ToLower(s)
	return slices.ContainsFunc(participantHints, func(hint string) bool { return strings.Contains(lower, hint) })
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// ParticipantWarnings returns the places in a statement where free text or a
// name looks like a participant's id: see [LooksLikeParticipantID]. Of a long
// list of files it looks at the first 32 names: every submission passes here, and
// the client has looked at all of them.
func (st *Statement) ParticipantWarnings() []string {
	p := &st.Predicate
	var out []string
	look := func(path, s string) {
		if LooksLikeParticipantID(s) {
			out = append(out, path)
		}
	}
	for i, s := range st.Subjects[:min(len(st.Subjects), 32)] {
		look("subject["+strconv.Itoa(i)+"].name", s.Name)
	}
	look("predicate.reason", p.Reason)
	if d := p.Document; d != nil {
		look("predicate.document.id", d.ID)
		look("predicate.document.scope", d.Scope)
	}
	for _, t := range FreeTexts(p.Body) {
		look(t.Path, t.Text)
	}
	return out
}
