package receipt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/trialnotary/trialnotary/trial"
)

// chain is a trial's authority as trust folder and evidence prove it: who was
// allowed to sign what, replayed in log order.
type chain struct {
	authority *trial.Authority // nil where err says why
	err       error
	// upTo is the log size up to which the notary's signed list says that the
	// authority statements are complete; 0 without a list.
	upTo uint64
	// listErr says why a signed list, or what it lists, is wrong.
	listErr error
	// untimed counts authority statements whose log time is not known.
	untimed int
}

// errNoChain means that nothing proves who was allowed to sign.
var errNoChain = errors.New("neither the trust folder nor the evidence holds the charter's receipt")

// gathered is the verified content of trust folder and evidence together.
type gathered struct {
	authority []*proven // in log order, one a statement: the lowest index counts
	marks     marks
	asOf      []*trial.Envelope
	err       error // an authority receipt that does not verify
	marksErr  error
	// roots holds the root of every tree that a checkpoint or a mark is about;
	// forked tells that one of them has two.
	roots  map[uint64]Hash
	forked error
	chain  *chain
}

// gather verifies every receipt of the trust folder and the evidence.
func (v *Verifier) gather(ev *Evidence) *gathered {
	g := &gathered{}
	var marks []*Receipt
	var authority []*Receipt
	for _, a := range v.trust.authority {
		authority = append(authority, a.receipt)
		if a.evidence != nil {
			marks = append(marks, a.evidence.TimeMarks...)
		}
	}
	if v.trust.asOf != nil {
		g.asOf = append(g.asOf, v.trust.asOf)
	}
	if ev != nil {
		authority = append(authority, ev.Authority...)
		marks = append(marks, ev.TimeMarks...)
		if ev.AsOf != nil {
			g.asOf = append(g.asOf, ev.AsOf)
		}
	}
	g.authority, g.err = proveAll(authority, v.prove, "the authority receipt")
	g.authority = firstOfEach(g.authority)
	g.marks, g.marksErr = proveAll(marks, v.proveMark, "the time mark")
	if g.marksErr == nil {
		g.marksErr = g.marks.checkOrder()
	}
	g.compareRoots()
	g.chain = v.chain(g)
	return g
}

// proveAll verifies receipts and returns them in log order, one an index.
func proveAll(receipts []*Receipt, prove func(*Receipt) (*proven, error), what string) ([]*proven, error) {
	byIndex := map[uint64]*proven{}
	for _, r := range receipts {
		p, err := prove(r)
		if err != nil {
			return nil, fmt.Errorf("%s at index %d: %w", what, r.Index, err)
		}
		if other := byIndex[r.Index]; other != nil && other.leaf != p.leaf {
			return nil, fmt.Errorf("the log has two different entries at index %d: it was forked", r.Index)
		}
		if byIndex[r.Index] == nil {
			byIndex[r.Index] = p
		}
	}
	out := make([]*proven, 0, len(byIndex))
	for _, p := range byIndex {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *proven) int {
		if a.receipt.Index < b.receipt.Index {
			return -1
		}
		return 1
	})
	return out, nil
}

// firstOfEach drops later entries of the same statement: they have no effect.
func firstOfEach(all []*proven) []*proven {
	seen := map[trial.ID]bool{}
	return slices.DeleteFunc(all, func(p *proven) bool {
		dup := seen[p.statement.ID]
		seen[p.statement.ID] = true
		return dup
	})
}

func errForked(size uint64) error {
	return fmt.Errorf("two signed trees of %d entries have different roots: the log was forked", size)
}

// checkForks compares every checkpoint in reach: one size has one root.
func (g *gathered) checkForks(r *Receipt) error {
	if other, ok := g.roots[r.Checkpoint.Size]; ok && other != r.Checkpoint.Root {
		return errForked(r.Checkpoint.Size)
	}
	return g.forked
}

