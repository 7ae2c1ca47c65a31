package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/chronology/page"
)

// chronologyOptions say what is told and how.
type chronologyOptions struct {
	from, pack          string
	csv                 bool
	html                string
	kind, since, before string
	site                string
}

func (a *app) chronologyCommand() *cobra.Command {
	var o chronologyOptions
	cmd := &cobra.Command{
		Use:   "chronology [--from DIR] [--csv | --html FILE]",
		Short: "Tell what happened in a trial, with the findings",
		Long: `chronology tells a trial in the order of its audit trail: each statement, what became of
it, when data were locked, and where a rule was not kept. It fetches the statements that
you may see, checks each receipt against the trust folder and computes the rest itself,
then says if the notary's own answer differs. With --from it does so offline, from a
folder of receipts such as the copy that notary monitor keeps.

--csv prints the events as CSV, --html writes one page that needs nothing else, with a
timeline drawn to scale. Text that could be taken for a formula begins with ' in CSV.

Exit status: 0 told, 1 a receipt does not hold or the notary's answer differs, 2 wrong
usage or an unreadable input.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.chronology(cmd.Context(), &o) },
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.csv, "csv", false, "print the events as CSV, a line each")
	f.StringVar(&o.html, "html", "", "write a page to `FILE`, - for standard output")
	f.StringVar(&o.kind, "kind", "", "only statements of kind `K`")
	f.StringVar(&o.since, "since", "", "only log times at or after `TIME` (RFC 3339 or a date)")
	f.StringVar(&o.before, "before", "", "only log times before `TIME`")
	return cmd
}

func (o *chronologyOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "compute from the receipts in folder `DIR`, offline")
	f.StringVar(&o.pack, "pack", "", "`FILE` with the rule pack that the charter names, if it is not the default one")
	f.StringVar(&o.site, "site", "", "only what is about site `S`; rules are judged on everything all the same")
}

func (a *app) findingsCommand() *cobra.Command {
	var o chronologyOptions
	cmd := &cobra.Command{
		Use:   "findings [--from DIR] [--csv]",
		Short: "List where a trial's statements break its rules",
		Long: `findings computes a trial like chronology does and lists the findings alone.

Exit status: 0 no finding is open, 1 one is, a receipt does not hold or the notary's
answer differs, 2 wrong usage or an unreadable input.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.findings(cmd.Context(), &o) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.csv, "csv", false, "print the findings as CSV, a line each")
	return cmd
}

// tell computes a trial's chronology, compares it with the notary's where there is
// one, and selects what was asked for. ok is false where something does not hold.
func (a *app) tell(ctx context.Context, o *chronologyOptions) (f *folded, ok bool, err error) {
	h, c, err := a.held(ctx, o.from)
	if err != nil {
		return nil, false, err
	}
	if c != nil {
		defer c.Close()
	}
	if f, err = h.fold(ctx, o.pack); err != nil {
		return nil, false, err
	}
	ok = len(h.refused) == 0
	if c != nil {
		if err := f.compare(ctx, c); err != nil {
			return nil, false, err
		}
		ok = ok && f.notary.Agrees
	}
	notes, err := h.notes()
	if err != nil {
		return nil, false, err
	}
	f.report.Notes = append(notes, f.report.Notes...)
	if err := o.choose(f.report); err != nil {
		return nil, false, err
	}
	for _, n := range f.report.Notes {
		a.notef("%s", n)
	}
	return f, ok, nil
}

// choose leaves what the options ask for.
func (o *chronologyOptions) choose(r *chronology.Report) error {
	since, err := parseTimeFlag("--since", o.since)
	if err != nil {
		return err
	}
	before, err := parseTimeFlag("--before", o.before)
	if err != nil {
		return err
	}
	kind := trial.Kind(o.kind)
	if kind != "" && !kind.Known() {
		return fmt.Errorf("invalid --kind: got %q, want one of %s", o.kind, kindNames(trial.Kinds()))
	}
	if o.site != "" && !hasSite(r.Sites, o.site) {
		return fmt.Errorf("invalid --site: the charter has no site %q", o.site)
	}
	if o.site == "" && kind == "" && since.IsZero() && before.IsZero() {
		return nil
	}
	inside := func(site string, at time.Time) bool {
		return (o.site == "" || site == o.site) && (since.IsZero() || !at.Before(since)) && (before.IsZero() || at.Before(before))
	}
	r.Choose(func(e *chronology.Event) bool {
		return inside(e.Site, e.Time) && (kind == "" || e.Kind == kind)
	})
	r.Notes = append(r.Notes, fmt.Sprintf("Only a part is shown%s. Rules were judged on everything at hand.", o.selection()))
	return nil
}

func hasSite(sites []trial.Site, id string) bool {
	for _, s := range sites {
		if s.ID == id {
			return true
		}
	}
	return false
}

// selection says in words what was asked for.
func (o *chronologyOptions) selection() string {
	text := ""
	for _, p := range []struct{ word, value string }{{"site", o.site}, {"kind", o.kind}, {"since", o.since}, {"before", o.before}} {
		if p.value != "" {
			text += ", " + p.word + " " + p.value
		}
	}
	if text != "" {
		text = ":" + text[1:]
	}
	return text
}

func (a *app) chronology(ctx context.Context, o *chronologyOptions) error {
	if o.csv && (o.html != "" || a.output != "text") || o.html == "-" && a.output != "text" {
		return errors.New("invalid output: want one of --csv, --html and --output json")
	}
	f, ok, err := a.tell(ctx, o)
	if err != nil {
		return err
	}
	if o.html != "" {
		if err := a.writePage(o.html, f.report); err != nil {
			return err
		}
	}
	switch {
	case o.html == "-":
	case o.csv:
		err = writeCSV(a.stdout, eventLines(f.report))
	case o.html != "":
		err = a.print(newChronologyResult(f), func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", o.html, summary(f.report)) })
	default:
		err = a.print(newChronologyResult(f), func(w io.Writer) { printChronology(w, f.report) })
	}
	return negativeUnless(ok, err)
}

func negativeUnless(ok bool, err error) error {
	if err == nil && !ok {
		return errNegative
	}
	return err
}

func (a *app) writePage(path string, r *chronology.Report) error {
	if path == "-" {
		return page.Write(a.stdout, r)
	}
	var b bytes.Buffer
	if err := page.Write(&b, r); err != nil {
		return err
	}
	return client.WriteFile(path, b.Bytes(), 0o644)
}

func (a *app) findings(ctx context.Context, o *chronologyOptions) error {
	if o.csv && a.output != "text" {
		return errors.New("invalid --csv: want it without --output json")
	}
	f, ok, err := a.tell(ctx, o)
	if err != nil {
		return err
	}
	if o.csv {
		err = writeCSV(a.stdout, findingLines(f.report))
	} else {
		res := newChronologyResult(f)
		res.Events, res.Locks = nil, nil
		err = a.print(res, func(w io.Writer) { printFindings(w, f.report) })
	}
	for i := range f.report.Findings {
		ok = ok && chronology.State(&f.report.Findings[i]) != chronology.Open
	}
	return negativeUnless(ok, err)
}
