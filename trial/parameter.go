package trial

import "maps"

// Names of a charter's parameters.
const (
	ParameterEndorsementDays    = "endorsementDays"    // for the endorsement of an act
	ParameterCadenceDays        = "cadenceDays"        // between two extracts of one source
	ParameterGraceDays          = "graceDays"          // that an extract may be late
	ParameterFutureMinutes      = "futureMinutes"      // that a declared time may be ahead of the log
	ParameterBackdatingDays     = "backdatingDays"     // that a declared time may be behind
	ParameterBackdatingDataDays = "backdatingDataDays" // the same for data
	ParameterRegistrationDays   = "registrationDays"   // after the first participant; 0: before, -1: no registration
	ParameterTimeMarkSeconds    = "markSeconds"        // between two time marks
)

var defaultParameters = map[string]int64{
	ParameterEndorsementDays: 7, ParameterCadenceDays: 28, ParameterGraceDays: 7, ParameterFutureMinutes: 5,
	ParameterBackdatingDays: 30, ParameterBackdatingDataDays: 14, ParameterRegistrationDays: 0,
	ParameterTimeMarkSeconds: 60,
}

// parameterRanges are the least and the greatest value of each parameter: a year
// has 366 days, and no deadline of a trial is longer than ten of them.
var parameterRanges = map[string][2]int64{
	ParameterEndorsementDays: {0, 3660}, ParameterCadenceDays: {1, 3660}, ParameterGraceDays: {0, 3660},
	ParameterFutureMinutes: {0, 1440}, ParameterBackdatingDays: {0, 3660}, ParameterBackdatingDataDays: {0, 3660},
	ParameterRegistrationDays: {-1, 3660}, ParameterTimeMarkSeconds: {1, 86400},
}

// ParameterRange returns the least and the greatest value of a parameter that the
// default rules know. Another one is only what own rules say of it.
func ParameterRange(name string) (least, most int64, known bool) {
	r, known := parameterRanges[name]
	return r[0], r[1], known
}

// DefaultParameters returns the parameters of a charter that gives none.
func DefaultParameters() map[string]int64 { return maps.Clone(defaultParameters) }

// AllParameters returns the charter's parameters and the default ones beside them.
func (b *CharterBody) AllParameters() map[string]int64 {
	out := DefaultParameters()
	maps.Copy(out, b.Parameters)
	return out
}
