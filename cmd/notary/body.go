package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// bodyFlags are the flags for the part of a statement that depends on its kind.
// Each sets one field of the body.
type bodyFlags struct {
	text      map[string]*string
	lists     map[string]*[]string
	pairs     map[string]*map[string]string
	migration bool
	set       []string
	// salt is the file with the salt of a commitment.
	salt string
}

// bodyText are the flags that set a text: flag, field, help.
var bodyText = [][3]string{
	{"origin", "origin", "data: where they arose: site, edc, lab, epro, irt, sponsor"},
	{"purpose", "purpose", "data: routine (default), interim, dmc, lock, submission"},
	{"dataset", "dataset", "data: name of the dataset, such as ADSL"},
	{"source-system", "sourceSystem", "data, audit trail: system and version that made the file"},
	{"extract-time", "extractTime", "data: `TIME` of extraction, RFC 3339 in UTC"},
	{"encoding", "encoding", "data: `NAME` of the encoding of text in SAS transport files, such as windows-1252 (default: UTF-8)"},
	{"cutoff", "cutoff", "data: cut-off `DATE`"},
	{"type", "type", "amendment: substantial, non-substantial, urgent"},
	{"title", "title", "document: its title"},
	{"protocol", "protocol", "consent form: `ID` of the protocol statement it belongs to"},
	{"committee", "committee", "ethics decision: the committee"},
	{"reference", "reference", "ethics decision: the committee's reference"},
	{"decision", "decision", "ethics decision: favourable, favourable-with-conditions, unfavourable, acknowledged, no-approval-needed, withdrawn, changes-requested"},
	{"date", "date", "ethics decision or document: its `DATE`; audit trail: the day of its records"},
	{"artifact", "artifact", "trial master file: reference model number"},
}

func (b *bodyFlags) add(f *pflag.FlagSet) {
	b.text, b.lists, b.pairs = map[string]*string{}, map[string]*[]string{}, map[string]*map[string]string{}
	for _, t := range bodyText {
		b.text[t[1]] = f.String(t[0], "", t[2])
	}
	b.lists["countries"] = f.StringSlice("country", nil, "protocol, amendment, consent form: country `CODE`")
	b.lists["approves"] = f.StringSlice("approves", nil, "ethics decision: `ID` of a statement decided on")
	b.pairs["dictionaries"] = f.StringToString("dictionary", nil, "data: `NAME=VERSION` of a coding dictionary")
	f.BoolVar(&b.migration, "migration", false, "data: a declared backfill of older data")
	f.StringArrayVar(&b.set, "set", nil, "any field of the body, `NAME=VALUE`; repeat it for each, and for each entry of a list")
	f.StringVar(&b.salt, "salt", "", "`FILE` with the salt of a commitment: 64 hexadecimal characters; made if it is not there")
}

// build makes the body of a kind from the file's and the flags.
func (b *bodyFlags) build(kind trial.Kind, file jsontext.Value) (any, error) {
	body := newBody(kind)
	if body == nil {
		return nil, fmt.Errorf("invalid --kind: got %q, want one of %s", kind, strings.Join(submitKinds(), ", "))
	}
	fields := map[string]any{}
	if len(file) > 0 {
		if err := json.Unmarshal(file, &fields); err != nil {
			return nil, fmt.Errorf("invalid body: %w", err)
		}
	}
	form := formOf(body)
	b.flags(form, fields)
	if err := form.set(b.set, fields); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(form.names, name) {
			return nil, fmt.Errorf("invalid body: got the field %q, want for a %s %s", name, kind, form.wanted())
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("invalid body: %w", err)
	}
	if err := json.Unmarshal(text, body, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("invalid body: %w", err)
	}
	completeBody(body)
	return body, nil
}

// flags lays the flags of single fields over the file's.
func (b *bodyFlags) flags(form *bodyForm, fields map[string]any) {
	for name, v := range b.text {
		if *v != "" {
			fields[name] = *v
		}
	}
	for name, v := range b.lists {
		switch _, one := form.types["country"]; {
		case len(*v) == 0:
		case name == "countries" && one && len(*v) == 1:
			fields["country"] = (*v)[0]
		default:
			fields[name] = *v
		}
	}
	for name, v := range b.pairs {
		if len(*v) > 0 {
			fields[name] = *v
		}
	}
	if b.migration {
		fields["migration"] = true
	}
}

// completeBody fills in what has one value.
func completeBody(body any) {
	if seal, ok := body.(*trial.SealBody); ok && seal.Scheme == "" {
		seal.Scheme = trial.CommitmentScheme
	}
}

// completeData gives data the purpose "routine", and the origin that follows
// from who signs, where neither is said.
func completeData(d *client.Draft, book *client.Book) error {
	body, ok := d.Predicate.Body.(*trial.DataBody)
	if !ok {
		return nil
	}
	if body.Purpose == "" {
		body.Purpose = trial.PurposeRoutine
	}
	if body.Origin != "" {
		return nil
	}
	e, _ := book.Enrolment(d.Predicate.Signer.KeyID)
	switch {
	case d.Predicate.Signer.Role == trial.RoleEDCSystem:
		body.Origin = trial.OriginEDC
	case d.Predicate.Signer.Role == trial.RoleLabSystem:
		body.Origin = trial.OriginLab
	case e.Body != nil && e.Body.OrganisationType == trial.OrganisationSite:
		body.Origin = trial.OriginSite
	case e.Body != nil && e.Body.OrganisationType == trial.OrganisationSponsor:
		body.Origin = trial.OriginSponsor
	default:
		return fmt.Errorf("missing --origin: want where the data arose, such as site or edc")
	}
	return nil
}

// bodyTexts are the free texts of a body.
func bodyTexts(body any) []string {
	var texts []string
	for _, t := range trial.FreeTexts(body) {
		texts = append(texts, t.Text)
	}
	return texts
}
