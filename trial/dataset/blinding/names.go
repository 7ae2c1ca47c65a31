package blinding

import (
	"regexp"
	"strings"
)

// rule is what a variable is by its name or label, and what it could tell.
type rule struct {
	name  *regexp.Regexp // of the name: capitals and digits alone
	label *regexp.Regexp // of the label; nil: by its name alone
	why   string
	// varies: only different values tell something, such as doses.
	varies bool
}

// rules are looked at in order.
var rules = []rule{
	{
		name:  regexp.MustCompile(`^((ACT|ACTUAL|PLN|PLANNED)?ARM(CD|N|UD|CODE|NAME)?|TRT[PA](G\d{1,2})?N?|TRT\d\d[PA](G\d{1,2})?N?|TR\d\d[PA]G\d{1,2}N?|TRTSEQ[PA](G\d{1,2})?N?|(EX|EC)TRT|(TRT|TREAT|TREATMENT)(GRP|GROUP|CD|CODE|ARM|ALLOC|ALLOCATION|ASSIGN|ASSIGNED|ASSIGNMENT|N)?)$`),
		label: regexp.MustCompile(`(?i)\b(planned|actual|assigned|randomi[sz]ed) (treatment|arm)\b|\btreatment (group|arm|assignment|allocation|code|sequence)\b|\b(planned|actual) arm\b`),
		why:   "it names the treatment of a participant",
	},
	{
		name:   regexp.MustCompile(`^((EX|EC)(DOSE|DOSTXT|DOSTOT)|DOSE(\d\d)?[PA]?|CUMDOSE|AVGDD)$`),
		why:    "doses differ, and a dose can tell the treatment",
		varies: true,
	},
	{
		name:   regexp.MustCompile(`^((EX|EC|DA)?LOT(NO|NUM|NUMBER|ID|CODE)?|BATCH(NO|NUM|NUMBER|ID|CODE)?)$`),
		label:  regexp.MustCompile(`(?i)\b(lot|batch) (number|no|code)\b`),
		why:    "lots differ, and a lot can tell the treatment",
		varies: true,
	},
	{
		name:  regexp.MustCompile(`^(R(A)?ND|RANDOM|RANDOMI[SZ]ATION)(NO|NUM|NUMBER|ID|CD|CODE|SEQ)$`),
		label: regexp.MustCompile(`(?i)\brandomi[sz]ation (number|no|id|code|sequence)\b`),
		why:   "it leads to the treatment by the randomisation list",
	},
	{
		name:  regexp.MustCompile(`^(KIT|MEDKIT|MEDICATION|PACK|BOX)(NO|NUM|NUMBER|ID|CODE|CD)$`),
		label: regexp.MustCompile(`(?i)\b(kit|medication|pack) (number|no|id|code)\b`),
		why:   "it leads to the treatment by the list of kits",
	},
	{
		name: regexp.MustCompile(`^UNBLIND(ED|ING)?(CD|CODE|FL|FLAG|REASON)?$`),
		why:  "it tells of an unblinding",
	},
}

// times are words of labels that are about when a treatment was, not which.
var times = regexp.MustCompile(`(?i)\b(date|datetime|time|day|days|duration|reason|flag)\b`)

// match returns what a variable is, or nil.
func match(name, label string) *rule {
	name = normal(name)
	for i := range rules {
		r := &rules[i]
		if r.name.MatchString(name) || r.label != nil && r.label.MatchString(label) && !times.MatchString(label) {
			return r
		}
	}
	return nil
}

// normal keeps the letters and digits of a name, as capitals.
func normal(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return -1
	}, name)
}

// participant is a variable that says whose row it is.
var participant = regexp.MustCompile(`^((USUBJ|SUBJ|SUBJECT)(ID|NO|NUM|NUMBER|KEY)?|(PATIENT|PAT|PT|PARTICIPANT|SCREENING|SCR)(ID|NO|NUM|NUMBER))$`)

// design are the datasets of SDTM that describe the trial and no participant: they
// name the arms, as the protocol does.
var design = map[string]bool{
	"TA": true, "TE": true, "TV": true, "TI": true, "TS": true, "TD": true, "TM": true, "TT": true, "TX": true,
}

// fillers are what stands in a variable of a blinded export.
var fillers = map[string]bool{
	"": true, ".": true, "-": true, "NA": true, "N/A": true, "NONE": true, "UNKNOWN": true, "DUMMY": true, "IMP": true,
	"NOTASSGN": true, "NOT ASSIGNED": true, "NOTTRT": true, "NOT TREATED": true, "SCRNFAIL": true, "SCREEN FAILURE": true,
	"UNASSIGNED": true, "UNPLAN": true, "UNPLANNED TREATMENT": true, "STUDY DRUG": true, "STUDY TREATMENT": true,
	"STUDY MEDICATION": true, "STUDY MEDICATION/PRODUCT": true, "INVESTIGATIONAL PRODUCT": true, "X": true, "XX": true, "XXX": true, "XXXX": true,
}

// isFiller tells whether a value says nothing.
func isFiller(value string) bool {
	v := strings.ToUpper(strings.TrimSpace(value))
	return fillers[v] || strings.HasPrefix(v, "BLIND") || strings.HasPrefix(v, "MASKED") || strings.HasPrefix(v, "DOUBLE-BLIND")
}
