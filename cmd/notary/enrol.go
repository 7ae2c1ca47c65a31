package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// holderFlags describe who gets a key enrolled, and for what.
type holderFlags struct {
	id, holder, name, orcid, organisation, organisationType string
	roles, sites, kinds                                     []string
	allSites                                                bool
	from, until                                             string
}

func (h *holderFlags) add(f *pflag.FlagSet) {
	f.StringVar(&h.id, "holder", "", "holder `ID`, unique in the trial")
	f.StringVar(&h.holder, "type", "person", "person or system")
	f.StringVar(&h.name, "name", "", "printed `NAME` of the person, or name of the system")
	f.StringVar(&h.orcid, "orcid", "", "the person's ORCID")
	f.StringVar(&h.organisation, "organisation", "", "`NAME` of the organisation that the holder signs for")
	f.StringVar(&h.organisationType, "organisation-type", "", "sponsor, site, cro or vendor")
	f.StringSliceVar(&h.roles, "role", nil, "a `ROLE`, such as investigator or data-manager; repeat for each")
	f.StringSliceVar(&h.sites, "site", nil, "a site `S` that the key signs for; repeat for each")
	f.BoolVar(&h.allSites, "all-sites", false, "the key signs for every site and trial-wide")
	f.StringSliceVar(&h.kinds, "kind", nil, "a `KIND` that the key signs, or all that submit takes, without endorsement; repeat for each (default: documents and data, and a person endorses)")
	f.StringVar(&h.from, "from", "", "valid from `TIME` (RFC 3339 or a date)")
	f.StringVar(&h.until, "until", "", "valid until `TIME`, which is not inside")
}

func (h *holderFlags) body(key *trial.PublicKey) (*trial.EnrolmentBody, error) {
	for _, f := range []struct{ flag, value string }{
		{"--holder", h.id}, {"--name", h.name}, {"--organisation", h.organisation}, {"--organisation-type", h.organisationType},
		{"--role", strings.Join(h.roles, "")},
	} {
		if f.value == "" {
			return nil, fmt.Errorf("missing %s: want who holds the key, or --request FILE", f.flag)
		}
	}
	b := &trial.EnrolmentBody{
		HolderID: h.id, Holder: trial.HolderType(h.holder), Name: h.name, ORCID: h.orcid, Organisation: h.organisation,
		OrganisationType: trial.OrganisationType(h.organisationType), Roles: parseRoles(h.roles),
		AllSites: h.allSites, Sites: h.sites, Key: key,
	}
	kinds, err := enrolledKinds(h.kinds)
	if err != nil {
		return nil, err
	}
	b.Kinds = kinds
	if len(b.Kinds) == 0 {
		b.Kinds = defaultKinds(b.Holder)
	}
	from, err := parseTimeFlag("--from", h.from)
	if err != nil {
		return nil, err
	}
	until, err := parseTimeFlag("--until", h.until)
	if err != nil {
		return nil, err
	}
	if !from.IsZero() {
		b.From = &from
	}
	if !until.IsZero() {
		b.Until = &until
	}
	return b, nil
}

// allKinds as --kind stands for every kind that submit takes.
const allKinds = "all"

