package tesseralog

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
)

// TestRefusedAtStart damages a folder of 5 + 3 entries, of which a copy was made
// at 5, in every way that was seen to make Tessera sign a wrong tree, and in
// related ones. Each must be refused by name, and undoing it must be enough.
func TestRefusedAtStart(t *testing.T) {
	tests := map[string]struct {
		do    func(f *fixture, older string)
		kind  any
		parts []string
	}{
		"older copy restored": {
			func(f *fixture, older string) { f.restore(older) },
			new(*LostError), []string{"holds 5 entries", "mark is 8", "3 entries are missing", "restore"}},
		"older copy appended to, same size": {
			func(f *fixture, older string) { f.restore(older); rawAppend(f, f.signer, 3) },
			new(*ConflictError), []string{"first 8 entries", "high-water mark"}},
		"older copy appended to, larger": {
			func(f *fixture, older string) { f.restore(older); rawAppend(f, f.signer, 5) },
			new(*ConflictError), []string{"first 8 entries", "high-water mark"}},
		"new empty log instead": {
			func(f *fixture, _ string) { remake(f) },
			new(*LostError), []string{"holds 0 entries", "8 entries are missing"}},
		"hash tile flipped": {
			func(f *fixture, _ string) { f.damage("tile/0/000.p/8", flip(70)) },
			new(*FileError), []string{"tile/0/000.p/8", "hash 2"}},
		"hash tile truncated": {
			func(f *fixture, _ string) { f.damage("tile/0/000.p/8", cut(1)) },
			new(*FileError), []string{"tile/0/000.p/8", "255 bytes, want 256"}},
		"hash tile missing": {
			func(f *fixture, _ string) { f.remove("tile/0/000.p/8") },
			new(*FileError), []string{"tile/0/000.p/8", "missing"}},
		"entry bundle flipped": {
			func(f *fixture, _ string) { f.damage("tile/entries/000.p/8", flip(-1)) },
			new(*FileError), []string{"tile/entries/000.p/8", "entry 7"}},
		"entry bundle truncated": {
			func(f *fixture, _ string) { f.damage("tile/entries/000.p/8", cut(1)) },
			new(*FileError), []string{"tile/entries/000.p/8", "truncated"}},
		"entry bundle with one more": {
			func(f *fixture, _ string) {
				f.damage("tile/entries/000.p/8", func(b []byte) []byte { return append(b, 0, 0) })
			},
			new(*FileError), []string{"tile/entries/000.p/8", "got 9, want 8"}},
		"entry bundle missing": {
			func(f *fixture, _ string) { f.remove("tile/entries/000.p/8") },
			new(*FileError), []string{"tile/entries/000.p/8", "missing"}},
		"tree state missing": {
			func(f *fixture, _ string) { f.remove(treeStateFile) },
			new(*FileError), []string{treeStateFile, "missing"}},
		"tree state damaged": {
			func(f *fixture, _ string) { f.damage(treeStateFile, cut(3)) },
			new(*FileError), []string{treeStateFile, "damaged"}},
		"tree state from a copy": {
			func(f *fixture, older string) { f.restore(older, treeStateFile) },
			new(*FileError), []string{treeStateFile, "holds 5 entries", "checkpoint of 8"}},
		"tree state and checkpoint from a copy": {
			func(f *fixture, older string) { f.restore(older, treeStateFile, checkpointFile) },
			new(*LostError), []string{"holds 5 entries", "3 entries are missing"}},
		"tree state with another root": {
			func(f *fixture, _ string) { setTreeState(f, 8, [32]byte{1}) },
			new(*FileError), []string{treeStateFile, "damaged", "8 entries"}},
		"tree state beyond the files": {
			func(f *fixture, _ string) { setTreeState(f, 9, [32]byte{1}) },
			new(*FileError), []string{treeStateFile, "counts 9 entries", "tile/0/000.p/9", "missing"}},
		"tree state of nothing": {
			func(f *fixture, _ string) { f.write(treeStateFile, []byte("{}")) },
			new(*FileError), []string{treeStateFile, "no size"}},
		"checkpoint missing": {
			func(f *fixture, _ string) { f.remove(checkpointFile) },
			new(*FileError), []string{checkpointFile, "missing"}},
		"checkpoint damaged": {
			func(f *fixture, _ string) { f.damage(checkpointFile, flip(15)) },
			new(*FileError), []string{checkpointFile, "not signed by"}},
		"checkpoint of another key": {
			func(f *fixture, _ string) { otherCheckpoint(f, origin) },
			new(*FileError), []string{checkpointFile, "not signed by"}},
		"checkpoint of another origin": {
			func(f *fixture, _ string) { otherCheckpoint(f, "other.example") },
			new(*FileError), []string{checkpointFile, "not signed by log.example"}},
		"checkpoint with another root": {
			func(f *fixture, _ string) { signCheckpoint(f, f.signer, origin, 5, [32]byte{1}) },
			new(*ConflictError), []string{"first 5 entries", "published checkpoint"}},
		"mark missing": {
			func(f *fixture, _ string) { f.marks.Set(notary.Mark{}, false) },
			ErrNoMark, []string{"8 entries", "restore the database"}},
		"mark with another root": {
			func(f *fixture, _ string) { f.marks.Set(notary.Mark{Size: 8, Root: [32]byte{1}}, true) },
			new(*ConflictError), []string{"first 8 entries", "high-water mark"}},
		"mark beyond": {
			func(f *fixture, _ string) { f.marks.Set(notary.Mark{Size: 9, Root: [32]byte{1}}, true) },
			new(*LostError), []string{"1 entry is missing"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.fill(5)
			older := f.copyOf()
			f.fill(3)
			newest := f.copyOf()
			mark, _, _ := f.marks.LoadMark(t.Context())

			test.do(f, older)
			f.refused(test.kind, test.parts...)
			f.refused(test.kind, test.parts...) // Refusing must not make it acceptable.

			f.restore(newest)
			f.marks.Set(mark, true)
			f.fill(1)
			fsckPasses(f)
		})
	}
}

