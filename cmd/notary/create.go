package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

type createOptions struct {
	sponsorKey, recoveryKey, predicate string
	organisation, signerName           string
	sites, registry, endorse, params   []string
	extraRoles                         []string
	randomisation                      bool
	blinding, rulePack, rules          string
}

func (a *app) trialCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trial",
		Short: "Open a trial",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o createOptions
	create := &cobra.Command{
		Use:   "create --sponsor-key F --recovery-key F --organisation O --signer-name N --site ID=NAME --trust DIR",
		Short: "Open a trial with its charter",
		Long: `create signs a trial's charter with the sponsor's key, proves that the sponsor holds the
recovery key too, submits the charter and writes the trial's trust folder to --trust DIR.
The trial's id is the charter's. Afterwards move the recovery key to a safe place, offline:
it alone can replace a lost or stolen sponsor key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.createTrial(cmd.Context(), &o) },
	}
	f := create.Flags()
	f.StringVar(&o.sponsorKey, "sponsor-key", "", "the sponsor's key `FILE` (default: --key)")
	f.StringVar(&a.flags.Key, "key", "", "the sponsor's key `FILE`")
	f.StringVar(&o.recoveryKey, "recovery-key", "", "the recovery key `FILE`")
	f.StringVar(&o.organisation, "organisation", "", "the sponsor's `NAME`")
	f.StringVar(&o.signerName, "signer-name", "", "printed `NAME` of the person who signs")
	f.StringArrayVar(&o.sites, "site", nil, "a site, `ID=NAME[,COUNTRY]`; repeat for each")
	f.StringArrayVar(&o.registry, "registry", nil, "a registry number, `NAME=NUMBER`, such as nct=NCT04573309 or sponsorProtocol=ABC-1")
	f.StringArrayVar(&o.endorse, "endorse", nil, "who must endorse a kind, `KIND=ROLE,ROLE`")
	f.StringArrayVar(&o.params, "param", nil, "a rule parameter, `NAME=NUMBER`")
	f.StringSliceVar(&o.extraRoles, "extra-role", nil, "a `ROLE` of this trial beside the common ones")
	f.BoolVar(&o.randomisation, "randomisation-list", false, "the trial has a randomisation list")
	f.StringVar(&o.blinding, "blinding-guard", "", "what to do about files with treatment variables: off, warn, refuse")
	f.StringVar(&o.rulePack, "rule-pack", "", "the pack of rules, `FILE|DIGEST` (default: the default pack)")
	f.StringVar(&o.rules, "rules", "", "YAML `FILE` with the sponsor's own rules beside the pack's")
	f.StringVar(&o.predicate, "predicate", "", "JSON `FILE` with registry numbers and body; flags win")
	f.StringVarP(&a.actOut, "out", "o", "", "write `NAME`.receipt.json (default: charter-ID)")
	f.StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` for the receipt")
	cmd.AddCommand(create)
	return cmd
}

// charterFile is what a --predicate file of trial create may say.
type charterFile struct {
	Trial      trial.Registry     `json:"trial,omitzero"`
	SignerName string             `json:"signerName,omitzero"`
	Body       *trial.CharterBody `json:"body,omitzero"`
}

func (a *app) createTrial(ctx context.Context, o *createOptions) error {
	sponsor, err := a.readKey(first(o.sponsorKey, a.cfg.Key), "--sponsor-key")
	if err != nil {
		return err
	}
	recovery, err := a.readKey(o.recoveryKey, "--recovery-key")
	if err != nil {
		return err
	}
	if a.cfg.Trust == "" {
		return errors.New("missing --trust: want a folder for the new trial's trust folder")
	}
	d, err := a.charterDraft(o, sponsor, recovery)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.noneUnanswered(c, d); err != nil {
		return err
	}
	env, err := d.Sign(sponsor.priv, a.now(), client.Zone())
	if err != nil {
		return err
	}
	name := a.actName(trial.KindCharter, env)
	// Before anything is sent: a second charter is a second trial.
	for _, path := range []string{name + client.ReceiptSuffix, filepath.Join(a.cfg.Trust, "charter")} {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s exists, of a trial that was opened before; a second charter would open a second trial, and its registry numbers would name neither; nothing was submitted", path)
		}
	}
	batch, err := c.state.Begin([]client.Item{{Envelope: env, Note: name}})
	if err != nil {
		return err
	}
	err = a.sendCharter(ctx, c, batch, batch.Items[0])
	return errors.Join(err, batch.Release())
}

