package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

type userOptions struct {
	config, role, organisation, trial string
	sites                             []string
	tokenOut, certOut                 string
}

func userCommand(stdout io.Writer) *cobra.Command {
	var o userOptions
	cmd := &cobra.Command{Use: "user", Short: "make and list the users of the API"}
	cmd.PersistentFlags().StringVar(&o.config, "config", "notaryd.yaml", "the server's configuration")
	add := &cobra.Command{
		Use:   "add NAME",
		Short: "make a user with a bearer token or a client certificate",
		Long: "add makes a user with one grant and prints its bearer token, or writes it to\n" +
			"--token-out. The token is shown this once: only its hash is stored. With\n" +
			"--cert-out the private CA issues a client certificate in its place. A server\n" +
			"that runs sees the user at once.\n\n" +
			"  --role sponsor --organisation ORG   creates ORG's trials and is granted each\n" +
			"  --role sponsor --trial ID           everything of one trial\n" +
			"  --role site --trial ID --site S     submits for and reads its sites\n" +
			"  --role auditor --trial ID           reads one trial\n" +
			"  --role operator                     health, nothing of any trial",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return addUser(cmd.Context(), o, args[0], stdout) },
	}
	grant := &cobra.Command{
		Use:   "grant NAME",
		Short: "give a user one more grant, such as another trial or site",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := o.grant()
			if err != nil {
				return usageError{err}
			}
			return withStore(o.config, func(_ *Config, s *store.Store) error {
				if err := s.AddGrant(cmd.Context(), args[0], g); err != nil {
					return fmt.Errorf("user %s: %w", args[0], err)
				}
				return nil
			})
		},
	}
	for _, c := range []*cobra.Command{add, grant} {
		o.grantFlags(c)
	}
	f := add.Flags()
	f.StringVar(&o.tokenOut, "token-out", "", "write the token to this new file of mode 0600")
	f.StringVar(&o.certOut, "cert-out", "", "folder for a client certificate NAME.crt and NAME.key, instead of a token; - for standard output")
	remove := &cobra.Command{
		Use: "remove NAME", Short: "remove a user", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(o.config, func(_ *Config, s *store.Store) error {
				if err := s.RemoveUser(cmd.Context(), args[0]); err != nil {
					return fmt.Errorf("user %s: %w", args[0], err)
				}
				return nil
			})
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "list users and what they may do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listUsers(cmd.Context(), o.config, stdout) },
	}
	cmd.AddCommand(add, grant, remove, list)
	return cmd
}

// grantFlags are the flags that make one grant.
func (o *userOptions) grantFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.role, "role", "", "sponsor, site, auditor or operator (required)")
	f.StringVar(&o.organisation, "organisation", "", "the sponsor organisation, as charters spell it")
	f.StringVar(&o.trial, "trial", "", "the trial: its charter's id")
	f.StringSliceVar(&o.sites, "site", nil, "a site of the trial; may be repeated")
	must(cmd.MarkFlagRequired("role"))
}

// checkUserName takes what is safe as a file name and a certificate's common
// name.
func checkUserName(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("name: got %d characters, want 1 to 64", len(name))
	}
	for i, r := range name {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
		if !letter && (i == 0 || !strings.ContainsRune("._-@", r)) {
			return fmt.Errorf("name: got %q, want letters, digits and . _ - @, a letter or digit first", name)
		}
	}
	return nil
}

