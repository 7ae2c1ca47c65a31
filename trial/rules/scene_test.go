package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// scene is a short story about one rule, and everything that is found in it.
type scene struct {
	rule, name string
	charter    func(*trial.CharterBody)
	tell       func(*story)
	want       []string
}

var scenes = slices.Concat(documentScenes, approvalScenes, conductScenes, dataScenes, pendingScenes, lockScenes, cornerScenes)

// Each rule finds what breaks it, says so in these words, and finds nothing else.
func TestRules(t *testing.T) {
	t.Parallel()
	trips, keeps := map[string]bool{}, map[string]bool{}
	for _, s := range scenes {
		tripped := slices.ContainsFunc(s.want, func(l string) bool { return strings.HasPrefix(l, s.rule+" ") })
		trips[s.rule], keeps[s.rule] = trips[s.rule] || tripped, keeps[s.rule] || !tripped
		t.Run(s.rule+" "+s.name, func(t *testing.T) {
			t.Parallel()
			y := tell(t)
			if s.charter != nil {
				y = tell(t, s.charter)
			}
			s.tell(y)
			y.want(s.want...)
		})
	}
	for _, r := range Default().Rules {
		if !trips[r.ID] || !keeps[r.ID] {
			t.Errorf("%s: a story that trips it: %v, one that does not: %v", r.ID, trips[r.ID], keeps[r.ID])
		}
	}
}

// parameter returns a charter with a parameter.
func parameter(name string, value int64) func(*trial.CharterBody) {
	return func(b *trial.CharterBody) { b.Parameters = map[string]int64{name: value} }
}
