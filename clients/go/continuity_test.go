package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// testLog is a tree in memory with its tiles and a signer: what a log is to a
// client.
type testLog struct {
	t      testing.TB
	origin string
	signer note.Signer
	vkey   string
	hashes []tlog.Hash
	size   int64
}

func newTestLog(tb testing.TB, origin string) *testLog {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	return &testLog{t: tb, origin: origin, signer: signer, vkey: vkey}
}

func (l *testLog) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			if n >= int64(len(l.hashes)) {
				return nil, errors.New("beyond the tree")
			}
			out[i] = l.hashes[n]
		}
		return out, nil
	})
}

func (l *testLog) add(entries ...string) {
	l.t.Helper()
	for _, e := range entries {
		h, err := tlog.StoredHashes(l.size, []byte(e), l.reader())
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
		l.size++
	}
}

// grow adds entries until the tree has size of them.
func (l *testLog) grow(size int64, what string) {
	l.t.Helper()
	for l.size < size {
		l.add(fmt.Sprintf("%s %d", what, l.size))
	}
}

func (l *testLog) checkpoint() receipt.Checkpoint {
	l.t.Helper()
	root, err := tlog.TreeHash(l.size, l.reader())
	if err != nil {
		l.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", l.origin, l.size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return receipt.Checkpoint{Origin: l.origin, Size: uint64(l.size), Root: receipt.Hash(root), Note: signed}
}

// ServeHTTP serves C2SP hash tiles; a full tile replaces its partial ones.
func (l *testLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/tile/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	tile, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, path))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	full := tile
	full.W = 1 << tileHeight
	if _, err := tlog.ReadTileData(full, l.reader()); tile.W < full.W && (tile.N+1)<<(tileHeight*(tile.L+1)) <= l.size && err == nil {
		http.NotFound(w, r)
		return
	}
	data, err := tlog.ReadTileData(tile, l.reader())
	if err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

// watcher is a client that only watches a log.
func watcher(t *testing.T, state *State, tiles string) *Client {
	t.Helper()
	c, err := Dial("127.0.0.1:1", Options{Insecure: true, State: state, Tiles: tiles})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *Client) mustObserve(t *testing.T, cp, newest receipt.Checkpoint, want Continuity) {
	t.Helper()
	floor, err := c.seen.floor(cp.Origin)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.observe(context.Background(), cp, floor, func(context.Context) (receipt.Checkpoint, error) { return newest, nil })
	if err != nil || got != want {
		t.Fatalf("size %d: got %q, %v, want %q", cp.Size, got, err, want)
	}
}

func (c *Client) mustRefuse(t *testing.T, cp, newest receipt.Checkpoint, want error) string {
	t.Helper()
	floor, err := c.seen.floor(cp.Origin)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.observe(context.Background(), cp, floor, func(context.Context) (receipt.Checkpoint, error) { return newest, nil })
	if !errors.Is(err, want) {
		t.Fatalf("size %d: got %v, want %v", cp.Size, err, want)
	}
	return err.Error()
}

func TestContinuityIsProvenFromTiles(t *testing.T) {
	log := newTestLog(t, "log.example")
	srv := httptest.NewServer(log)
	defer srv.Close()
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := watcher(t, state, srv.URL+"/")
	log.grow(3, "a")
	first := log.checkpoint()
	c.mustObserve(t, first, first, ContinuityFirst)
	c.mustObserve(t, first, first, ContinuitySame)
	for _, size := range []int64{4, 255, 256, 257, 700, 70_000} {
		log.grow(size, "a")
		cp := log.checkpoint()
		c.mustObserve(t, cp, cp, ContinuityProven)
	}
	// An answer that others overtook.
	c.mustObserve(t, first, log.checkpoint(), ContinuityProven)
	// A restart: what was seen is in the folder.
	again := watcher(t, state, srv.URL)
	again.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuitySame)
	cp, ok, err := state.Checkpoint("log.example")
	if err != nil || !ok || cp.Size != 70_000 {
		t.Errorf("stored: got size %d, %v, %v, want 70000", cp.Size, ok, err)
	}
}

func TestRolledBackLogIsRefused(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(5, "a")
	old := log.checkpoint()
	log.grow(9, "a")
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := watcher(t, state, "")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
	for _, w := range []*Client{c, watcher(t, state, "")} {
		msg := w.mustRefuse(t, old, old, ErrRolledBack)
		if want := "log.example now has 5 entries and had 9 before: 4 are lost"; !strings.Contains(msg, want) {
			t.Errorf("got %q, want %q", msg, want)
		}
	}
	// The largest one stays: the next run refuses it too.
	if cp, _, _ := state.Checkpoint("log.example"); cp.Size != 9 {
		t.Errorf("stored: got size %d, want 9", cp.Size)
	}
}

