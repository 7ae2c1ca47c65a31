package notary

import (
	"crypto/fips140"
	"sync"

	"github.com/trialnotary/trialnotary/notary/p256"
	"github.com/trialnotary/trialnotary/trial"
)

const (
	// tableAfter is how many good signatures of a key are verified before its
	// table is made. A table takes as long as it saves on 25 signatures; were no
	// key to come again after its table was made, each signature would have cost a
	// quarter more.
	tableAfter = 64
	// maxTables bounds the memory of tables: 14 MiB.
	maxTables = 64
	// idleAfter is how many signatures of others are verified before a table
	// gives way to another key's. Where more keys than maxTables sign in turns,
	// those that have a table keep it, instead of all making theirs again and
	// again.
	idleAfter = 1 << 14
	// maxCounted bounds the keys without a table whose signatures are counted.
	maxCounted = 4096
)

// signatures verifies the signatures of statements that are submitted, and does
// it in half the time under keys that sign often: a site's system, an EDC
// vendor. It is safe for concurrent use, and its zero value is ready.
//
// Why a faster check cannot change what is promised:
//   - It admits only. Whoever verifies a receipt, and the full check of the
//     notary itself, uses crypto/ecdsa alone.
//   - What a table refuses is judged again by crypto/ecdsa, whose answer is the
//     caller's. No good statement is lost.
//   - What decides who may sign is verified by crypto/ecdsa alone.
//   - A table must agree with crypto/ecdsa on the signature for which it was made
//     and refuse it for another digest. When it does not, or refuses a good
//     signature later, the memory or the processor is not to be trusted: no
//     table is used again until the service is opened anew.
//   - In FIPS 140-3 mode there are no tables: they are not of the validated module.
//
// A table belongs to a key's bytes, not to its standing: whether the key may sign
// in this trial, now, is judged elsewhere and each time.
type signatures struct {
	// mu guards all below. It is held for a few map accesses, never for a
	// verification or while a table is made.
	mu sync.Mutex
	// verified counts the signatures that came: the clock of signer.used.
	verified uint64
	// tables has one for each key that signed often, at most maxTables. It is nil
	// before the first and when distrusted.
	tables map[trial.KeyID]*signerTable
	// counted has the good signatures of keys without a table. It is emptied when
	// it has maxCounted of them, so that only keys that sign often get far.
	counted    map[trial.KeyID]int
	distrusted bool
}

// signerTable is a place for a key's table: nil while one goroutine makes it,
// and others go on without it.
type signerTable struct {
	table *p256.Table
	used  uint64
}

// verify checks the signature of a statement as trial.Envelope.Verify does, with
// the same result.
func (m *signatures) verify(env *trial.Envelope, st *trial.Statement, key *trial.PublicKey) error {
	if k := st.Predicate.Kind; k.Folded() || k == trial.KindEndorsement {
		return env.Verify(key)
	}
	digest := env.Digest()
	table := m.table(key.ID)
	if table != nil && env.HintFits(key) && table.Verify(digest[:], env.Sig) {
		return nil
	}
	if err := env.Verify(key); err != nil {
		return err
	}
	if table != nil {
		m.distrust()
		return nil
	}
	if place := m.count(key.ID); place != nil {
		t, err := p256.NewTable(key.Key)
		m.settle(place, t, err, digest, env.Sig)
	}
	return nil
}

func (m *signatures) table(id trial.KeyID) *p256.Table {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verified++
	s := m.tables[id]
	if s == nil {
		return nil
	}
	s.used = m.verified
	return s.table
}

// count counts a good signature of a key that has no table. It returns the place
// for one that the caller has to make, or nil.
func (m *signatures) count(id trial.KeyID) *signerTable {
	if fips140.Enabled() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.distrusted || m.tables[id] != nil {
		return nil
	}
	n := m.counted[id] + 1
	if n < tableAfter {
		if m.counted == nil || n == 1 && len(m.counted) >= maxCounted {
			m.counted = map[trial.KeyID]int{}
		}
		m.counted[id] = n
		return nil
	}
	delete(m.counted, id) // without room it begins anew
	if !m.makeRoom() {
		return nil
	}
	if m.tables == nil {
		m.tables = map[trial.KeyID]*signerTable{}
	}
	s := &signerTable{used: m.verified}
	m.tables[id] = s
	return s
}

// makeRoom forgets the table that was not used for the longest time, if it is
// full and that one is idle. The caller holds mu.
func (m *signatures) makeRoom() bool {
	if len(m.tables) < maxTables {
		return true
	}
	var oldest trial.KeyID
	used := m.verified
	for id, s := range m.tables {
		if s.used <= used {
			oldest, used = id, s.used
		}
	}
	if m.verified-used < idleAfter {
		return false
	}
	delete(m.tables, oldest)
	return true
}

// settle puts a new table into its place, if it agrees with crypto/ecdsa, which
// found the signature good.
func (m *signatures) settle(place *signerTable, t *p256.Table, err error, digest [32]byte, sig []byte) {
	if err != nil || !t.Verify(digest[:], sig) {
		m.distrust()
		return
	}
	digest[0] ^= 1
	if t.Verify(digest[:], sig) {
		m.distrust()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	place.table = t
}

// distrust forgets every table, for good.
func (m *signatures) distrust() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.distrusted = true
	m.tables, m.counted = nil, nil
}

func (m *signatures) distrusts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.distrusted
}
