package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// largeRecord is about so many files that its payload is none for a row.
func largeRecord(name string) *notary.Record {
	return newRecord(name, func(r *notary.Record) {
		for i := range 200 {
			digest := [32]byte{byte(i), 7}
			copy(digest[2:], name)
			r.Subjects = append(r.Subjects, trial.Subject{Name: fmt.Sprintf("%s-%03d.json", name, i), Digests: trial.SHA256(digest)})
		}
	})
}

// largeStore has a small statement, large ones that are placed and one that is
// not, and is closed.
func largeStore(t *testing.T) (path string, large []*notary.Record) {
	t.Helper()
	s := newStore(t)
	large = []*notary.Record{largeRecord("first"), largeRecord("second"), largeRecord("third")}
	putPlaced(t, s, 0, large[0], newRecord("small"), large[1])
	if _, err := s.Put(t.Context(), large[2:]); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path(), large
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLargePayloads(t *testing.T) {
	path, large := largeStore(t)
	for _, r := range large {
		if bytes.Contains(readFile(t, path), r.Envelope.Payload[:1000]) || !bytes.Contains(readFile(t, path+payloadsSuffix), r.Envelope.Payload) {
			t.Error("a large payload is not where it belongs")
		}
	}
	if b := readFile(t, path+payloadsSuffix); !strings.HasPrefix(string(b), payloadsHeader) || bytes.Contains(b, []byte("small.json")) {
		t.Error("the file of payloads has another header, or a small payload")
	}
	for name, open := range map[string]func(string) (*Store, error){"again": Open, "for reading": OpenReadOnly} {
		s, err := open(path)
		if err != nil {
			t.Fatal(name, err)
		}
		for i, want := range large {
			got, err := s.Get(t.Context(), want.ID)
			if err != nil || !reflect.DeepEqual(got, asRead(want)) {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
			if got, err = s.ByLeaf(t.Context(), want.LeafHash); err != nil || got.ID != want.ID {
				t.Errorf("%s: by leaf: got %v, %v", name, got, err)
			}
			sum, _ := want.Subjects[150].Digests.Get("sha256")
			list, err := s.List(t.Context(), notary.Query{Digest: trial.ID(sum).String(), After: -1, Limit: 2})
			if i < 2 && (err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], asRead(want))) {
				t.Errorf("%s: by digest: got %v, %v", name, list, err)
			}
		}
		if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
			t.Error(name, err)
		}
	}
	s := openStore(t, path)
	// Again, and a new one: nothing is written twice.
	before := len(readFile(t, path+payloadsSuffix))
	fourth := largeRecord("fourth")
	held, err := s.Put(t.Context(), []*notary.Record{largeRecord("first"), fourth, fourth, large[2]})
	if err != nil || len(held) != 3 {
		t.Fatalf("got %d held, %v, want 3", len(held), err)
	}
	if got, want := len(readFile(t, path+payloadsSuffix)), before+inBlocks(len(fourth.Envelope.Payload)); got != want {
		t.Errorf("got a file of %d bytes, want %d", got, want)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSmallPayloadsMakeNoFile: most notaries never see one.
func TestSmallPayloadsMakeNoFile(t *testing.T) {
	s := newStore(t)
	putPlaced(t, s, 0, newRecord("a"), newRecord("b"))
	if _, err := os.Stat(s.Path() + payloadsSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no file", err)
	}
}

// TestPayloadsAreMissed: a file that cannot have what the rows name is refused when
// the store is opened.
func TestPayloadsAreMissed(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	content := readFile(t, name)
	for says, now := range map[string][]byte{
		"is missing":                  nil,
		"is cut short":                content[:payloadsEnd(content, large)-1],
		"an older copy: got 24 bytes": content[:len(payloadsHeader)],
		"is none of payloads":         append([]byte("another file of some sort"), content...),
	} {
		var err error
		if now == nil {
			err = os.Remove(name)
		} else {
			err = os.WriteFile(name, now, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, open := range []func(string) (*Store, error){Open, OpenReadOnly} {
			_, err = open(path)
			if !errors.Is(err, notary.ErrStoreDamaged) || !strings.Contains(err.Error(), "notary.db-payloads: the file "+says) && !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want it to say %q", err, says)
			}
		}
	}
}

// TestPayloadsAreDamaged: what a row names has its hash, or is said by name, by the
// check and by whoever reads it.
func TestPayloadsAreDamaged(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	content := readFile(t, name)
	at := bytes.Index(content, large[1].Envelope.Payload)
	for what, harm := range map[string]func(b []byte){
		"flipped": func(b []byte) { b[at+77] ^= 1 },
		"torn":    func(b []byte) { clear(b[at+4096 : at+8192]) },
	} {
		t.Run(what, func(t *testing.T) {
			b := bytes.Clone(content)
			harm(b)
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, path)
			for _, id := range []trial.ID{large[0].ID, large[2].ID} {
				if _, err := s.Get(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
			says := fmt.Sprintf("notary.db-payloads: statement %s: its payload hashes to", large[1].ID)
			_, err := s.Get(t.Context(), large[1].ID)
			_, listed := s.List(t.Context(), notary.Query{After: -1, Limit: 9})
			for _, err := range []error{err, listed, s.Check(t.Context())} {
				if !errors.Is(err, notary.ErrStoreDamaged) || !strings.Contains(err.Error(), says) {
					t.Errorf("got %v, want it to say %q", err, says)
				}
			}
			if err := s.Err(); err != nil {
				t.Errorf("reading ended the writing: %v", err)
			}
		})
	}
	t.Run("row", func(t *testing.T) {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		execForeign(t, path, "UPDATE statements SET payload_size = 1 << 40 WHERE payload_at > 24")
		if _, err := Open(path); !errors.Is(err, notary.ErrStoreDamaged) {
			t.Errorf("got %v, want ErrStoreDamaged", err)
		}
		execForeign(t, path, "UPDATE statements SET payload_size = 9 WHERE payload_at > 24", "UPDATE statements SET payload_size = -1 WHERE n = 1")
		checkDamaged(t, path, "its payload hashes to", "its row says that it has -1 bytes")
	})
}

// TestWhatNoRowNamesStays: a crash between the payload and its row leaves it, but so
// does an older database beside a newer file.
func TestWhatNoRowNamesStays(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	content := append(readFile(t, name), bytes.Repeat([]byte("newer"), 9000)...)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path)
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("small too")}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, name), content) {
		t.Error("the file changed with nothing to write to it")
	}
	fourth := largeRecord("fourth")
	if _, err := s.Put(t.Context(), []*notary.Record{fourth}); err != nil {
		t.Fatal(err)
	}
	if b := readFile(t, name); !bytes.HasPrefix(b, content) || bytes.Index(b, fourth.Envelope.Payload) != inBlocks(len(content)) {
		t.Error("the next payload is not behind all that was there")
	}
	for _, r := range append(large, fourth) {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHeaderIsTorn: a crash while the file was made.
func TestHeaderIsTorn(t *testing.T) {
	s := newStore(t)
	if err := os.WriteFile(s.Path()+payloadsSuffix, []byte("Trial Not"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := largeRecord("large")
	putPlaced(t, s, 0, large)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := openStore(t, s.Path()).Get(t.Context(), large.ID); err != nil || got.ID != large.ID {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestPayloadsOfFailedWrites: those of a transaction that was rolled back are written
// over, those whose commit failed never, because a crash may find it done; they are
// overwritten once another one was committed.
func TestPayloadsOfFailedWrites(t *testing.T) {
	s := newStore(t)
	name := s.Path() + payloadsSuffix
	putPlaced(t, s, 0, largeRecord("placed"))
	size := s.payloads.end
	broken := newRecord("broken", func(r *notary.Record) { r.LeafHash = [32]byte{} })
	broken.Registry = []string{"nct:1", "nct:2"}
	execForeign(t, s.Path(), "CREATE TRIGGER stop BEFORE INSERT ON registry BEGIN SELECT raise(ABORT, 'stop'); END")
	if _, err := s.Put(t.Context(), []*notary.Record{largeRecord("never"), broken}); err == nil {
		t.Fatal("got no error")
	}
	execForeign(t, s.Path(), "DROP TRIGGER stop")
	if got := len(readFile(t, name)); int64(got) != size || s.payloads.end != size {
		t.Errorf("got a file of %d bytes and an end of %d, want %d", got, s.payloads.end, size)
	}
	// As the commit's error is handled, with the bytes already there.
	unsure := largeRecord("unsure")
	if _, err := s.payloads.append(unsure.Envelope.Payload); err != nil {
		t.Fatal(err)
	}
	if err := s.payloads.sync(); err != nil {
		t.Fatal(err)
	}
	from, to := inBlocks(int(size)), inBlocks(inBlocks(int(size))+len(unsure.Envelope.Payload))
	if b := readFile(t, name); len(b) != to || !bytes.Equal(b[from:from+len(unsure.Envelope.Payload)], unsure.Envelope.Payload) {
		t.Fatalf("got a file of %d bytes, want %d with the payload at %d", len(b), to, from)
	}
	s.payloads.commitFailed()
	after := largeRecord("after")
	putPlaced(t, s, 1, after)
	b := readFile(t, name)
	if at := bytes.Index(b, after.Envelope.Payload); at != to {
		t.Errorf("got the next payload at %d, want it behind what may be a statement's, %d", at, to)
	}
	if !bytes.Equal(b[size:to], make([]byte, to-int(size))) {
		t.Error("what no statement has was not overwritten")
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDropErases: the bytes are gone, also where a crash came between, and whoever
// read the row before finds no statement instead of damage.
func TestDropErases(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	s := openStore(t, path)
	var at place
	row := s.r.QueryRowContext(t.Context(), "SELECT payload_at, payload_size FROM statements WHERE id = ?", large[2].ID[:])
	if err := row.Scan(&at.at, &at.size); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), []trial.ID{large[2].ID}); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(readFile(t, name), []byte("third-150.json")) {
		t.Error("the dropped bytes are still in the file")
	}
	if _, err := s.payloads.load(large[2].ID[:], at); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("got %v, want ErrNoRows", err)
	}
	fourth := largeRecord("fourth")
	if _, err := s.Put(t.Context(), []*notary.Record{fourth}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	// As a crash leaves it before the bytes are overwritten.
	execForeign(t, path, "PRAGMA foreign_keys = ON", "INSERT INTO dropped SELECT payload_at, payload_size FROM statements ORDER BY n DESC LIMIT 1",
		"DELETE FROM statements WHERE n = (SELECT max(n) FROM statements)")
	s = openStore(t, path)
	if !bytes.Contains(readFile(t, name), []byte("fourth-150.json")) {
		t.Fatal("the bytes are not in the file: the test proves nothing")
	}
	fifth := largeRecord("fifth")
	if _, err := s.Put(t.Context(), []*notary.Record{fifth}); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(readFile(t, name), []byte("fourth-150.json")) {
		t.Error("the dropped bytes are still in the file")
	}
	var left int
	if err := s.r.QueryRowContext(t.Context(), "SELECT count(*) FROM dropped").Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d parts to overwrite, %v, want none", left, err)
	}
	for _, r := range []*notary.Record{large[0], large[1], fifth} {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSalvageOfPayloads reads what it can: a statement whose payload is damaged is
// left out and said.
func TestSalvageOfPayloads(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	content := readFile(t, name)
	read := func(want, pending int, problem string) {
		t.Helper()
		from, err := OpenSalvage(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		got := from.Pending(t.Context())
		if from.Statements() != want || len(got) != pending || !strings.Contains(fmt.Sprint(from.Problems), problem) {
			t.Errorf("got %d statements, %d pending, problems %q, want %d, %d and %q", from.Statements(), len(got), from.Problems, want, pending, problem)
		}
		if _, err := from.Find(t.Context(), large[0].LeafHash); err != nil != (want < 3) {
			t.Errorf("the first statement: got %v", err)
		}
	}
	read(4, 1, "[]")
	b := bytes.Clone(content)
	b[payloadsEnd(b, large)-9] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	read(3, 0, large[2].ID.String()+": its payload hashes to")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	read(1, 0, filepath.Base(name)+": no such file")
}
