package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // systems without a time zone database would refuse every --zone

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// trialWide as --site makes a statement trial-wide where notary.yaml has a site.
const trialWide = "-"

// maxPredicate bounds a --predicate file, in bytes.
const maxPredicate = 256 << 10

// predicateFile is what a --predicate file may say, such as
//
//	{
//	  "version": "3.1",
//	  "document": {"id": "PROT-001", "language": "en"},
//	  "declaredTime": {"utc": "2026-01-02T03:04:05Z", "zone": "Europe/Berlin"},
//	  "meaning": "approval",
//	  "body": {"type": "substantial", "countries": ["DE", "AT"]}
//	}
//
// Trial, signer, salt and times of signing are never taken from it: they come
// from the trust folder, the key and the moment.
type predicateFile struct {
	Site         string          `json:"site,omitzero"`
	Kind         trial.Kind      `json:"kind,omitzero"`
	Role         trial.Role      `json:"role,omitzero"`
	Document     *trial.Document `json:"document,omitzero"`
	Version      string          `json:"version,omitzero"`
	Supersedes   string          `json:"supersedes,omitzero"`
	Reason       string          `json:"reason,omitzero"`
	DeclaredTime *instant        `json:"declaredTime,omitzero"`
	Meaning      trial.Meaning   `json:"meaning,omitzero"`
	Lineage      []string        `json:"lineage,omitzero"`
	Body         jsontext.Value  `json:"body,omitzero"`
}

// instant is a moment with the zone of its clock.
type instant struct {
	UTC  string `json:"utc"`
	Zone string `json:"zone"`
}

// readPredicate reads a --predicate file; "-" is standard input.
func (a *app) readPredicate(path string) (*predicateFile, error) {
	p := &predicateFile{}
	if path == "" {
		return p, nil
	}
	text, err := a.readInput(path, maxPredicate)
	if err != nil {
		return nil, fmt.Errorf("reading the predicate: %w", err)
	}
	p, err = parsePredicate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// readInput reads a file of at most limit bytes; "-" is standard input.
func (a *app) readInput(path string, limit int64) ([]byte, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("invalid size of %s: got more than %d bytes, want at most that", path, limit)
	}
	return text, nil
}

func parsePredicate(text []byte) (*predicateFile, error) {
	if len(text) > maxPredicate {
		return nil, fmt.Errorf("invalid predicate: got more than %d bytes, want at most that", maxPredicate)
	}
	p := &predicateFile{}
	if err := json.Unmarshal(text, p, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("invalid predicate: %w", err)
	}
	return p, nil
}

// predicateFlags are the flags that fill a statement; they win over the file.
type predicateFlags struct {
	file, kind, role, version, supersedes, reason, meaning string
	declared, zone, document, language, scope              string
	lineage                                                []string
	unblinded                                              string
	body                                                   bodyFlags
}

func (p *predicateFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.file, "predicate", "", "JSON `FILE` that fills the statement; flags win")
	f.StringVar(&p.kind, "kind", "", "what is submitted, such as dataset, protocol or database-lock; all of them: "+strings.Join(submitKinds(), ", "))
	f.StringVar(&p.role, "role", "", "the `ROLE` that you sign in, if you have several")
	f.StringVar(&p.version, "version", "", "version label, such as 3.1")
	f.StringVar(&p.supersedes, "supersedes", "", "`ID` or receipt file of the statement that this one replaces")
	f.StringVar(&p.reason, "reason", "", "why it is replaced")
	f.StringVar(&p.meaning, "meaning", "", "what your signature means: authorship (default), review, approval, responsibility, verification, certified-copy, acknowledgement")
	f.StringVar(&p.declared, "declared", "", "`TIME` when it happened, RFC 3339 (default: when it is signed)")
	f.StringVar(&p.zone, "zone", "", "IANA time `ZONE` of your clock (default: this machine's)")
	f.StringVar(&p.document, "document", "", "document `ID`, the same for all its versions")
	f.StringVar(&p.language, "language", "", "the document's language, such as de-AT")
	f.StringVar(&p.scope, "scope", "", "the document's scope, such as a country")
	f.StringSliceVar(&p.lineage, "derived-from", nil, "`ID` or receipt file of a statement that this one derives from")
	f.StringVar(&p.unblinded, "unblinded-reason", "", "`TEXT` why files that could unblind are submitted all the same; the statement records it")
	p.body.add(f)
}

