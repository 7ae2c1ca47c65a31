package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/trialnotary/trialnotary/trial/chronology"
)

func (r *locksResult) print(w io.Writer) {
	if r.Old == nil {
		fmt.Fprintln(w, "there are no two locks in effect of the same data: nothing to compare")
		return
	}
	for _, s := range []*lockSide{r.Old, r.New} {
		fmt.Fprintf(w, "lock %s (%s), entry %d, in effect since entry %d, logged %s UTC, %s\n", s.Label, s.Type, s.LogIndex, s.EffectIndex,
			clock(s.LogTime), count(s.Members, "member", "members"))
	}
	for i := range r.Unlocks {
		u := &r.Unlocks[i]
		fmt.Fprintf(w, "unlock, entry %d, %s UTC, %s: %s\n", u.LogIndex, clock(u.LogTime), scopeWords(u.Sites, u.Datasets), u.Reason)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	shown := false
	for i := range r.Members {
		m := &r.Members[i]
		if m.Change == chronology.Unchanged {
			continue
		}
		if !shown {
			fmt.Fprintln(t, "CHANGE\tSITE\tDATASET\tSOURCE\tENTRIES\tCOMPARED BY\tEXPLAINED BY")
			shown = true
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Change, dash(m.Site), dash(m.Dataset), dash(m.Source), m.entries(), dash(m.By), dash(m.because))
	}
	_ = t.Flush() // w reports what it could not take
	for i := range r.Members {
		r.Members[i].printFiles(w)
	}
	if n := len(r.Absent); n > 0 {
		fmt.Fprintf(w, "%s not at hand or no data that count: %s\n", count(n, "member's statement is", "members' statements are"), some(r.Absent))
	}
	c := &r.Counts
	fmt.Fprintf(w, "%d added, %d removed, %d changed, %d the same data in another file, %d unchanged; not explained: %d\n",
		c.Added, c.Removed, c.Changed, c.SameData, c.Unchanged, c.Unexplained)
}

func (m *lockMember) entries() string {
	return dash(entriesOf(m.Old)) + " → " + dash(entriesOf(m.New))
}

func entriesOf(list []memberAt) string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = strconv.FormatUint(list[i].LogIndex, 10)
	}
	return strings.Join(out, " ")
}

func scopeWords(sites, datasets []string) string {
	s, d := "all sites", "all datasets"
	if len(sites) > 0 {
		s = "site " + strings.Join(sites, ", ")
	}
	if len(datasets) > 0 {
		d = strings.Join(datasets, ", ")
	}
	return s + ", " + d
}

func (m *lockMember) name() string {
	return strings.Join(slices.DeleteFunc([]string{m.Site, m.Dataset, m.Source}, func(s string) bool { return s == "" }), " ")
}

func (m *lockMember) printFiles(w io.Writer) {
	for _, missing := range m.NoFiles {
		fmt.Fprintf(w, "\n%s: no file at hand of %s\n", m.name(), missing)
	}
	for i := range m.Files {
		fmt.Fprintf(w, "\n%s: ", m.name())
		m.Files[i].print(w)
	}
}

// lines are the changes in CSV: a line a member, and one a difference in its files.
func (r *locksResult) lines() [][]string {
	out := [][]string{{
		"what", "site", "dataset", "source", "change", "old entry", "new entry", "compared by", "explained", "unlocks", "reason", "variable",
		"row a", "row b", "key", "a", "b", "note",
	}}
	for i := range r.Members {
		m := &r.Members[i]
		explained := ""
		if m.Explained != nil {
			explained = strconv.FormatBool(*m.Explained)
		}
		base := []string{m.Site, m.Dataset, m.Source, string(m.Change), entriesOf(m.Old), entriesOf(m.New)}
		line := append(append([]string{"member"}, base...), m.By, explained, strings.Join(m.ExplainedBy, " "), m.because)
		out = append(out, append(line, "", "", "", "", "", "", ""))
		for j := range m.Files {
			d := m.Files[j].Diff
			if d == nil {
				continue
			}
			for _, cell := range dataLines(d) {
				line := append(append([]string{cell[0]}, base...), "", "", "", "")
				out = append(out, append(line, cell[1:]...))
			}
		}
	}
	return out
}
