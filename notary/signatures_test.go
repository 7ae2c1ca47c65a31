package notary

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary/p256"
	"github.com/trialnotary/trialnotary/trial"
)

// signing is a key that signs payloads.
type signing struct {
	tb  testing.TB
	key *trial.PublicKey
	n   uint64

	priv *ecdsa.PrivateKey
}

func newSigning(tb testing.TB) *signing {
	tb.Helper()
	if fips140.Enabled() {
		tb.Skip("in FIPS 140-3 mode there are no tables")
	}
	priv, err := trial.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	key, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return &signing{tb: tb, key: key, priv: priv}
}

// next is an envelope over a payload of its own.
func (s *signing) next() *trial.Envelope {
	s.tb.Helper()
	s.n++
	env, err := trial.Sign(s.priv, binary.BigEndian.AppendUint64(nil, s.n))
	if err != nil {
		s.tb.Fatal(err)
	}
	return env
}

// dataset is a statement as far as verify reads it.
var dataset = &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindDataset}}

// accept verifies n good signatures.
func (s *signing) accept(m *signatures, n int) {
	s.tb.Helper()
	for range n {
		if err := m.verify(s.next(), dataset, s.key); err != nil {
			s.tb.Fatalf("a good signature is refused: %v", err)
		}
	}
}

// refuse verifies bad signatures and demands that they are refused as the library
// refuses them.
func (s *signing) refuse(m *signatures) {
	s.tb.Helper()
	other := s.next()
	digest, sig, hint := s.next(), s.next(), s.next()
	digest.Payload = other.Payload
	sig.Sig = slices.Clone(sig.Sig)
	sig.Sig[len(sig.Sig)-1] ^= 1
	hint.KeyID = trial.KeyID{1}.String()
	for name, env := range map[string]*trial.Envelope{"payload": digest, "signature": sig, "hint": hint} {
		err, want := m.verify(env, dataset, s.key), env.Verify(s.key)
		var got, library *trial.Refusal
		if !errors.As(err, &got) || !errors.As(want, &library) || *got != *library || got.Reason != trial.ReasonBadSignature {
			s.tb.Errorf("another %s: got %v, want %v", name, err, want)
		}
	}
}

func TestATableIsMadeForAKeyThatSignsOften(t *testing.T) {
	var m signatures
	s := newSigning(t)
	s.accept(&m, tableAfter-1)
	for range tableAfter {
		s.refuse(&m)
	}
	if m.table(s.key.ID) != nil {
		t.Fatalf("there is a table after %d good signatures and some bad ones", tableAfter-1)
	}
	s.accept(&m, 1)
	table := m.table(s.key.ID)
	if table == nil {
		t.Fatalf("there is no table after %d good signatures", tableAfter)
	}
	s.accept(&m, 10)
	s.refuse(&m)
	if m.table(s.key.ID) != table || m.distrusts() {
		t.Error("the table was not kept")
	}
	if len(m.counted) != 0 {
		t.Errorf("%d keys with a table are counted on", len(m.counted))
	}
	env := s.next()
	env.KeyID = ""
	if err := m.verify(env, dataset, s.key); err != nil {
		t.Errorf("without a hint: %v", err)
	}
}

// TestAuthorityIsVerifiedByTheLibrary gives a key the table of another one: what
// never asks the table cannot find out.
func TestAuthorityIsVerifiedByTheLibrary(t *testing.T) {
	s := newSigning(t)
	for _, k := range trial.Kinds() {
		m := withTable(t, s.key.ID, newSigning(t).key)
		err := m.verify(s.next(), &trial.Statement{Predicate: trial.Predicate{Kind: k}}, s.key)
		if err != nil {
			t.Errorf("%s: %v", k, err)
		}
		authority := k.Authority() || k == trial.KindRegistration || k == trial.KindEndorsement
		if asked := m.distrusts(); asked == authority {
			t.Errorf("%s: the table was asked: %t", k, asked)
		}
	}
}