// sendCharter submits a charter, writes its trust folder and its receipt.
func (a *app) sendCharter(ctx context.Context, c *connection, batch *client.Batch, it client.Item) error {
	id := client.StatementID(it.Envelope)
	r, trust, err := c.CreateTrial(ctx, it.Envelope)
	if _, ok := errors.AsType[*client.Refused](err); ok {
		return errors.Join(err, batch.Done(id))
	}
	if err != nil {
		return err
	}
	dir := first(a.cfg.Trust, pinnedTrust(c.state, id))
	if err := client.WriteTrust(dir, trust); err != nil {
		return err
	}
	if err := r.WriteFiles(it.Note); err != nil {
		return err
	}
	if err := batch.Done(id); err != nil {
		return err
	}
	a.notef("trial %s\nfingerprint of the trust folder %s, to be told to sites and auditors by another channel:\n  %s", id, dir, trust.Fingerprint())
	return a.printSubmitted([]submitResult{newSubmitResult("", it.Note+client.ReceiptSuffix, r)})
}

func (a *app) charterDraft(o *createOptions, sponsor, recovery *signer) (*client.Draft, error) {
	file, err := a.readCharterFile(o.predicate)
	if err != nil {
		return nil, err
	}
	body := file.Body
	if err := o.fillBody(body); err != nil {
		return nil, err
	}
	if err := checkEndorsements(body); err != nil {
		return nil, err
	}
	if err := a.fillRules(o, body); err != nil {
		return nil, err
	}
	body.SponsorKey, body.RecoveryKey = sponsor.pub, recovery.pub
	body.SponsorProof, body.RecoveryProof = nil, nil
	sponsorProof, err := trial.SignPossession(sponsor.priv, trial.ID{}, body)
	if err != nil {
		return nil, err
	}
	recoveryProof, err := trial.SignPossession(recovery.priv, trial.ID{}, body)
	if err != nil {
		return nil, err
	}
	body.SponsorProof, body.RecoveryProof = sponsorProof, recoveryProof
	if err := addRegistry(file.Trial, o.registry); err != nil {
		return nil, err
	}
	return &client.Draft{
		Subjects: aboutKey("sponsor-key", sponsor.pub.ID),
		Predicate: trial.Predicate{
			Trial: file.Trial, Kind: trial.KindCharter, Meaning: trial.MeaningApproval, Body: body,
			Signer: trial.Signer{
				KeyID: sponsor.pub.ID, Name: first(o.signerName, file.SignerName), Role: trial.RoleSponsor,
				Organisation: body.SponsorOrganisation,
			},
		},
	}, nil
}

func (a *app) readCharterFile(path string) (*charterFile, error) {
	file := &charterFile{Trial: trial.Registry{}, Body: &trial.CharterBody{}}
	if path == "" {
		return file, nil
	}
	text, err := a.readInput(path, maxPredicate)
	if err != nil {
		return nil, fmt.Errorf("reading the predicate: %w", err)
	}
	if err := json.Unmarshal(text, file, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("invalid predicate %s: %w", path, err)
	}
	if file.Body == nil {
		file.Body = &trial.CharterBody{}
	}
	if file.Trial == nil {
		file.Trial = trial.Registry{}
	}
	return file, nil
}