// grant turns the flags into the one thing that the user may do.
func (o *userOptions) grant() (store.Grant, error) {
	g := store.Grant{Role: store.Role(o.role), Organisation: o.organisation, Sites: o.sites}
	if o.trial != "" {
		id, err := trial.ParseID(o.trial)
		if err != nil {
			return g, fmt.Errorf("--trial: %w", err)
		}
		g.Trial = id
	}
	switch g.Role {
	case store.RoleSponsor:
		if (g.Organisation == "") == g.Trial.IsZero() || len(g.Sites) > 0 {
			return g, errors.New("--role sponsor: give either --organisation or --trial, and no --site")
		}
	case store.RoleSite:
		if g.Trial.IsZero() || len(g.Sites) == 0 || g.Organisation != "" {
			return g, errors.New("--role site: give --trial and --site, and no --organisation")
		}
	case store.RoleAuditor:
		if g.Trial.IsZero() || len(g.Sites) > 0 || g.Organisation != "" {
			return g, errors.New("--role auditor: give --trial, and neither --site nor --organisation")
		}
	case store.RoleOperator:
		if !g.Trial.IsZero() || len(g.Sites) > 0 || g.Organisation != "" {
			return g, errors.New("--role operator: takes no --trial, --site or --organisation")
		}
	default:
		return g, fmt.Errorf("--role: got %q, want sponsor, site, auditor or operator", o.role)
	}
	return g, nil
}

func addUser(ctx context.Context, o userOptions, name string, stdout io.Writer) error {
	if err := checkUserName(name); err != nil {
		return usageError{err}
	}
	if o.tokenOut != "" && o.certOut != "" {
		return usageError{errors.New("give --token-out or --cert-out, not both")}
	}
	g, err := o.grant()
	if err != nil {
		return usageError{err}
	}
	return withStore(o.config, func(c *Config, s *store.Store) error {
		u := store.User{Name: name, Grants: []store.Grant{g}}
		if o.certOut != "" {
			return addCertUser(ctx, c, s, u, o.certOut, stdout)
		}
		return addTokenUser(ctx, s, u, o.tokenOut, stdout)
	})
}

func addTokenUser(ctx context.Context, s *store.Store, u store.User, out string, stdout io.Writer) error {
	token, hash := rpc.NewToken()
	u.TokenHash = hash
	if err := s.AddUser(ctx, u); err != nil {
		return err
	}
	if out == "" {
		_, err := fmt.Fprintln(stdout, token)
		return err
	}
	if err := writeNew(out, []byte(token+"\n"), 0o600); err != nil {
		// A user whose token nobody holds is of no use to anybody.
		return errors.Join(fmt.Errorf("writing the token: %w", err), s.RemoveUser(ctx, u.Name))
	}
	_, err := fmt.Fprintf(stdout, "wrote the token of %s to %s\n", u.Name, out)
	return err
}

func addCertUser(ctx context.Context, c *Config, s *store.Store, u store.User, out string, stdout io.Writer) error {
	ca, err := openAuthority(filepath.Dir(c.TLS.ClientCA))
	if err != nil {
		return err
	}
	cert, err := ca.issueClient(u.Name, time.Now())
	if err != nil {
		return err
	}
	u.CertName = u.Name
	if err := s.AddUser(ctx, u); err != nil {
		return err
	}
	if err := deliver(cert, out, u.Name, stdout); err != nil {
		// A user whose key nobody holds is of no use to anybody.
		return errors.Join(err, s.RemoveUser(ctx, u.Name))
	}
	return nil
}

func listUsers(ctx context.Context, config string, stdout io.Writer) error {
	return withStore(config, func(_ *Config, s *store.Store) error {
		users, err := s.ListUsers(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(stdout, 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "NAME\tBY\tROLE\tSCOPE")
		for _, u := range users {
			by := "token"
			if u.CertName != "" {
				by = "certificate"
			}
			for _, g := range u.Grants {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.Name, by, g.Role, scope(g))
			}
		}
		return w.Flush()
	})
}

func scope(g store.Grant) string {
	switch {
	case g.Organisation != "":
		return "trials of " + g.Organisation
	case len(g.Sites) > 0:
		return fmt.Sprintf("trial %s, sites %s", g.Trial, strings.Join(g.Sites, ", "))
	case !g.Trial.IsZero():
		return "trial " + g.Trial.String()
	default:
		return "the notary"
	}
}

// withStore opens the database beside a server that may be running.
func withStore(config string, do func(*Config, *store.Store) error) error {
	c, err := LoadConfig(config)
	if err != nil {
		return usageError{err}
	}
	s, err := store.Open(c.Store.Path)
	if err != nil {
		return err
	}
	return errors.Join(do(c, s), s.Close())
}
