package receipt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Limits of a policy. The specification recommends at least 32 of each.
const (
	MaxPolicy     = 256 << 10 // bytes
	maxPolicyDefs = 128       // logs, witnesses and groups, each
)

// maxWitnessTime is the last second of the year 9999: later ones cannot be
// written down.
const maxWitnessTime = 253402300799

// quorumNone is the predefined name that asks for no witness.
const quorumNone = "none"

// Policy is a parsed C2SP tlog-policy: the logs that are accepted, and the rule
// which witnesses must have cosigned a checkpoint. In it a witness, and a key,
// counts once only.
type Policy struct {
	logs      []LogKey
	witnesses []witness
	quorum    *quorum // nil for `quorum none`
	text      []byte
}

type witness struct {
	name     string
	key      vkey
	verifier note.Verifier
}

// quorum is a node of the rule: a witness, or k of its members.
type quorum struct {
	witness int // index into Policy.witnesses; -1 for a group
	k       int
	members []*quorum
}

// Logs returns the keys of the policy's log lines.
func (p *Policy) Logs() []LogKey { return p.logs }

// Witnesses returns how many witnesses the policy defines.
func (p *Policy) Witnesses() int { return len(p.witnesses) }

// HasQuorum tells whether cosignatures are demanded: it is false for `quorum
// none`.
func (p *Policy) HasQuorum() bool { return p.quorum != nil }

// Bytes returns the policy's text. It must not be changed.
func (p *Policy) Bytes() []byte { return p.text }

// ParsePolicy reads a policy:
//
//	log notary.example+9c37…
//	witness X1 witness1.example+61a2… https://witness1.example/
//	witness X2 witness2.example+0f55…
//	group X any X1 X2
//	quorum X
//
// It is C2SP tlog-policy with its rules that other parsers leave out: a name is
// a member once only, a key stands once only whatever its name, a reference
// points back, exactly one quorum line. A witness is neither the log's key nor
// the log's name.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("invalid policy: got %d bytes, want at most %d", len(text), MaxPolicy)
	}
	b := policyBuilder{
		policy: Policy{text: slices.Clone(text)},
		names:  map[string]*quorum{}, member: map[string]bool{}, keys: map[string]string{},
	}
	if err := b.parse(string(text)); err != nil {
		return nil, fmt.Errorf("invalid policy: %w", err)
	}
	return &b.policy, nil
}

type policyBuilder struct {
	policy Policy
	names  map[string]*quorum
	member map[string]bool
	keys   map[string]string // raw key → the line that has it
	groups int
	quorum bool
}

