package rules

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trialnotary/trialnotary/trial"
)

//go:embed default.yaml
var defaultPack []byte

// DefaultText returns the bytes of the default pack.
func DefaultText() []byte { return append([]byte(nil), defaultPack...) }

// Default returns the default pack.
var Default = sync.OnceValue(func() *Pack {
	p, err := Parse(defaultPack)
	if err != nil {
		panic(fmt.Sprintf("the embedded pack: %v", err))
	}
	return p
})

// ErrUnknownPack means that a charter names a pack that is not at hand.
var ErrUnknownPack = errors.New("unknown rule pack")

// maxPrograms is how many compiled programs are kept. Most trials share the
// default pack and differ in parameters only by value, so that one serves all.
const maxPrograms = 64

// Packs holds packs by their digest, and what was compiled of them. It may be used
// by many goroutines at once.
type Packs struct {
	byDigest map[string]*Pack
	programs *lru.Cache[[32]byte, *Program]
}

// NewPacks holds the default pack and those given.
func NewPacks(packs ...*Pack) *Packs {
	programs, err := lru.New[[32]byte, *Program](maxPrograms)
	if err != nil {
		panic(err) // the size is a constant above 0
	}
	s := &Packs{map[string]*Pack{Default().Digest: Default()}, programs}
	for _, p := range packs {
		s.byDigest[p.Digest] = p
	}
	return s
}

// Pack returns a pack by its digest.
func (s *Packs) Pack(digest string) (*Pack, error) {
	if p := s.byDigest[digest]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: no pack has the digest %s: the default pack's is %s", ErrUnknownPack, digest, Default().Digest)
}

// Program compiles what a charter names: its pack and its own rules. A charter
// that names no pack is judged by the default pack. An error wraps ErrUnknownPack
// or is an *Error.
func (s *Packs) Program(b *trial.CharterBody) (*Program, error) {
	pack := Default()
	if b.RulePack != "" {
		var err error
		if pack, err = s.Pack(b.RulePack); err != nil {
			return nil, err
		}
	}
	params := b.AllParameters()
	k, err := cacheKey(pack.Digest, b.Rules, params)
	if err != nil {
		return nil, err
	}
	if p, ok := s.programs.Get(k); ok {
		return p, nil
	}
	p, err := Compile(pack, b.Rules, params)
	if err != nil {
		return nil, err
	}
	s.programs.Add(k, p)
	return p, nil
}

// cacheKey names a compiled program: values of parameters do not change it, their
// names do.
func cacheKey(pack string, own []trial.OwnRule, params map[string]int64) ([32]byte, error) {
	names := make(map[string]bool, len(params))
	for n := range params {
		names[n] = true
	}
	text, err := json.Marshal(struct {
		Pack   string
		Own    []trial.OwnRule
		Params map[string]bool
	}{pack, own, names}, json.Deterministic(true))
	if err != nil {
		return [32]byte{}, fmt.Errorf("encoding own rules: %w", err)
	}
	return sha256.Sum256(text), nil
}
