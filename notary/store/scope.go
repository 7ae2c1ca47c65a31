package store

import (
	"slices"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// scope is what a query may see of one trial.
type scope struct {
	charter  []byte
	allSites bool
	sites    []string
}

// sees tells whether a site is among the scope's; "" asks for no single site.
func (sc scope) sees(site string) bool { return site != "" && slices.Contains(sc.sites, site) }

// scopesOf returns what a query may see, one scope a trial; all is true where
// that is everything.
func scopesOf(q notary.Query) (scopes []scope, all bool) {
	grants := []notary.VisibleGrant{{AllTrials: true}}
	if q.Visible != nil {
		grants = q.Visible.Grants
	}
	at := make(map[trial.ID]int)
	for _, g := range grants {
		if g.AllTrials {
			if q.Charter == nil {
				return nil, true
			}
			return []scope{{charter: blob(*q.Charter), allSites: true}}, false
		}
		// A grant for no trial shows nothing, not what belongs to no trial.
		if g.Charter.IsZero() || (q.Charter != nil && *q.Charter != g.Charter) {
			continue
		}
		i, ok := at[g.Charter]
		if !ok {
			i = len(scopes)
			at[g.Charter] = i
			scopes = append(scopes, scope{charter: blob(g.Charter)})
		}
		sc := &scopes[i]
		sc.allSites = sc.allSites || g.AllSites
		for _, site := range g.Sites {
			if site != "" && !slices.Contains(sc.sites, site) {
				sc.sites = append(sc.sites, site)
			}
		}
	}
	return scopes, false
}