// fillBody lays the flags over the file's body.
func (o *createOptions) fillBody(b *trial.CharterBody) error {
	b.SponsorOrganisation = first(o.organisation, b.SponsorOrganisation)
	b.BlindingGuard = trial.BlindingGuard(first(o.blinding, string(b.BlindingGuard)))
	b.RandomisationList = b.RandomisationList || o.randomisation
	for _, r := range o.extraRoles {
		b.Roles = append(b.Roles, trial.Role(r))
	}
	for _, s := range o.sites {
		site, err := parseSite(s)
		if err != nil {
			return err
		}
		b.Sites = append(b.Sites, site)
	}
	for _, e := range o.endorse {
		kind, list, ok := strings.Cut(e, "=")
		if !ok {
			return fmt.Errorf("invalid --endorse: got %q, want KIND=ROLE,ROLE", e)
		}
		if b.Endorsements == nil {
			b.Endorsements = map[trial.Kind][]trial.Role{}
		}
		b.Endorsements[trial.Kind(kind)] = parseRoles(strings.Split(list, ","))
	}
	for _, p := range o.params {
		name, text, _ := strings.Cut(p, "=")
		var n int64
		if _, err := fmt.Sscanf(text+"\n", "%d\n", &n); err != nil {
			return fmt.Errorf("invalid --param: got %q, want NAME=NUMBER", p)
		}
		if b.Parameters == nil {
			b.Parameters = map[string]int64{}
		}
		b.Parameters[name] = n
	}
	return nil
}

// checkEndorsements refuses a table with what can only be a mistake. It would be kept
// for as long as the trial and never looked at: a charter cannot be changed.
func checkEndorsements(b *trial.CharterBody) error {
	judged := b.RequiredEndorsements()
	for _, kind := range slices.Sorted(maps.Keys(b.Endorsements)) {
		if _, ok := judged[kind]; !ok || !kind.Known() || kind == trial.KindTimeMark {
			return fmt.Errorf("invalid --endorse: got the kind %q, want one that can wait for endorsement: %s", kind, kindNames(endorsable()))
		}
		for _, role := range b.Endorsements[kind] {
			if known := slices.Concat(trial.Roles(), b.Roles); !slices.Contains(known, role) {
				return fmt.Errorf("invalid --endorse: got the role %q for %s, want one of %s; --extra-role adds one", role, kind, strings.Join(roleNames(known), ", "))
			}
		}
	}
	return nil
}

// endorsable are the kinds whose acts a charter's table may make wait.
func endorsable() []trial.Kind {
	return slices.DeleteFunc(trial.Kinds(), func(k trial.Kind) bool {
		return k.Folded() || k == trial.KindEndorsement || k == trial.KindTimeMark
	})
}

// parseSite reads ID=NAME or ID=NAME,COUNTRY, where a country is two capitals.
func parseSite(s string) (trial.Site, error) {
	id, name, ok := strings.Cut(s, "=")
	if !ok || id == "" || name == "" {
		return trial.Site{}, fmt.Errorf("invalid --site: got %q, want ID=NAME or ID=NAME,COUNTRY", s)
	}
	site := trial.Site{ID: id, Name: name}
	if i := strings.LastIndexByte(name, ','); i >= 0 {
		if c := strings.TrimSpace(name[i+1:]); len(c) == 2 && c == strings.ToUpper(c) {
			site.Name, site.Country = strings.TrimSpace(name[:i]), c
		}
	}
	return site, nil
}

// addRegistry adds NAME=NUMBER pairs.
func addRegistry(r trial.Registry, pairs []string) error {
	for _, p := range pairs {
		name, number, ok := strings.Cut(p, "=")
		if !ok || name == "" || number == "" {
			return fmt.Errorf("invalid --registry: got %q, want NAME=NUMBER, such as nct=NCT04573309", p)
		}
		r[name] = number
	}
	return nil
}

func parseRoles(names []string) []trial.Role {
	roles := make([]trial.Role, 0, len(names))
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			roles = append(roles, trial.Role(n))
		}
	}
	return roles
}

func roleNames(roles []trial.Role) []string {
	names := make([]string, 0, len(roles))
	for _, r := range roles {
		names = append(names, string(r))
	}
	return slices.Clip(names)
}