func (b *policyBuilder) parse(text string) error {
	for i := range len(text) {
		if c := text[i]; c < 0x20 && c != '\t' && c != '\n' || c == 0x7f {
			return fmt.Errorf("got control character %#02x at byte %d", c, i)
		}
	}
	body, ok := strings.CutSuffix(text, "\n")
	if !ok {
		return errors.New("no newline at the end")
	}
	number := 0
	for line := range strings.SplitSeq(body, "\n") {
		number++
		f := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if err := b.line(f); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if !b.quorum {
		return errors.New("no quorum line; write `quorum none` to ask for no witness")
	}
	return b.checkWitnessNames()
}

func (b *policyBuilder) line(f []string) error {
	switch {
	case f[0] == "log" && (len(f) == 2 || len(f) == 3):
		return b.addLog(f[1])
	case f[0] == "witness" && (len(f) == 3 || len(f) == 4):
		return b.addWitness(f[1], f[2])
	case f[0] == "group" && len(f) >= 4:
		return b.addGroup(f[1], f[2], f[3:])
	case f[0] == "quorum" && len(f) == 2:
		return b.setQuorum(f[1])
	}
	return fmt.Errorf("got %q with %d items, want log, witness, group or quorum", f[0], len(f)-1)
}

func (b *policyBuilder) addLog(text string) error {
	k, err := ParseLogKey(text)
	if err != nil {
		return err
	}
	if len(b.policy.logs) == maxPolicyDefs {
		return fmt.Errorf("more than %d logs", maxPolicyDefs)
	}
	b.policy.logs = append(b.policy.logs, k)
	return b.claimKey(k.key, "a log")
}

// claimKey refuses the same public key under two names: it would count twice.
func (b *policyBuilder) claimKey(k vkey, owner string) error {
	if before, ok := b.keys[string(k.key)]; ok {
		return fmt.Errorf("the key of %s is the key of %s already", owner, before)
	}
	b.keys[string(k.key)] = owner
	return nil
}

func (b *policyBuilder) define(name string, q *quorum) error {
	if name == quorumNone {
		return fmt.Errorf("the name %q is predefined", name)
	}
	if b.names[name] != nil {
		return fmt.Errorf("the name %q is defined twice", name)
	}
	b.names[name] = q
	return nil
}

func (b *policyBuilder) addWitness(name, text string) error {
	k, err := parseVKey(text)
	if err != nil {
		return fmt.Errorf("witness %s: %w", name, err)
	}
	if k.typ == typeEd25519 {
		return fmt.Errorf("witness %s: got the log key type %#02x, want a cosignature type", name, k.typ)
	}
	v, err := k.verifier()
	if err != nil {
		return fmt.Errorf("witness %s: %w", name, err)
	}
	if len(b.policy.witnesses) == maxPolicyDefs {
		return fmt.Errorf("more than %d witnesses", maxPolicyDefs)
	}
	if err := b.claimKey(k, "witness "+name); err != nil {
		return err
	}
	b.policy.witnesses = append(b.policy.witnesses, witness{name: name, key: k, verifier: v})
	return b.define(name, &quorum{witness: len(b.policy.witnesses) - 1})
}

func (b *policyBuilder) addGroup(name, threshold string, members []string) error {
	if b.groups++; b.groups > maxPolicyDefs {
		return fmt.Errorf("more than %d groups", maxPolicyDefs)
	}
	q := &quorum{witness: -1}
	for _, m := range members {
		member := b.names[m]
		if member == nil {
			return fmt.Errorf("group %s: the member %q is not defined above", name, m)
		}
		if b.member[m] {
			return fmt.Errorf("group %s: %q is a member twice", name, m)
		}
		b.member[m] = true
		q.members = append(q.members, member)
	}
	switch threshold {
	case "any":
		q.k = 1
	case "all":
		q.k = len(members)
	default:
		k, err := strconv.ParseUint(threshold, 10, 16)
		if err != nil || strconv.FormatUint(k, 10) != threshold || k < 1 || int(k) > len(members) {
			return fmt.Errorf("group %s: got threshold %q, want any, all or 1 to %d", name, threshold, len(members))
		}
		q.k = int(k)
	}
	return b.define(name, q)
}

func (b *policyBuilder) setQuorum(name string) error {
	if b.quorum {
		return errors.New("a second quorum line")
	}
	b.quorum = true
	if name == quorumNone {
		return nil
	}
	if b.policy.quorum = b.names[name]; b.policy.quorum == nil {
		return fmt.Errorf("the quorum %q is not defined above", name)
	}
	return nil
}

// checkWitnessNames keeps a log's own cosignature from counting as a witness.
func (b *policyBuilder) checkWitnessNames() error {
	for _, w := range b.policy.witnesses {
		for _, l := range b.policy.logs {
			if w.key.name == l.Origin() {
				return fmt.Errorf("witness %s has the name of the log %s", w.name, l.Origin())
			}
		}
	}
	return nil
}

// witnessed is what a policy says of one checkpoint.
type witnessed struct {
	met    bool
	signed []string // the policy's names of those that cosigned
	by     time.Time
}

// judge verifies the cosignatures of a checkpoint. A known witness's line that
// does not verify is an error.
func (p *Policy) judge(n signedNote) (witnessed, error) {
	var w witnessed
	times := make([]uint64, len(p.witnesses)) // 0: did not cosign
	for i := range p.witnesses {
		sig, err := n.verified(p.witnesses[i].verifier)
		if err != nil {
			return w, err
		}
		if len(sig) < 8 {
			continue
		}
		// SPEC: a cosignature is timestamp ‖ signature, the time a big-endian
		// 64-bit count of seconds (C2SP tlog-cosignature).
		t := binary.BigEndian.Uint64(sig)
		if t == 0 || t > maxWitnessTime {
			continue
		}
		times[i] = t
		w.signed = append(w.signed, p.witnesses[i].name)
	}
	if p.quorum == nil {
		w.met = true
		return w, nil
	}
	t := p.quorum.time(times)
	w.met = t != 0
	if w.met {
		w.by = time.Unix(int64(t), 0).UTC()
	}
	return w, nil
}

// time returns the earliest second at which the node was satisfied, 0 if it is
// not: for a group, when the k-th of its members was.
func (q *quorum) time(times []uint64) uint64 {
	if q.witness >= 0 {
		return times[q.witness]
	}
	var got []uint64
	for _, m := range q.members {
		if t := m.time(times); t != 0 {
			got = append(got, t)
		}
	}
	if len(got) < q.k {
		return 0
	}
	slices.Sort(got)
	return got[q.k-1]
}
