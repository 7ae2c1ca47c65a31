package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

func (a *app) trustCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Fetch or show a trial's trust folder",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var fingerprint string
	fetch := &cobra.Command{
		Use:   "fetch --trial T --trust DIR",
		Short: "Fetch a trial's trust folder, or refresh it",
		Long: `fetch writes the trust folder of a trial and prints its fingerprint. Compare the fingerprint
with the sponsor by another channel, such as the telephone: until then it proves nothing.
With --fingerprint the comparison is made here, and nothing is written if it differs.

A folder that is there is refreshed: its anchors must be the same, and no enrolment or
revocation that it holds may be missing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.trustFetch(cmd.Context(), fingerprint) },
	}
	fetch.Flags().StringVar(&fingerprint, "fingerprint", "", "the fingerprint `HEX` that the sponsor gave")
	show := &cobra.Command{
		Use:   "show --trust DIR",
		Short: "Show a trust folder and its fingerprint",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.trustShow() },
	}
	cmd.AddCommand(fetch, show)
	return cmd
}

// trustResult is what a person compares and looks up.
type trustResult struct {
	Trust       string        `json:"trust"`
	Trial       string        `json:"trial"`
	Origin      string        `json:"origin"`
	SponsorKey  string        `json:"sponsorKey"`
	NotaryKey   string        `json:"notaryKey"`
	Fingerprint string        `json:"fingerprint"`
	KnownUpTo   uint64        `json:"authorityKnownUpTo,omitzero"`
	Keys        []enrolledKey `json:"keys"`
}

// enrolledKey is one enrolment that the folder holds.
type enrolledKey struct {
	KeyID        string   `json:"keyId"`
	Holder       string   `json:"holder"`
	Name         string   `json:"name"`
	Organisation string   `json:"organisation"`
	Roles        []string `json:"roles"`
	Sites        []string `json:"sites,omitzero"`
	AllSites     bool     `json:"allSites,omitzero"`
	StatementID  string   `json:"statementId"`
	LogIndex     uint64   `json:"logIndex"`
	Revoked      bool     `json:"revoked,omitzero"`
}

func (a *app) trustFetch(ctx context.Context, fingerprint string) error {
	if a.cfg.Trust == "" || a.cfg.Trial == "" {
		return errors.New("missing --trial or --trust: want a trial and a folder for its trust folder")
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := c.FetchTrust(ctx, a.cfg.Trial)
	if err != nil {
		return err
	}
	if err := a.checkTrial(t); err != nil {
		return err
	}
	if want := strings.ToLower(strings.TrimSpace(fingerprint)); want != "" && want != t.Fingerprint() {
		return fmt.Errorf("%w: got fingerprint %s, want %s; nothing was written", client.ErrOtherAnchors, t.Fingerprint(), want)
	}
	// A log that lost entries may have lost revocations.
	if _, _, err := c.Checkpoint(ctx, t); err != nil {
		return err
	}
	if err := client.WriteTrust(a.cfg.Trust, t); err != nil {
		return err
	}
	if fingerprint == "" {
		a.notef("compare the fingerprint with the sponsor by another channel")
	}
	return a.printTrust(a.cfg.Trust, t)
}

func (a *app) trustShow() error {
	if a.cfg.Trust == "" {
		return errors.New("missing --trust: want a trust folder")
	}
	t, err := client.ReadTrust(a.cfg.Trust)
	if err != nil {
		return err
	}
	return a.printTrust(a.cfg.Trust, t)
}

func (a *app) printTrust(dir string, t *receipt.Trust) error {
	book, err := client.ReadAuthority(t)
	if err != nil {
		return err
	}
	r := trustResult{
		Trust: dir, Trial: t.Charter.String(), Origin: t.LogKeys[0].Origin(), SponsorKey: t.Sponsor.ID.String(),
		NotaryKey: t.Notary.ID.String(), Fingerprint: t.Fingerprint(), KnownUpTo: book.UpTo, Keys: []enrolledKey{},
	}
	for _, e := range book.Enrolments {
		r.Keys = append(r.Keys, enrolledKey{
			KeyID: e.Key.String(), Holder: e.Body.HolderID, Name: e.Body.Name, Organisation: e.Body.Organisation,
			Roles: roleNames(e.Body.Roles), Sites: e.Body.Sites, AllSites: e.Body.AllSites,
			StatementID: e.ID.String(), LogIndex: e.Index, Revoked: e.Revoked,
		})
	}
	return a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "trial        %s\nlog          %s\nsponsor key  %s\nnotary key   %s\nfingerprint  %s\n",
			r.Trial, r.Origin, r.SponsorKey, r.NotaryKey, r.Fingerprint)
		for _, k := range r.Keys {
			sites := strings.Join(k.Sites, " ")
			if k.AllSites {
				sites = "all sites"
			}
			state := ""
			if k.Revoked {
				state = ", revoked"
			}
			fmt.Fprintf(w, "key %s  %s (%s), %s, %s%s\n", short(k.KeyID), k.Name, strings.Join(k.Roles, ", "), k.Organisation, sites, state)
		}
	})
}
