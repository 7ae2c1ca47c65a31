package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

func (a *app) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show, name and try packs of rules",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "show",
			Short: "Print the default pack, to read it or to begin one of your own",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := a.stdout.Write(rules.DefaultText())
				return err
			},
		},
		&cobra.Command{
			Use:   "digest [PACK]",
			Short: "Check a pack and print the digest that a charter names it by",
			Long: `digest checks a pack and prints its SHA-256, for --rule-pack of trial create. Without
PACK it is the default pack's.`,
			Args: cobra.MaximumNArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				p := rules.Default()
				if len(args) == 1 {
					var err error
					if p, err = readPack(args[0]); err != nil {
						return err
					}
				}
				if _, err := rules.Compile(p, nil, nil); err != nil {
					return err
				}
				return a.print(packNamed{p.Name, p.Version, p.Digest}, func(w io.Writer) { fmt.Fprintln(w, p.Digest) })
			},
		},
		&cobra.Command{
			Use:   "test PACK TIMELINE",
			Short: "Try a pack on the story of a trial, offline",
			Long: `test tells TIMELINE in signed statements with throw-away keys, judges them by PACK and
prints the findings beside what the timeline expects. PACK may be "default". The exit
status is 0 if exactly the expected findings were found, else 1. docs/rules.md describes
both formats.`,
			Args: cobra.ExactArgs(2),
			RunE: func(_ *cobra.Command, args []string) error { return a.testRules(args[0], args[1]) },
		},
	)
	return cmd
}

type packNamed struct {
	Pack    string `json:"pack"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

func readPack(path string) (*rules.Pack, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a pack: %w", err)
	}
	p, err := rules.Parse(text)
	if err != nil {
		return nil, atLine(path, err)
	}
	return p, nil
}

// ruleFinding is a line of the result of a test.
type ruleFinding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity,omitempty"`
	Event    int    `json:"event"`
	OpenedBy *int   `json:"openedBy,omitempty"`
	Index    uint64 `json:"index,omitempty"`
	Result   string `json:"result"` // expected, unexpected or missing
	Why      string `json:"why,omitempty"`
}

type rulesResult struct {
	Pack       string        `json:"pack"`
	Digest     string        `json:"digest"`
	Statements int           `json:"statements"`
	AsExpected bool          `json:"asExpected"`
	Findings   []ruleFinding `json:"findings"`
}

func (a *app) testRules(packPath, timelinePath string) error {
	pack := rules.Default()
	if packPath != "default" {
		var err error
		if pack, err = readPack(packPath); err != nil {
			return err
		}
	}
	program, err := rules.Compile(pack, nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", packPath, err)
	}
	report, err := runTimeline(timelinePath, pack, program)
	if err != nil {
		return fmt.Errorf("%s: %w", timelinePath, err)
	}
	r := rulesResult{
		Pack: pack.Name, Digest: pack.Digest, Statements: report.Statements,
		AsExpected: len(report.Unexpected) == 0 && len(report.Missing) == 0,
	}
	unexpected := map[timeline.Expected]bool{}
	for _, f := range report.Unexpected {
		unexpected[timeline.Expected{Rule: f.Rule, Event: f.Event}] = true
	}
	for _, f := range report.Found {
		line := ruleFinding{f.Rule, string(f.Severity), f.Event, new(f.By), f.Index, "expected", f.Why}
		if unexpected[timeline.Expected{Rule: f.Rule, Event: f.Event}] {
			line.Result = "unexpected"
		}
		r.Findings = append(r.Findings, line)
	}
	for _, m := range report.Missing {
		r.Findings = append(r.Findings, ruleFinding{Rule: m.Rule, Event: m.Event, Result: "missing"})
	}
	if err := a.print(r, r.print); err != nil {
		return err
	}
	if !r.AsExpected {
		return errNegative
	}
	return nil
}

func runTimeline(path string, pack *rules.Pack, program *rules.Program) (*timeline.Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a timeline: %w", err)
	}
	t, err := timeline.Parse(text)
	if err != nil {
		return nil, err
	}
	steps, err := timeline.Write(t, timeline.Options{Pack: pack.Digest, Read: func(name string) ([]byte, error) {
		if !filepath.IsLocal(name) {
			return nil, errors.New("the file is outside the timeline's folder")
		}
		return os.ReadFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(name)))
	}})
	if err != nil {
		return nil, err
	}
	return timeline.Run(t, steps, program)
}

func (r rulesResult) print(w io.Writer) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "RESULT\tRULE\tSEVERITY\tEVENT\tOPENED BY\tINDEX\tWHY")
	for _, f := range r.Findings {
		by, index := "", ""
		if f.OpenedBy != nil {
			by, index = "time", fmt.Sprint(f.Index)
			if *f.OpenedBy >= 0 {
				by = fmt.Sprint(*f.OpenedBy)
			}
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", f.Result, f.Rule, f.Severity, f.Event, by, index, f.Why)
	}
	_ = tab.Flush() // w reports what it could not take
	word := "exactly the expected findings"
	if !r.AsExpected {
		word = "not the expected findings"
	}
	fmt.Fprintf(w, "%d statements, pack %s %s: %s\n", r.Statements, r.Pack, r.Digest, word)
}