// withTable has a table for a key, right or wrong.
func withTable(t *testing.T, id trial.KeyID, of *trial.PublicKey) *signatures {
	t.Helper()
	table, err := p256.NewTable(of.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &signatures{tables: map[trial.KeyID]*signerTable{id: {table: table}}}
}

// TestAWrongTableLosesNothing damages tables, as a machine with bad memory would.
func TestAWrongTableLosesNothing(t *testing.T) {
	s, other := newSigning(t), newSigning(t)
	for name, m := range map[string]*signatures{
		"of another key": withTable(t, s.key.ID, other.key),
		"of zeros":       {tables: map[trial.KeyID]*signerTable{s.key.ID: {table: new(p256.Table)}}},
	} {
		s.refuse(m)
		if m.distrusts() {
			t.Errorf("%s: a bad signature proves nothing against a table", name)
		}
		s.accept(m, 1)
		if !m.distrusts() {
			t.Errorf("%s: the table refused a good signature and is trusted on", name)
		}
		s.accept(m, 2*tableAfter)
		other.accept(m, 2*tableAfter)
		s.refuse(m)
		if m.tables != nil || m.counted != nil {
			t.Errorf("%s: tables are made again", name)
		}
	}
}

func TestHealthTellsOfAWrongTable(t *testing.T) {
	var s Service
	if c := s.receiptsCondition(); !c.OK || strings.Contains(c.Detail, "crypto/ecdsa") {
		t.Errorf("nothing is wrong: got %+v", c)
	}
	s.signatures.distrust()
	if c := s.receiptsCondition(); !c.OK || !strings.Contains(c.Detail, "crypto/ecdsa") {
		t.Errorf("a table was wrong: got %+v", c)
	}
}

func TestAWrongTableIsNotPutInPlace(t *testing.T) {
	s := newSigning(t)
	env := s.next()
	for name, wrong := range map[string]*p256.Table{"of zeros": {}, "none": nil} {
		var m signatures
		for range tableAfter - 1 {
			m.count(s.key.ID)
		}
		place := m.count(s.key.ID)
		if place == nil {
			t.Fatal("no table is to be made")
		}
		var err error
		if wrong == nil {
			wrong, err = p256.NewTable(&ecdsa.PublicKey{Curve: elliptic.P384()})
		}
		m.settle(place, wrong, err, env.Digest(), env.Sig)
		if !m.distrusts() || place.table != nil || m.table(s.key.ID) != nil {
			t.Errorf("%s: a wrong table is in use", name)
		}
	}
}

// earn counts signatures of a key until it gets a place for a table, or not.
func earn(m *signatures, id trial.KeyID) bool {
	for range tableAfter - 1 {
		m.count(id)
	}
	return m.count(id) != nil
}

func TestTablesAreBounded(t *testing.T) {
	newSigning(t) // skips where there are none
	var m signatures
	id := func(n int) (id trial.KeyID) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	for n := range maxTables {
		m.table(id(n))
		if !earn(&m, id(n)) {
			t.Fatalf("key %d gets no table", n)
		}
	}
	if earn(&m, id(maxTables)) {
		t.Fatal("a table that was just used gave way")
	}
	for range idleAfter {
		m.table(id(0))
	}
	m.table(id(1))
	if !earn(&m, id(maxTables)) || len(m.tables) != maxTables {
		t.Fatalf("no idle table gave way, of %d", len(m.tables))
	}
	for n, want := range map[int]bool{0: true, 1: true, 2: false, 3: true, maxTables: true} {
		if _, got := m.tables[id(n)]; got != want {
			t.Errorf("key %d: has a table: %t, want %t", n, got, want)
		}
	}
	for n := range 3 * maxCounted {
		m.count(id(1000 + n))
		if len(m.counted) > maxCounted {
			t.Fatalf("%d keys are counted", len(m.counted))
		}
	}
}

// TestOneTableForManyCallers lets many verify at once, good signatures and bad
// ones, while the tables are made.
func TestOneTableForManyCallers(t *testing.T) {
	var m signatures
	keys := []*signing{newSigning(t), newSigning(t), newSigning(t)}
	var all sync.WaitGroup
	for _, s := range keys {
		var good []*trial.Envelope
		for range 3 * tableAfter {
			good = append(good, s.next())
		}
		bad := s.next()
		bad.Payload = good[0].Payload
		for i := range 4 {
			all.Go(func() {
				for j := i; j < len(good); j += 4 {
					if err := m.verify(good[j], dataset, s.key); err != nil {
						t.Error(err)
					}
					if err := m.verify(bad, dataset, s.key); err == nil {
						t.Error("a bad signature is accepted")
					}
				}
			})
		}
	}
	all.Wait()
	for _, s := range keys {
		if m.table(s.key.ID) == nil {
			t.Error("a key that signed often has no table")
		}
	}
	if m.distrusts() || len(m.counted) != 0 {
		t.Errorf("distrusts: %t, %d keys counted", m.distrusts(), len(m.counted))
	}
}
