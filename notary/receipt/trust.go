package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/trial"
)

// The files of a trust folder. Anchors are what a person compares by another
// channel; the rest verifies itself against them.
const (
	fileTrustedRoot = "trusted_root.json"
	filePolicy      = "policy"
	fileLogKey      = "log.vkey"
	fileNotary      = "notary.pub"
	fileSponsor     = "sponsor.pub"
	fileCharter     = "charter"

	dirAuthority   = "authority/"
	dirKeys        = "keys/"
	fileAsOf       = dirAuthority + "as-of.json"
	suffixReceipt  = ".receipt.json"
	suffixEvidence = ".evidence.json"
	suffixKey      = ".pub"
)

// anchorFiles is the order in which the fingerprint covers the anchors.
var anchorFiles = []string{fileTrustedRoot, filePolicy, fileLogKey, fileNotary, fileSponsor, fileCharter}

// maxTrust bounds a trust folder, in bytes over all files.
const maxTrust = 256 << 20

// Trust is a trial's trust folder. It must not be changed once it is used to
// verify.
type Trust struct {
	// LogKeys are the keys of the one log, an Ed25519 key first. Every one must
	// have signed a checkpoint.
	LogKeys []LogKey
	Policy  *Policy
	// Notary signs time marks and as-of lists.
	Notary *trial.PublicKey
	// Sponsor is the key that signed the charter.
	Sponsor *trial.PublicKey
	Charter trial.ID

	anchors   map[string][]byte
	authority []authorityReceipt // in log order
	asOf      *trial.Envelope
	keys      map[trial.KeyID]*trial.PublicKey
}

// authorityReceipt is a receipt of the authority folder; its evidence holds time
// marks alone and may be nil.
type authorityReceipt struct {
	receipt  *Receipt
	evidence *Evidence
}

// NewTrust returns a trust folder that holds anchors alone. The policy must name
// the log's key in its one log line.
func NewTrust(logKey LogKey, policy []byte, notary, sponsor *trial.PublicKey, charter trial.ID) (*Trust, error) {
	if !logKey.IsEd25519() {
		return nil, errors.New("invalid trust: the log's key is not Ed25519")
	}
	return ParseTrust(map[string][]byte{
		fileTrustedRoot: marshalTrustedRoot([]LogKey{logKey}),
		filePolicy:      policy,
		fileLogKey:      []byte(logKey.VKey() + "\n"),
		fileNotary:      notary.PEM(),
		fileSponsor:     sponsor.PEM(),
		fileCharter:     []byte(charter.String() + "\n"),
	})
}

// ParseTrust reads a trust folder from its files, by their paths inside it with
// forward slashes. Anchors must be complete, in their one spelling and agree
// with each other; authority receipts are parsed, and verified with the receipt
// that they prove. Files of other names are ignored.
func ParseTrust(files map[string][]byte) (*Trust, error) {
	total := 0
	for _, b := range files {
		total += len(b)
	}
	if total > maxTrust {
		return nil, fmt.Errorf("invalid trust folder: got %d bytes, want at most %d", total, maxTrust)
	}
	t := &Trust{anchors: map[string][]byte{}, keys: map[trial.KeyID]*trial.PublicKey{}}
	for _, name := range anchorFiles {
		b, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("invalid trust folder: the file %s is missing", name)
		}
		t.anchors[name] = slices.Clone(b)
	}
	if err := t.parseAnchors(); err != nil {
		return nil, fmt.Errorf("invalid trust folder: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.parseFile(name, files); err != nil {
			return nil, fmt.Errorf("invalid trust folder: %s: %w", name, err)
		}
	}
	return t, nil
}

func (t *Trust) parseAnchors() error {
	var err error
	if t.LogKeys, err = parseLogKeys(t.anchors[fileLogKey]); err != nil {
		return fmt.Errorf("%s: %w", fileLogKey, err)
	}
	if err := checkTrustedRoot(t.anchors[fileTrustedRoot], t.LogKeys); err != nil {
		return fmt.Errorf("%s: %w", fileTrustedRoot, err)
	}
	if t.Policy, err = ParsePolicy(t.anchors[filePolicy]); err != nil {
		return fmt.Errorf("%s: %w", filePolicy, err)
	}
	if !sameKeys(t.Policy.Logs(), t.LogKeys) {
		return fmt.Errorf("%s and %s do not name the same log keys", filePolicy, fileLogKey)
	}
	if t.Notary, err = parsePEM(t.anchors[fileNotary]); err != nil {
		return fmt.Errorf("%s: %w", fileNotary, err)
	}
	if t.Sponsor, err = parsePEM(t.anchors[fileSponsor]); err != nil {
		return fmt.Errorf("%s: %w", fileSponsor, err)
	}
	if t.Notary.ID == t.Sponsor.ID {
		return fmt.Errorf("%s and %s are one key", fileNotary, fileSponsor)
	}
	charter := t.anchors[fileCharter]
	text, ok := bytes.CutSuffix(charter, []byte("\n"))
	if !ok {
		return fmt.Errorf("%s: no newline at the end", fileCharter)
	}
	if t.Charter, err = trial.ParseID(string(text)); err != nil {
		return fmt.Errorf("%s: %w", fileCharter, err)
	}
	return nil
}