// fill completes a draft from file and flags.
func (a *app) fill(d *client.Draft, p *predicateFlags, file *predicateFile) error {
	pr := &d.Predicate
	if pr.Site = first(a.flags.Site, file.Site, a.cfg.Site); pr.Site == trialWide {
		pr.Site = ""
	}
	pr.Kind = trial.Kind(first(p.kind, string(file.Kind)))
	pr.Version = first(p.version, file.Version)
	pr.Reason = first(p.reason, file.Reason)
	pr.Meaning = trial.Meaning(first(p.meaning, string(file.Meaning), string(trial.MeaningAuthorship)))
	pr.Document = file.Document
	if p.document != "" || p.language != "" || p.scope != "" {
		doc := trial.Document{}
		if pr.Document != nil {
			doc = *pr.Document
		}
		doc.ID, doc.Language, doc.Scope = first(p.document, doc.ID), first(p.language, doc.Language), first(p.scope, doc.Scope)
		pr.Document = &doc
	}
	if ref := first(p.supersedes, file.Supersedes); ref != "" {
		id, err := parseRef("--supersedes", ref)
		if err != nil {
			return err
		}
		pr.Supersedes = id
	}
	lineage := p.lineage
	if lineage == nil {
		lineage = file.Lineage
	}
	for _, ref := range lineage {
		id, err := parseRef("--derived-from", ref)
		if err != nil {
			return err
		}
		pr.Lineage = append(pr.Lineage, id)
	}
	var err error
	if pr.Declared, err = p.declaredTime(file); err != nil {
		return err
	}
	pr.Body, err = p.body.build(pr.Kind, file.Body)
	return err
}

func (p *predicateFlags) declaredTime(file *predicateFile) (*trial.Instant, error) {
	text, zone := p.declared, first(p.zone, client.Zone())
	if text == "" && file.DeclaredTime != nil {
		text, zone = file.DeclaredTime.UTC, first(p.zone, file.DeclaredTime.Zone)
	}
	if text == "" {
		return nil, nil //nolint:nilnil // the time of signing is used then
	}
	if err := checkZone(zone); err != nil {
		return nil, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("invalid --declared: got %q, want RFC 3339 such as 2026-01-31T15:04:05+01:00", text)
	}
	return trial.NewInstant(t, zone), nil
}

// checkZone refuses a time zone that no system knows: statements are checked for
// its shape alone, because the database changes, and a misspelt one would stay.
func checkZone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return fmt.Errorf("invalid time zone: got %q, want a name of the IANA time zone database such as Europe/Berlin or UTC", name)
	}
	return nil
}

func (p *predicateFlags) zoneName() string { return first(p.zone, client.Zone()) }

// parseRef reads a statement id, or takes it from a receipt file.
func parseRef(flag, ref string) (trial.ID, error) {
	id, err := trial.ParseID(ref)
	if err == nil {
		return id, nil
	}
	if !strings.HasSuffix(ref, ".json") {
		return id, fmt.Errorf("invalid %s: got %q, want a statement id or a receipt file", flag, ref)
	}
	r, _, err := client.ReadReceipt(ref)
	if err != nil {
		return id, fmt.Errorf("invalid %s: %w", flag, err)
	}
	return client.StatementID(r.Envelope), nil
}

// first returns the first that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// warnings tells about names and free text that look like a participant's id.
// The statement travels; such an id must not.
func (a *app) warnParticipants(d *client.Draft) {
	texts := append(bodyTexts(d.Predicate.Body), d.Predicate.Reason, d.Predicate.Version)
	if doc := d.Predicate.Document; doc != nil {
		texts = append(texts, doc.ID, doc.Scope)
	}
	for _, s := range d.Subjects {
		texts = append(texts, s.Name)
	}
	for _, t := range texts {
		if trial.LooksLikeParticipantID(t) {
			a.notef("warning: %q looks like a participant's id; it would leave this machine inside the statement", t)
		}
	}
}

var errNoKind = errors.New("missing --kind: want what is submitted, such as dataset or protocol")
