package store

// path is one way from conditions to indexes in log order. Every path is a
// search in one index; TestPathsUseIndexes holds that.
type path int

// The paths, with the conditions that follow after, below and limit.
const (
	pathAll              path = iota // none
	pathTrial                        // charter
	pathTrialSiteKind                // charter, site, kind
	pathAuthority                    // charter, site or "", kind or ""
	pathDigest                       // digest, site or "", kind or ""
	pathTrialDigest                  // digest, charter, site or "", kind or ""
	pathTrialDigestSites             // the same, and the visible sites as JSON
	pathCount
)

const (
	pathRange = ` WHERE e.idx > ?1 AND e.idx < ?2`
	pathTail  = ` ORDER BY e.idx LIMIT ?3`
	pathFound = `SELECT f.idx FROM found f CROSS JOIN entries e ON e.idx = f.idx WHERE f.idx > ?1 AND f.idx < ?2`
	foundTail = ` ORDER BY f.idx LIMIT ?3`
)

// query returns the path's SQL.
func (p path) query() string {
	entries := func(index, conditions string) string {
		return `SELECT e.idx FROM entries e ` + index + pathRange + conditions + pathTail
	}
	switch p {
	case pathAll:
		return entries(``, ``)
	case pathTrial:
		return entries(`INDEXED BY entries_trial`, ` AND e.charter = ?4`)
	case pathTrialSiteKind:
		return entries(`INDEXED BY entries_trial_site_kind`, ` AND e.charter = ?4 AND e.site = ?5 AND e.kind = ?6`)
	case pathAuthority:
		return entries(`INDEXED BY entries_authority`,
			` AND e.charter = ?4 AND e.authority = 1 AND ?5 IN ('', e.site) AND ?6 IN ('', e.kind)`)
	case pathDigest:
		return pathFound + ` AND f.digest = ?4 AND ?5 IN ('', e.site) AND ?6 IN ('', e.kind)` + foundTail
	case pathTrialDigest:
		return pathFound + ` AND f.digest = ?4 AND f.charter = ?5 AND ?6 IN ('', e.site) AND ?7 IN ('', e.kind)` + foundTail
	case pathTrialDigestSites:
		return pathFound + ` AND f.digest = ?4 AND f.charter = ?5 AND ?6 IN ('', e.site) AND ?7 IN ('', e.kind)
			AND (e.authority = 1 OR e.site IN (SELECT value FROM json_each(?8)))` + foundTail
	default:
		return ""
	}
}