// enrolledKinds reads --kind. A kind that this version does not know is a mistake
// here, although statements may name it: a key that is enrolled for "datset" signs
// nothing, and an enrolment cannot be changed.
func enrolledKinds(names []string) ([]trial.Kind, error) {
	var kinds []trial.Kind
	add := func(k trial.Kind) {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	for _, n := range names {
		if n != allKinds {
			if !trial.Kind(n).Known() {
				return nil, fmt.Errorf("invalid --kind: got %q, want all or one of %s", n, kindNames(trial.Kinds()))
			}
			add(trial.Kind(n))
			continue
		}
		for _, k := range submitKinds() {
			if !trial.Kind(k).Authority() {
				add(trial.Kind(k))
			}
		}
	}
	return kinds, nil
}

// kindNames lists kinds for a message.
func kindNames(kinds []trial.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// defaultKinds are what a key may sign if nothing is said: documents and data,
// and a person may endorse.
func defaultKinds(holder trial.HolderType) []trial.Kind {
	kinds := slices.Clone(fileKinds)
	if holder == trial.HolderPerson {
		kinds = append(kinds, trial.KindEndorsement)
	}
	return kinds
}

func (a *app) enrolCommand() *cobra.Command {
	var h holderFlags
	var holderKey, request string
	cmd := &cobra.Command{
		Use:   "enrol --key SPONSOR.key (--request FILE | --holder-key F --holder ID --name N …)",
		Short: "Enrol a person's or a system's key",
		Long: `enrol lets a key sign in the trial. The sponsor's key signs; the new key's own signature
stands in the enrolment. The holder makes it with "notary enrol request" and keeps the key;
with --holder-key both keys are on this machine.

The key of a site's coordinator or system takes effect once an investigator of that site has
endorsed the enrolment: notary endorse --key INVESTIGATOR.key ENROLMENT.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.enrol(cmd.Context(), &h, holderKey, request)
		},
	}
	f := cmd.Flags()
	h.add(f)
	a.actFlags(f)
	f.StringVar(&holderKey, "holder-key", "", "the holder's key `FILE`")
	f.StringVar(&request, "request", "", "the holder's request `FILE`")
	cmd.AddCommand(a.enrolRequestCommand())
	return cmd
}

func (a *app) enrol(ctx context.Context, h *holderFlags, holderKey, request string) error {
	if (holderKey == "") == (request == "") {
		return errors.New("invalid enrolment: want one of --request and --holder-key")
	}
	return a.act(ctx, trial.KindKeyEnrolment, "", func(c *connection, _ *client.Book, _ *signer, d *client.Draft) error {
		body, err := a.enrolmentBody(h, holderKey, request, c.trust.Charter)
		if err != nil {
			return err
		}
		d.Subjects = aboutKey("key", body.Key.ID)
		d.Predicate.Meaning = trial.MeaningApproval
		d.Predicate.Body = body
		a.notef("enrolling key %s of %s (%s), %s", body.Key.ID, body.Name, strings.Join(roleNames(body.Roles), ", "), body.Organisation)
		return nil
	})
}

func (a *app) enrolmentBody(h *holderFlags, holderKey, request string, charter trial.ID) (*trial.EnrolmentBody, error) {
	if request != "" {
		text, err := a.readInput(request, maxRequest)
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		r, err := parseRequest(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", request, err)
		}
		if r.Charter != charter {
			return nil, fmt.Errorf("invalid enrolment request: got trial %s, want %s", r.Charter, charter)
		}
		return r.Body, nil
	}
	key, err := a.readKey(holderKey, "--holder-key")
	if err != nil {
		return nil, err
	}
	return h.prove(key, charter)
}

// prove makes the body with the holder's own signature over it.
func (h *holderFlags) prove(key *signer, charter trial.ID) (*trial.EnrolmentBody, error) {
	body, err := h.body(key.pub)
	if err != nil {
		return nil, err
	}
	body.Proof, err = trial.SignPossession(key.priv, charter, body)
	return body, err
}

func (a *app) enrolRequestCommand() *cobra.Command {
	var h holderFlags
	var out string
	cmd := &cobra.Command{
		Use:   "request --trial CHARTER --key HOLDER.key --holder ID --name N … -o FILE",
		Short: "Make an enrolment request for the sponsor",
		Long: `request writes what the sponsor needs to enrol your key: who you are, what the key may sign,
and the key's own signature over all of it. The key stays with you. It needs no network;
--trial is the charter's id, or --trust names the trial's trust folder.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.enrolRequest(&h, out) },
	}
	f := cmd.Flags()
	h.add(f)
	f.StringVar(&a.flags.Key, "key", "", "your key `FILE`")
	f.StringVarP(&out, "out", "o", "", "write to `FILE`")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func (a *app) enrolRequest(h *holderFlags, out string) error {
	key, err := a.readKey(a.cfg.Key, "--key")
	if err != nil {
		return err
	}
	charter, err := trial.ParseID(a.cfg.Trial)
	if err != nil {
		if a.cfg.Trust == "" {
			return fmt.Errorf("missing --trial: want the charter's id, or --trust; got %q", a.cfg.Trial)
		}
		t, err := client.ReadTrust(a.cfg.Trust)
		if err != nil {
			return err
		}
		charter = t.Charter
	}
	body, err := h.prove(key, charter)
	if err != nil {
		return err
	}
	r := &enrolmentRequest{Type: requestType, Charter: charter, Body: body}
	text, err := r.marshal()
	if err != nil {
		return err
	}
	if _, err := parseRequest(text); err != nil {
		return err
	}
	if err := client.WriteNew(out, text, 0o644); err != nil {
		return err
	}
	return a.print(struct {
		Written string `json:"written"`
		KeyID   string `json:"keyId"`
		Trial   string `json:"trial"`
	}{out, key.pub.ID.String(), charter.String()}, func(w io.Writer) {
		fmt.Fprintf(w, "%s: request to enrol key %s in trial %s\n", out, key.pub.ID, charter)
	})
}