// A checkpoint that was the largest once is no excuse later: only an answer that
// was on its way then may come under it.
func TestOldCheckpointIsNoExcuse(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(5, "a")
	old := log.checkpoint()
	c := watcher(t, nil, "")
	c.mustObserve(t, old, old, ContinuityFirst)
	floor, err := c.seen.floor(old.Origin)
	if err != nil {
		t.Fatal(err)
	}
	log.grow(9, "a")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityUnproven)
	got, err := c.observe(context.Background(), old, floor, func(context.Context) (receipt.Checkpoint, error) {
		return old, errors.New("asked for nothing")
	})
	if err != nil || got != ContinuityUnproven {
		t.Errorf("overtaken: got %q, %v, want it taken", got, err)
	}
	c.mustRefuse(t, old, old, ErrRolledBack)
}

func TestForkedLogIsRefused(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(300, "a")
	seen := log.checkpoint()
	fork := &testLog{t: t, origin: log.origin, signer: log.signer}
	fork.grow(299, "a")
	fork.grow(300, "b")
	srv := httptest.NewServer(fork)
	defer srv.Close()
	c := watcher(t, nil, srv.URL)
	c.mustObserve(t, seen, seen, ContinuityFirst)
	c.mustRefuse(t, fork.checkpoint(), fork.checkpoint(), ErrForked)
	fork.grow(600, "b")
	c.mustRefuse(t, fork.checkpoint(), fork.checkpoint(), ErrForked)
	// An older answer of the other history.
	early := &testLog{t: t, origin: log.origin, signer: log.signer}
	early.grow(100, "b")
	good := httptest.NewServer(log)
	defer good.Close()
	c = watcher(t, nil, good.URL)
	c.mustObserve(t, seen, seen, ContinuityFirst)
	c.mustRefuse(t, early.checkpoint(), seen, ErrForked)
}

// What was taken on the log's word alone is proven once its files are readable;
// a history that was thrown away meanwhile comes to light.
func TestUnprovenIsCaughtUp(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(10, "a")
	broken := atomic.Bool{}
	broken.Store(true)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		log.ServeHTTP(w, r)
	}))
	defer srv.Close()
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := watcher(t, state, srv.URL)
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
	lost := &testLog{t: t, origin: log.origin, signer: log.signer}
	lost.grow(10, "a")
	lost.grow(20, "lost")
	c.mustObserve(t, lost.checkpoint(), lost.checkpoint(), ContinuityUnproven)
	w := watcher(t, state, srv.URL)
	w.mustObserve(t, lost.checkpoint(), lost.checkpoint(), ContinuityUnproven)
	broken.Store(false)
	log.grow(30, "a")
	watcher(t, state, srv.URL).mustRefuse(t, log.checkpoint(), log.checkpoint(), ErrForked)
}

// The largest checkpoint itself is proven later, without a newer one.
func TestLargestIsProvenLater(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(10, "a")
	srv := httptest.NewServer(log)
	defer srv.Close()
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := watcher(t, state, "")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
	log.grow(20, "a")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityUnproven)
	c = watcher(t, state, srv.URL)
	for range 2 {
		c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuitySame)
	}
}

// The token goes to the API's own host and to no other.
func TestTokenStaysAtHome(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(10, "a")
	got := make(chan string, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Authorization")
		log.ServeHTTP(w, r)
	}))
	defer srv.Close()
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, []byte("secret\n"))
	for addr, want := range map[string]string{"127.0.0.1:1": "Bearer secret", "localhost:1": ""} {
		c, err := Dial(addr, Options{Insecure: true, Tiles: srv.URL, TokenFile: token})
		must(t, err)
		c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
		log.grow(log.size+1, "a")
		c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityProven)
		if header := <-got; header != want {
			t.Errorf("%s: got %q, want %q", addr, header, want)
		}
		for len(got) > 0 {
			<-got
		}
		must(t, c.Close())
	}
}

func TestTilesOfAnotherLogProveNothing(t *testing.T) {
	log, other := newTestLog(t, "log.example"), newTestLog(t, "other.example")
	log.grow(10, "a")
	other.grow(20, "b")
	srv := httptest.NewServer(other)
	defer srv.Close()
	c := watcher(t, nil, srv.URL)
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
	log.grow(20, "a")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityUnproven)
}

// A damaged file must never count as "nothing seen": that would forget the
// high-water mark.
func TestDamagedCheckpointFileIsAnError(t *testing.T) {
	log := newTestLog(t, "log.example")
	log.grow(10, "a")
	dir := t.TempDir()
	state, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := watcher(t, state, "")
	c.mustObserve(t, log.checkpoint(), log.checkpoint(), ContinuityFirst)
	path := filepath.Join(dir, "checkpoints", "log.example")
	for what, content := range map[string]string{
		"empty": "", "text": "hello\n", "cut": string(log.checkpoint().Note[:20]),
		"other origin": string(func() []byte { o := newTestLog(t, "b.example"); o.grow(1, "x"); return o.checkpoint().Note }()),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		log.grow(log.size+1, "a")
		_, err := watcher(t, state, "").observe(context.Background(), log.checkpoint(), 0, nil)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names %s", what, err, path)
		}
	}
}

func TestOriginThatIsNoFileName(t *testing.T) {
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"", "..", "a/b", ".hidden", "a b", strings.Repeat("a", 300)} {
		if _, _, err := state.Checkpoint(origin); err == nil {
			t.Errorf("%q: got no error, want one", origin)
		}
	}
}
