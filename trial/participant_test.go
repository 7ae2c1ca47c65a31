package trial

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMayNameHidesNothing holds the quick look against the expressions: where it
// says no, none of them matches.
func TestMayNameHidesNothing(t *testing.T) {
	pieces := []string{
		"subject", "Subject", "USUBJID", "patient", "Participant", "proband", "screening", "SCRN", "randomisation", "randomization",
		"mrn", "Medical Record", "dob", "Date of Birth", "born", "birth date", "BRTHDTC", "id", "no", " ", "_", "-", "/", ".", ":", "#",
		"7", "701", "1015", "2026-01-02", "NCT01234567", "CDISC01", "adsl", "xpt", "é", "ſubject", "in ", "on ",
	}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
		rest := notParticipant.ReplaceAllString(s, " ")
		if full := participantBirth.MatchString(s) || participantWords.MatchString(rest) || participantShapes.MatchString(rest); full && !mayName(s) {
			t.Fatalf("%q matches, and the quick look says that it cannot", s)
		}
	})
}
