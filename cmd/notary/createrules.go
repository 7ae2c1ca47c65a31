package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

var packDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// fillRules puts the pack and the sponsor's own rules into a charter and checks
// what it says about rules, as the notary will: a charter that was signed cannot
// be changed.
func (a *app) fillRules(o *createOptions, b *trial.CharterBody) error {
	pack, err := o.pack(b)
	if err != nil {
		return err
	}
	var own *rules.Own
	if o.rules != "" {
		if len(b.Rules) > 0 {
			return errors.New("invalid --rules: the predicate has rules already; want them in one place")
		}
		if own, err = readOwnRules(o.rules); err != nil {
			return err
		}
		b.Rules = own.Rules
	}
	packs := rules.NewPacks()
	if pack != nil {
		packs = rules.NewPacks(pack)
	}
	if _, err := packs.Pack(b.RulePack); err != nil {
		a.notef("warning: the pack %s is not at hand: its file as --rule-pack would let parameters and own rules be checked with it", b.RulePack)
		_, err := rules.Compile(nil, b.Rules, b.AllParameters())
		return atOwnRule(o.rules, own, err)
	}
	if _, err := packs.Program(b); err != nil {
		return atOwnRule(o.rules, own, err)
	}
	if err := packs.Admit(b); err != nil {
		return fmt.Errorf("invalid charter: %w", err)
	}
	return nil
}

// pack names the charter's pack: that of --rule-pack, of the predicate, or else the
// default one. It returns the pack where that was read from a file.
func (o *createOptions) pack(b *trial.CharterBody) (*rules.Pack, error) {
	switch {
	case o.rulePack == "" || o.rulePack == "default":
		if b.RulePack == "" || o.rulePack != "" {
			b.RulePack = rules.Default().Digest
		}
		return nil, nil //nolint:nilnil // none was read
	case packDigest.MatchString(o.rulePack):
		b.RulePack = o.rulePack
		return nil, nil //nolint:nilnil // none was read
	}
	p, err := readPack(o.rulePack)
	if err != nil {
		return nil, fmt.Errorf("invalid --rule-pack: got neither a digest of 64 hexadecimal characters nor a pack: %w", err)
	}
	b.RulePack = p.Digest
	return p, nil
}

func readOwnRules(path string) (*rules.Own, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading --rules: %w", err)
	}
	own, err := rules.ParseOwn(text)
	if err != nil {
		return nil, atLine(path, err)
	}
	return own, nil
}

// atOwnRule names the file and the line of an own rule that does not compile.
func atOwnRule(path string, own *rules.Own, err error) error {
	bad, ok := errors.AsType[*rules.Error](err)
	if !ok || own == nil {
		return err
	}
	own.Locate(bad)
	err = atLine(path, bad)
	if name, ok := strings.CutPrefix(bad.Reason, "undefined field '"); ok {
		// Numbers of an own rule's are known by the charter alone.
		if name = strings.TrimSuffix(name, "'"); usesParam(own.Rules, name) {
			return fmt.Errorf("%w; a parameter of an own rule is given with --param %s=NUMBER", err, name)
		}
	}
	return err
}

func usesParam(own []trial.OwnRule, name string) bool {
	return slices.ContainsFunc(own, func(r trial.OwnRule) bool {
		return strings.Contains(r.Expression+r.Message, "params."+name)
	})
}

// atLine names the file and the line of it that an error about rules is about, as
// editors read it.
func atLine(path string, err error) error {
	if bad, ok := errors.AsType[*rules.Error](err); ok {
		if line := bad.FileLine(); line > 0 {
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}
