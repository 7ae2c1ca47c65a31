package trial

import "time"

// timeFormat is RFC 3339 in UTC; milliseconds are written only where there are
// any.
const timeFormat = "2006-01-02T15:04:05.999Z"

func formatTime(t time.Time) string {
	return t.UTC().Truncate(time.Millisecond).Format(timeFormat)
}

// parseTime reads RFC 3339 in UTC with a Z, in whole seconds or with one to
// three digits of a fraction. Years run from 1900: nothing here is older.
func parseTime[T string | []byte](s T) (time.Time, bool) {
	if len(s) < 20 || len(s) > 24 || !shaped(string(s[:19]), "dddd-dd-ddTdd:dd:dd") || s[len(s)-1] != 'Z' {
		return time.Time{}, false
	}
	nanos, scale := 0, 100_000_000
	if fraction := s[19 : len(s)-1]; len(fraction) > 0 {
		if fraction[0] != '.' || len(fraction) == 1 {
			return time.Time{}, false
		}
		for i := 1; i < len(fraction); i++ {
			if !digit(fraction[i]) {
				return time.Time{}, false
			}
			nanos += int(fraction[i]-'0') * scale
			scale /= 10
		}
	}
	y, mo, d := decimal(s[0:4]), decimal(s[5:7]), decimal(s[8:10])
	h, mi, sec := decimal(s[11:13]), decimal(s[14:16]), decimal(s[17:19])
	t := time.Date(y, time.Month(mo), d, h, mi, sec, nanos, time.UTC)
	// time.Date normalises; what it changed was no date or no time of a day.
	ty, tmo, td := t.Date()
	if y < 1900 || ty != y || int(tmo) != mo || td != d || h > 23 || mi > 59 || sec > 59 {
		return time.Time{}, false
	}
	return t, true
}

func decimal[T string | []byte](s T) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// isDate tells whether s is a calendar date, such as 2026-01-02.
func isDate(s string) bool {
	_, ok := parseTime(s + "T00:00:00Z")
	return ok
}

func (r *reader) time() time.Time {
	b := r.bytes(64)
	if r.refusal != nil {
		return time.Time{}
	}
	t, ok := parseTime(b)
	if !ok {
		r.failf(ReasonBadTime, "want RFC 3339 in UTC with at most milliseconds, such as 2026-01-02T03:04:05Z")
	}
	return t
}

func (r *reader) date() string {
	s := r.line(32)
	if r.refusal == nil && !isDate(s) {
		r.failf(ReasonBadTime, "want a date such as 2026-01-02")
	}
	return s
}

func (r *reader) instant() *Instant {
	t := new(Instant)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "utc":
			t.UTC = r.time()
		case "zone":
			t.Zone = r.line(64)
			if r.refusal == nil && !isZone(t.Zone) {
				r.failf(ReasonBadTime, "want a time zone name such as Europe/Berlin")
			}
		default:
			r.unknown()
		}
	}
	r.require("utc", !t.UTC.IsZero())
	r.require("zone", t.Zone != "")
	return t
}

// require refuses the object that was read last where a member is missing.
func (r *reader) require(name string, present bool) {
	if !present {
		r.failAtf(name, ReasonMissingField, "missing")
	}
}
