package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// readKeys reads the keys of the authority statements of the trust folder and of
// the copy: an enrolment that either lacks counts all the same. A site's
// monitor looks for those keys alone that are enrolled for this site and no other:
// what others sign need not be shown to it.
func (m *Monitor) readKeys() (*keys, error) {
	t, site := m.trust, m.cfg.Site
	k := &keys{notary: receipt.EntryKey(t.Notary), since: map[string]uint64{}}
	others := map[string]bool{} // that may sign for more than the site
	add := func(key *trial.PublicKey, index uint64, alone bool) {
		text := receipt.EntryKey(key)
		if since, known := k.since[text]; !known || index < since {
			k.since[text] = index
		}
		others[text] = others[text] || !alone
	}
	statement := func(st *trial.Statement, index uint64) {
		switch b := st.Predicate.Body.(type) {
		case *trial.CharterBody:
			add(b.SponsorKey, index, false)
			add(b.RecoveryKey, index, false)
		case *trial.RecoveryBody:
			add(b.NewKey, index, false)
		case *trial.EnrolmentBody:
			add(b.Key, index, !b.AllSites && len(b.Sites) == 1 && b.Sites[0] == site)
		}
	}
	files := t.Files()
	for _, path := range slices.Sorted(maps.Keys(files)) {
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
		statement(st, r.Index)
	}
	for _, h := range m.all {
		if !h.Keys {
			continue
		}
		st, err := m.statement(h)
		if err != nil {
			return nil, err
		}
		statement(st, h.Index)
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

// bearsKeys tells whether a statement gives the trial keys.
func bearsKeys(st *trial.Statement) bool {
	switch st.Predicate.Body.(type) {
	case *trial.CharterBody, *trial.RecoveryBody, *trial.EnrolmentBody:
		return true
	}
	return false
}

// covered is the name under which the state holds a key that was looked for.
func covered(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// catchUp looks once more at entries that were scanned before a key was known: an
// enrolment that the notary shows late must not hide what the key signed meanwhile.
func (l *look) catchUp(ctx context.Context) error {
	d := l.m.doc
	late := map[string]uint64{}
	from := d.Scanned
	for key, since := range l.keys.since {
		if known, ok := d.Keys[covered(key)]; (!ok || since < known) && since < d.Scanned {
			late[key], from = since, min(from, since)
		}
	}
	for from < d.Scanned && l.waits == "" {
		until := min(from+l.m.cfg.Step, d.Scanned)
		f := &found{own: map[uint64]ownEntry{}}
		err := l.m.cfg.Client.Entries(ctx, l.target, from, until, func(index uint64, entry []byte) error {
			// One that names no signer was told when it was scanned first.
			if parts, err := receipt.SplitEntry(entry); err == nil {
				if since, ours := late[string(parts.Key)]; ours && index >= since {
					f.own[index] = ownEntry{receipt.LeafHash(entry), string(parts.Digest)}
				}
			}
			return nil
		})
		if err != nil {
			return l.broken(err)
		}
		if err := l.undisclosed(f); err != nil {
			return err
		}
		from = until
	}
	if l.waits != "" {
		return nil
	}
	if d.Keys == nil {
		d.Keys = map[string]uint64{}
	}
	changed := false
	for key, since := range l.keys.since {
		if known, ok := d.Keys[covered(key)]; !ok || since < known {
			d.Keys[covered(key)], changed = since, true
		}
	}
	if !changed {
		return nil
	}
	return l.m.save()
}

// lateKeys looks for keys that came with statements that this look fetched.
func (l *look) lateKeys(ctx context.Context) (err error) {
	if l.keys, err = l.m.readKeys(); err != nil {
		return err
	}
	return l.catchUp(ctx)
}
