package monitor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// keys are those whose entries a monitor looks for, as they stand in entries.
type keys struct {
	notary string
	// since is the index from which a key's entries count: that of its first
	// enrolment, charter or recovery. What it signed before has no standing in the
	// trial, and need not be the trial's.
	since map[string]uint64
}

// readKeys reads the keys of a trust folder's authority statements. A site's
// monitor looks for those keys alone that are enrolled for this site and no other:
// what others sign need not be shown to it.
func readKeys(t *receipt.Trust, site string) (*keys, error) {
	k := &keys{notary: receipt.EntryKey(t.Notary), since: map[string]uint64{}}
	others := map[string]bool{} // that may sign for more than the site
	add := func(key *trial.PublicKey, index uint64, alone bool) {
		text := receipt.EntryKey(key)
		if _, known := k.since[text]; !known {
			k.since[text] = index
		}
		others[text] = others[text] || !alone
	}
	files := t.Files()
	for _, path := range slices.Sorted(maps.Keys(files)) { // in log order
		if !strings.HasPrefix(path, "authority/") || !strings.HasSuffix(path, client.ReceiptSuffix) {
			continue
		}
		r, err := receipt.Parse(files[path])
		if err != nil {
			return nil, fmt.Errorf("the trust folder's %s: %w", path, err)
		}
		st, err := trial.ParseStatement(r.Envelope.Payload)
		if err != nil {
			return nil, fmt.Errorf("the trust folder's %s: %w", path, err)
		}
		switch b := st.Predicate.Body.(type) {
		case *trial.CharterBody:
			add(b.SponsorKey, r.Index, false)
			add(b.RecoveryKey, r.Index, false)
		case *trial.RecoveryBody:
			add(b.NewKey, r.Index, false)
		case *trial.EnrolmentBody:
			add(b.Key, r.Index, !b.AllSites && len(b.Sites) == 1 && b.Sites[0] == site)
		}
	}
	if site != "" {
		maps.DeleteFunc(k.since, func(key string, _ uint64) bool { return others[key] })
	}
	delete(k.since, k.notary) // its entries are time marks
	return k, nil
}

// names tells whether an enrolment is made in a site's name: for the site, or for
// all of them by an organisation that is a site.
func names(b *trial.EnrolmentBody, site string) bool {
	return slices.Contains(b.Sites, site) || b.AllSites && b.OrganisationType == trial.OrganisationSite
}
