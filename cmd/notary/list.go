package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

func (a *app) listCommand() *cobra.Command {
	var kind, file, from, until string
	cmd := &cobra.Command{
		Use:   "list [--trial T] [--site S] [--kind K]",
		Short: "List a trial's statements, or those about one file",
		Long: `list prints the statements of a trial that you may see, in the order of the audit trail.
With --file it prints every statement about that file, whatever the trial. A list is the
notary's word: a receipt is proof.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return a.listFile(cmd.Context(), file)
			}
			q := client.Query{Trial: a.cfg.Trial, Site: a.flags.Site, Kind: trial.Kind(kind)}
			var err error
			if q.From, err = parseTimeFlag("--from", from); err != nil {
				return err
			}
			if q.Until, err = parseTimeFlag("--until", until); err != nil {
				return err
			}
			return a.list(cmd.Context(), q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.flags.Site, "site", "", "only statements about site `S`")
	f.StringVar(&kind, "kind", "", "only statements of kind `K`")
	f.StringVar(&from, "from", "", "only log times at or after `TIME` (RFC 3339 or a date)")
	f.StringVar(&until, "until", "", "only log times before `TIME`")
	f.StringVar(&file, "file", "", "only statements about `PATH`, over all trials")
	return cmd
}

// listed is one statement of a list.
type listed struct {
	StatementID string          `json:"statementId"`
	LogIndex    uint64          `json:"logIndex"`
	LogTime     time.Time       `json:"logTime,omitzero"`
	Trial       string          `json:"trial,omitzero"`
	Site        string          `json:"site,omitzero"`
	Kind        string          `json:"kind"`
	Version     string          `json:"version,omitzero"`
	Supersedes  string          `json:"supersedes,omitzero"`
	KeyID       string          `json:"keyId"`
	Subjects    []listedSubject `json:"subjects"`
	// Unreadable tells that the notary's copy is damaged: its subjects are not known.
	Unreadable bool `json:"unreadable,omitzero"`
}

type listedSubject struct {
	Name    string            `json:"name"`
	Digests map[string]string `json:"digests"`
}

func (a *app) list(ctx context.Context, q client.Query) error {
	if q.Trial == "" {
		return errors.New("missing --trial: want a charter's id or a registry number")
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.stillGrows(ctx, c); err != nil {
		return err
	}
	return a.printList(c.List(ctx, q))
}

// stillGrows refuses a log that lost entries since it was last seen. Without a
// trust folder at hand nothing tells whose checkpoint it is.
func (a *app) stillGrows(ctx context.Context, c *connection) error {
	dir := a.cfg.Trust
	if id, err := trial.ParseID(a.cfg.Trial); dir == "" && err == nil {
		dir = pinnedTrust(c.state, id)
	}
	if dir == "" {
		return nil
	}
	t, err := client.ReadTrust(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, _, err = c.Checkpoint(ctx, t)
	return err
}

func (a *app) listFile(ctx context.Context, path string) error {
	h, err := client.HashAsIs(ctx, path, nil)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return a.printList(c.Find(ctx, h.SHA256))
}

func (a *app) printList(statements iter.Seq2[*client.Statement, error]) error {
	out := []listed{}
	for s, err := range statements {
		if err != nil {
			return err
		}
		out = append(out, newListed(s))
	}
	return a.print(struct {
		Statements []listed `json:"statements"`
	}{out}, func(w io.Writer) { printListed(w, out) })
}

func newListed(s *client.Statement) listed {
	l := listed{
		StatementID: s.GetStatementId(), LogIndex: s.GetLogIndex(), Trial: s.GetCharter(), Site: s.GetSite(),
		Kind: s.GetKind(), Version: s.GetVersion(), Supersedes: s.GetSupersedes(), KeyID: s.GetKeyId(),
		Subjects: []listedSubject{}, Unreadable: s.GetUnreadable(),
	}
	if t := s.GetLogTime(); t != nil {
		l.LogTime = t.AsTime()
	}
	for _, sub := range s.GetSubjects() {
		l.Subjects = append(l.Subjects, listedSubject{Name: sub.GetName(), Digests: sub.GetDigests()})
	}
	return l
}

func printListed(w io.Writer, out []listed) {
	if len(out) == 0 {
		fmt.Fprintln(w, "no statements")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENTRY\tNOT BEFORE (UTC)\tSITE\tKIND\tVERSION\tFILE\tSTATEMENT")
	for _, l := range out {
		when := "-"
		if !l.LogTime.IsZero() {
			when = l.LogTime.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.LogIndex, when, dash(l.Site), l.Kind, dash(l.Version), l.files(), l.StatementID)
	}
	_ = t.Flush()
}

func (l *listed) files() string {
	if l.Unreadable {
		return "(damaged at the notary)"
	}
	switch len(l.Subjects) {
	case 0:
		return "-"
	case 1:
		return l.Subjects[0].Name
	}
	return fmt.Sprintf("%s and %d more", l.Subjects[0].Name, len(l.Subjects)-1)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// parseTimeFlag reads RFC 3339, or a date as its first moment in UTC.
func parseTimeFlag(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("invalid %s: got %q, want 2026-01-31 or 2026-01-31T15:04:05Z", flag, s)
	}
	return t, nil
}