// parseLogKeys reads one verifier key a line, all of one origin, Ed25519 first.
func parseLogKeys(text []byte) ([]LogKey, error) {
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, errors.New("no newline at the end")
	}
	var keys []LogKey
	for line := range strings.SplitSeq(body, "\n") {
		if len(keys) == maxPolicyDefs {
			return nil, fmt.Errorf("more than %d keys", maxPolicyDefs)
		}
		k, err := ParseLogKey(line)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, checkLogKeys(keys)
}

// checkLogKeys demands different keys of one origin, an Ed25519 key first.
func checkLogKeys(keys []LogKey) error {
	if len(keys) == 0 || !keys[0].IsEd25519() {
		return errors.New("the first log key is not Ed25519")
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if k.Origin() != keys[0].Origin() {
			return fmt.Errorf("got keys of the logs %q and %q, want one log", keys[0].Origin(), k.Origin())
		}
		if seen[string(k.key.key)] {
			return fmt.Errorf("the key %s stands twice", keyText(k.key))
		}
		seen[string(k.key.key)] = true
	}
	return nil
}

func sameKeys(a, b []LogKey) bool {
	spell := func(keys []LogKey) []string {
		var s []string
		for _, k := range keys {
			s = append(s, k.VKey())
		}
		slices.Sort(s)
		return s
	}
	return slices.Equal(spell(a), spell(b))
}

func parsePEM(text []byte) (*trial.PublicKey, error) {
	k, err := trial.ParsePublicKeyPEM(text)
	if err != nil {
		return nil, err
	}
	return k, sameSpelling(k.PEM(), text)
}

// parseFile reads what stands beside the anchors.
func (t *Trust) parseFile(name string, files map[string][]byte) error {
	if name == fileAsOf {
		env, err := trial.ParseAsOfEnvelope(files[name])
		if err != nil {
			return err
		}
		t.asOf = env
		return sameSpelling(env.Marshal(), files[name])
	}
	if id, ok := strings.CutSuffix(name, suffixKey); ok && strings.HasPrefix(name, dirKeys) {
		k, err := parsePEM(files[name])
		if err != nil {
			return err
		}
		if k.ID.String() != id[len(dirKeys):] {
			return fmt.Errorf("holds the key %s", k.ID)
		}
		t.keys[k.ID] = k
		return nil
	}
	if stem, ok := strings.CutSuffix(name, suffixReceipt); ok && strings.HasPrefix(name, dirAuthority) {
		if err := t.AddAuthority(files[name], files[stem+suffixEvidence]); err != nil {
			return err
		}
		if r := t.authority[len(t.authority)-1].receipt; name != authorityFile(r.Index)+suffixReceipt {
			return fmt.Errorf("holds the receipt of index %d, want its name to be %s", r.Index, authorityFile(r.Index)+suffixReceipt)
		}
	}
	return nil
}

// authorityFile returns the path of an authority receipt without its suffix.
func authorityFile(index uint64) string { return fmt.Sprintf("%s%012d", dirAuthority, index) }

// AddAuthority adds the receipt of an authority statement, in log order, with an
// evidence file that holds its time marks, or nil. It verifies nothing.
func (t *Trust) AddAuthority(receipt, evidence []byte) error {
	r, err := Parse(receipt)
	if err != nil {
		return err
	}
	a := authorityReceipt{receipt: r}
	if evidence != nil {
		if a.evidence, err = ParseEvidence(evidence); err != nil {
			return err
		}
		if len(a.evidence.Authority) > 0 || a.evidence.AsOf != nil {
			return errors.New("invalid evidence: an authority receipt's evidence holds time marks alone")
		}
	}
	if n := len(t.authority); n > 0 && r.Index <= t.authority[n-1].receipt.Index {
		return fmt.Errorf("index %d is not above %d: authority receipts come in log order", r.Index, t.authority[n-1].receipt.Index)
	}
	t.authority = append(t.authority, a)
	return nil
}

// SetAsOf sets the notary's signed list of authority statements.
func (t *Trust) SetAsOf(asOf *trial.Envelope) { t.asOf = asOf }

// AddKey adds a public key for stock tools, as keys/KEYID.pub. Verification here
// never reads it.
func (t *Trust) AddKey(k *trial.PublicKey) { t.keys[k.ID] = k }

// Origin returns the name of the log.
func (t *Trust) Origin() string { return t.LogKeys[0].Origin() }

// Files returns the folder's files by their paths inside it, with forward
// slashes.
func (t *Trust) Files() map[string][]byte {
	files := map[string][]byte{}
	for name, b := range t.anchors {
		files[name] = slices.Clone(b)
	}
	for _, a := range t.authority {
		stem := authorityFile(a.receipt.Index)
		files[stem+suffixReceipt] = slices.Clone(a.receipt.raw)
		if a.evidence != nil {
			files[stem+suffixEvidence] = a.evidence.Bytes()
		}
	}
	if t.asOf != nil {
		files[fileAsOf] = t.asOf.Marshal()
	}
	for id, k := range t.keys {
		files[dirKeys+id.String()+suffixKey] = k.PEM()
	}
	return files
}

// Fingerprint returns 64 lowercase hexadecimal characters, to be compared by
// another channel: the SHA-256 of a fixed text, then name and content of each
// anchor file in a fixed order, each behind its length as a big-endian 64-bit
// count of bytes. It covers the anchors alone, so it stays when authority is
// refreshed.
func (t *Trust) Fingerprint() string {
	h := sha256.New()
	h.Write([]byte("trialnotary trust anchors v1\n"))
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, name := range anchorFiles {
		field([]byte(name))
		field(t.anchors[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
