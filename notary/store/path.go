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
	pathDigest                       // numbers as JSON, digest, site or "", kind or ""
	pathTrialDigest                  // numbers as JSON, digest, charter, site or "", kind or ""
	pathTrialDigestSites             // the same, and the visible sites as JSON
	pathCount
)

const (
	pathRange = ` WHERE e.idx > ?1 AND e.idx < ?2`
	pathTail  = ` ORDER BY e.idx LIMIT ?3`
	// What a lookup gave may be wrong: each statement is asked for the digest. A
	// name cannot hold what is looked for, since its quotes are escaped.
	pathFound = `SELECT e.idx FROM json_each(?4) c CROSS JOIN entries e ON e.n = c.value
		CROSS JOIN statements s ON s.n = e.n` + pathRange + `
		AND instr(s.subjects, '"sha256":"' || ?5 || '"') > 0`
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
		return pathFound + ` AND ?6 IN ('', e.site) AND ?7 IN ('', e.kind)` + pathTail
	case pathTrialDigest:
		return pathFound + ` AND e.charter = ?6 AND ?7 IN ('', e.site) AND ?8 IN ('', e.kind)` + pathTail
	case pathTrialDigestSites:
		return pathFound + ` AND e.charter = ?6 AND ?7 IN ('', e.site) AND ?8 IN ('', e.kind)
			AND (e.authority = 1 OR e.site IN (SELECT value FROM json_each(?9)))` + pathTail
	default:
		return ""
	}
}
