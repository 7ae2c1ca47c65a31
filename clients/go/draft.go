package client

import (
	"bytes"
	"crypto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Draft is a statement that is not signed yet.
type Draft struct {
	Subjects  []trial.Subject
	Predicate trial.Predicate
}

// NewDraft starts a statement of the trial: charter, registry numbers and the
// signer as the trust folder knows them, and the largest checkpoint that the
// state folder holds of the log. s may be nil.
func NewDraft(t *receipt.Trust, s *State, key *trial.PublicKey, role trial.Role) (*Draft, error) {
	book, err := ReadAuthority(t)
	if err != nil {
		return nil, err
	}
	return book.NewDraft(t, s, key, role)
}

// NewDraft is the function of that name with a Book that is read already.
func (b *Book) NewDraft(t *receipt.Trust, s *State, key *trial.PublicKey, role trial.Role) (*Draft, error) {
	signer, err := b.Signer(key.ID, role)
	if err != nil {
		return nil, err
	}
	d := &Draft{Predicate: trial.Predicate{Charter: t.Charter, Trial: b.Numbers, Signer: signer}}
	if s == nil {
		return d, nil
	}
	cp, ok, err := s.Checkpoint(t.LogKeys[0].Origin())
	if err != nil {
		return nil, err
	}
	if ok {
		d.Predicate.Seen = &trial.TreeHead{Origin: cp.Origin, Size: cp.Size, Root: cp.Root}
	}
	return d, nil
}

// Sign completes the draft with the time of signing, a fresh salt, and the time
// of signing as the declared time where the kind needs one and none is given,
// and signs it. Signing twice makes two statements: store what it returns.
func (d *Draft) Sign(key crypto.Signer, now time.Time, zone string) (*trial.Envelope, error) {
	p := d.Predicate
	p.Signed = trial.NewInstant(now, zone)
	if p.Declared == nil && NeedsDeclaredTime(p.Kind) {
		p.Declared = p.Signed
	}
	payload, err := trial.MarshalStatement(&trial.Statement{Subjects: d.Subjects, Predicate: p})
	if err != nil {
		return nil, err
	}
	return trial.Sign(key, payload)
}

// NeedsDeclaredTime tells whether a statement of the kind says when the thing
// happened, beside when it was signed.
func NeedsDeclaredTime(k trial.Kind) bool { return k.NeedsDeclaredTime() }

// Same tells whether an envelope is this draft, signed earlier: equal in all but
// the time of signing, the salt, the checkpoint seen, the declared time where the
// draft gives none, and content digests that the envelope lacks: files that were
// notarized by their bytes alone stay notarized.
func (d *Draft) Same(e *trial.Envelope) bool {
	st, err := trial.ParseStatement(e.Payload)
	if err != nil || st.Predicate.Kind != d.Predicate.Kind || st.Predicate.Charter != d.Predicate.Charter {
		return false
	}
	p := d.Predicate
	p.Signed, p.Salt, p.Seen = st.Predicate.Signed, st.Predicate.Salt, st.Predicate.Seen
	if p.Declared == nil {
		p.Declared = st.Predicate.Declared
	}
	payload, err := trial.MarshalStatement(&trial.Statement{Subjects: withoutTables(d.Subjects, st.Subjects), Predicate: p})
	return err == nil && bytes.Equal(payload, e.Payload)
}

// withoutTables drops the content digests of subjects where signed has the same
// file by its bytes alone.
func withoutTables(subjects, signed []trial.Subject) []trial.Subject {
	out := slices.Clone(subjects)
	for i := range min(len(out), len(signed)) {
		sum, ok := out[i].Digests.Get(trial.DigestSHA256)
		if ok && slices.Equal(signed[i].Digests, trial.SHA256(sum)) {
			if _, table := out[i].Digests.Get(trial.DigestTable); table && len(out[i].Digests) == 2 {
				out[i].Digests = trial.SHA256(sum)
			}
		}
	}
	return out
}

// Zone returns the IANA name of the local time zone, or "UTC" where the system
// does not tell.
func Zone() string {
	if tz, set := os.LookupEnv("TZ"); set {
		tz = strings.TrimPrefix(tz, ":")
		if _, err := time.LoadLocation(tz); err == nil && tz != "" && tz != "Local" && !strings.HasPrefix(tz, "/") {
			return tz
		}
		return "UTC"
	}
	if target, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
			return name
		}
	}
	return "UTC"
}

// Subject returns the file as a statement's subject, with its content digest
// where it has one.
func (h FileHash) Subject() trial.Subject {
	s := trial.Subject{Name: h.Name, Digests: trial.SHA256(h.SHA256)}
	if h.Table.Digest != nil {
		s.Digests = append(s.Digests, trial.Digest{Name: trial.DigestTable, Sum: *h.Table.Digest})
	}
	return s
}

// NewManifest lists files under one root, with a fresh secret. The manifest
// must be kept: without it no single file can be proven.
func NewManifest(files []FileHash) (*trial.Manifest, error) {
	list := make([]trial.ManifestFile, 0, len(files))
	for _, f := range files {
		list = append(list, trial.ManifestFile{Path: f.Name, Size: uint64(f.Size), Digests: f.Subject().Digests})
	}
	return trial.NewManifest(list, nil)
}

// StatementID returns the id of the statement in an envelope.
func StatementID(e *trial.Envelope) trial.ID { return statementID(e) }