func (g *gathered) compareRoots() {
	g.roots = map[uint64]Hash{}
	for _, p := range slices.Concat(g.authority, g.marks) {
		heads := []trial.TreeHead{{Size: p.receipt.Checkpoint.Size, Root: p.receipt.Checkpoint.Root}}
		if p.mark != nil && p.mark.Size > 0 {
			heads = append(heads, trial.TreeHead{Size: p.mark.Size, Root: p.mark.Root})
		}
		for _, h := range heads {
			if other, ok := g.roots[h.Size]; ok && other != h.Root && g.forked == nil {
				g.forked = errForked(h.Size)
			}
			g.roots[h.Size] = h.Root
		}
	}
}

// key names what a fold depends on.
func (g *gathered) key() [32]byte {
	h := sha256.New()
	var n [8]byte
	for _, p := range g.authority {
		h.Write(p.text[:])
		n = [8]byte{}
		if t := g.marks.time(p.receipt.Index); t != nil {
			binary.BigEndian.PutUint64(n[:], uint64(t.UnixNano()))
		}
		h.Write(n[:])
	}
	for _, e := range g.asOf {
		sum := sha256.Sum256(e.Marshal())
		h.Write(sum[:])
	}
	return [32]byte(h.Sum(nil))
}

// chain folds the authority statements, or remembers that it did.
func (v *Verifier) chain(g *gathered) *chain {
	if g.err != nil {
		return &chain{err: g.err}
	}
	key := g.key()
	if c, ok := v.chains.get(key); ok {
		return c
	}
	c := &chain{}
	if c.authority, c.err = v.fold(g, c); c.err != nil {
		c.authority = nil
	}
	c.listErr = v.checkLists(g, c)
	v.chains.put(key, c)
	return c
}

// fold replays the authority statements in log order.
func (v *Verifier) fold(g *gathered, c *chain) (*trial.Authority, error) {
	if len(g.authority) == 0 {
		return nil, errNoChain
	}
	first := g.authority[0]
	if first.statement.ID != v.trust.Charter {
		return nil, errNoChain
	}
	if first.statement.Predicate.Signer.KeyID != v.trust.Sponsor.ID {
		return nil, errors.New("the charter is not signed by the sponsor's key of the trust folder")
	}
	a, err := trial.NewAuthority(first.statement, first.receipt.Index)
	if err != nil {
		return nil, fmt.Errorf("the charter: %w", err)
	}
	for _, p := range g.authority[1:] {
		if p.statement.Predicate.Charter != v.trust.Charter {
			return nil, fmt.Errorf("the authority statement at index %d is of another trial", p.receipt.Index)
		}
		if err := v.apply(a, g, p, c); err != nil {
			return nil, fmt.Errorf("the authority statement at index %d: %w", p.receipt.Index, err)
		}
	}
	return a, nil
}

// checkLists compares what is held with the notary's signed lists. A statement
// that is listed and not held may be a revocation that someone left out; the
// order shows that each is held at its first index.
func (v *Verifier) checkLists(g *gathered, c *chain) error {
	for _, env := range g.asOf {
		list, err := trial.ParseAsOf(env, v.trust.Notary)
		if err != nil {
			return fmt.Errorf("the list of authority statements: %w", err)
		}
		if list.Charter != v.trust.Charter || list.Origin != v.trust.Origin() {
			return errors.New("the list of authority statements is of another trial or log")
		}
		if err := g.compareList(list); err != nil {
			return err
		}
		c.upTo = max(c.upTo, list.Size)
	}
	return nil
}

func (g *gathered) compareList(list *trial.AsOf) error {
	var held []trial.ID
	for _, p := range g.authority {
		if p.receipt.Checkpoint.Size == list.Size && p.receipt.Checkpoint.Root != list.Root {
			return fmt.Errorf("the list of authority statements is about another tree of %d entries: the log was forked", list.Size)
		}
		if p.receipt.Index < list.Size {
			held = append(held, p.statement.ID)
		}
	}
	if slices.Equal(held, list.Authority) {
		return nil
	}
	for i, id := range list.Authority {
		if !slices.Contains(held, id) {
			return fmt.Errorf("the notary lists %d authority statements up to index %d; number %d, %s, is not held", len(list.Authority), list.Size, i+1, id)
		}
	}
	return fmt.Errorf("the authority statements held below index %d are not those that the notary lists", list.Size)
}
