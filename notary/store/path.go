package store

// path is one way from conditions to indexes in log order. Every path is a
// search in one index; TestPathsUseIndexes holds that.
type path int

// The paths, with the conditions that follow after, below and limit.
const (
	pathAll             path = iota // none
	pathTrial                       // charter
	pathTrialSiteKind               // charter, site, kind
	pathAuthority                   // charter, site or "", kind or ""
	pathFound                       // numbers as JSON, site or "", kind or ""
	pathTrialFound                  // numbers as JSON, charter, site or "", kind or ""
	pathTrialFoundSites             // the same, and the visible sites as JSON
	pathCount
)

const (
	pathRange = ` WHERE e.idx > ?1 AND e.idx < ?2`
	pathTail  = ` ORDER BY e.idx LIMIT ?3`
	found     = `SELECT e.idx FROM json_each(?4) c CROSS JOIN entries e ON e.n = c.value` + pathRange
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
	case pathFound:
		return found + ` AND ?5 IN ('', e.site) AND ?6 IN ('', e.kind)` + pathTail
	case pathTrialFound:
		return found + ` AND e.charter = ?5 AND ?6 IN ('', e.site) AND ?7 IN ('', e.kind)` + pathTail
	case pathTrialFoundSites:
		return found + ` AND e.charter = ?5 AND ?6 IN ('', e.site) AND ?7 IN ('', e.kind)
			AND (e.authority = 1 OR e.site IN (SELECT value FROM json_each(?8)))` + pathTail
	default:
		return ""
	}
}