// TestOlderDatabase: the mark is behind what was published.
func TestOlderDatabase(t *testing.T) {
	f := newFixture(t)
	f.fill(5)
	older, _, _ := f.marks.LoadMark(t.Context())
	f.fill(3)
	f.marks.Set(older, true)
	f.refused(new(*MarkBehindError), "mark is 5", "checkpoint of 8", "database is older")
}

// TestJointRollback shows what nobody here can see: folder and database restored
// together. Clients that keep the newest checkpoint see it.
func TestJointRollback(t *testing.T) {
	f := newFixture(t)
	f.fill(5)
	older := f.copyOf()
	mark, _, _ := f.marks.LoadMark(t.Context())
	f.fill(3)
	f.restore(older)
	f.marks.Set(mark, true)
	if l := f.open(); l.Size() != 5 {
		t.Errorf("got size %d", l.Size())
	}
}

// TestCheckpointBehind: after a crash between the mark and the checkpoint's file
// the published checkpoint is older. It is published again before Open returns.
func TestCheckpointBehind(t *testing.T) {
	f := newFixture(t)
	f.fill(5)
	older := f.copyOf()
	f.fill(3)
	f.restore(older, checkpointFile)
	if l := f.open(); l.Checkpoint().Size != 8 {
		t.Errorf("got checkpoint of %d entries, want 8", l.Checkpoint().Size)
	}
}

// TestDamagedUpperTiles: tiles above level 0 on the right edge.
func TestDamagedUpperTiles(t *testing.T) {
	f := newFixture(t)
	f.fill(600)
	good := f.copyOf()
	for name, test := range map[string]struct {
		do    func()
		parts []string
	}{
		"flipped":   {func() { f.damage("tile/1/000.p/2", flip(33)) }, []string{"tile/1/000.p/2", "hash 1"}},
		"truncated": {func() { f.damage("tile/1/000.p/2", cut(32)) }, []string{"tile/1/000.p/2", "32 bytes, want 64"}},
		"missing":   {func() { f.remove("tile/1/000.p/2") }, []string{"tile/1/000.p/2", "missing"}},
		"edge":      {func() { f.damage("tile/0/002.p/88", flip(0)) }, []string{"tile/0/002.p/88", "hash 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			f.tb = t
			f.restore(good)
			test.do()
			f.refused(new(*FileError), test.parts...)
		})
	}
	f.tb = t
	f.restore(good)
	f.fill(1)
}

func TestWrongVerifier(t *testing.T) {
	f := newFixture(t)
	_, f.verifier = newKey(t, origin)
	if _, err := Open(t.Context(), f.config()); err == nil {
		t.Error("opened with a verifier of another key")
	}
}

func cut(n int) func([]byte) []byte {
	return func(content []byte) []byte { return content[:len(content)-n] }
}

func setTreeState(f *fixture, size uint64, root [32]byte) {
	tb := f.tb
	tb.Helper()
	raw, err := json.Marshal(map[string]any{"size": size, "root": root[:]})
	if err != nil {
		tb.Fatal(err)
	}
	f.write(treeStateFile, raw)
}

func signCheckpoint(f *fixture, signer note.Signer, name string, size uint64, root [32]byte) {
	tb := f.tb
	tb.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", name, size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		tb.Fatal(err)
	}
	f.write(checkpointFile, signed)
}

func otherCheckpoint(f *fixture, name string) {
	tb := f.tb
	tb.Helper()
	signer, _ := newKey(tb, name)
	mark, _, _ := f.marks.LoadMark(tb.Context())
	signCheckpoint(f, signer, name, mark.Size, mark.Root)
}

func remake(f *fixture) {
	tb := f.tb
	tb.Helper()
	if err := os.RemoveAll(f.dir); err != nil {
		tb.Fatal(err)
	}
	if err := Create(tb.Context(), f.dir, f.signer); err != nil {
		tb.Fatal(err)
	}
}

// rawAppend adds n entries with Tessera alone, which signs without asking.
func rawAppend(f *fixture, signer note.Signer, n int) {
	tb := f.tb
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: f.dir})
	if err != nil {
		tb.Fatal(err)
	}
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(4096, 20*time.Millisecond).WithCheckpointInterval(100*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	futures := make([]tessera.IndexFuture, n)
	for i := range futures {
		futures[i] = appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "forked %d", i)))
	}
	for _, future := range futures {
		if _, err := future(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := shutdown(ctx); err != nil {
		tb.Fatal(err)
	}
}
