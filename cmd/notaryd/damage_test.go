package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"go.uber.org/zap"

	client "github.com/trialnotary/trialnotary/clients/go"
)

// relic is a notary's folder at two moments, with the second mark on a volume of
// its own, and what a client remembers of it.
//
//	newest/n  newest/mark   as it was left
//	older/n   older/mark    an earlier copy
//	crashed/n               the newest one while its server ran: with a write-ahead log
type relic struct {
	dir         string
	story       *story
	older, size uint64 // entries
	receipts    string
}

// withMark and withoutMark are a relic's configurations.
const withMark, withoutMark = "store: {markPath: ../mark/high-water}\n", ""

// newRelic runs a notary and copies it, after so many statements and so many more.
func newRelic(t *testing.T, first, more int) *relic {
	t.Helper()
	s := trialForLoad(t)
	ctx := context.WithoutCancel(t.Context())
	r := &relic{dir: t.TempDir(), receipts: t.TempDir(), story: s}
	if err := os.MkdirAll(filepath.Join(filepath.Dir(s.dir), "mark"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.config.Store.MarkPath = filepath.Join(filepath.Dir(s.dir), "mark", "high-water")
	config := filepath.Join(s.dir, "notaryd.yaml")
	writeFile(t, config, fmt.Appendf(nil, "origin: %s\nlisten: {grpc: 127.0.0.1:0, http: 127.0.0.1:0}\nlimits: {minFreeBytes: 1048576}\n%s", s.config.Origin, withMark))
	if code, _, stderr := notaryd(t, "mark", "create", "--config", config); code != exitOK {
		t.Fatal(stderr)
	}
	grow := func(n int, copies ...string) uint64 {
		if err := s.serve(ctx); err != nil {
			t.Fatal(err)
		}
		// Twice, so that the mark moves by more than a step, which a crash may
		// leave between its two copies.
		s.submitMany(t, n-1, r.receipts)
		s.submitMany(t, 1, r.receipts)
		size := s.server.parts.log.Size()
		for _, name := range copies {
			copyTree(t, filepath.Dir(s.dir), filepath.Join(r.dir, name))
		}
		if err := errors.Join(s.closeClients(), s.stop(ctx)); err != nil {
			t.Fatal(err)
		}
		return size
	}
	r.older = grow(first)
	copyTree(t, filepath.Dir(s.dir), filepath.Join(r.dir, "older"))
	r.size = grow(more, "crashed")
	copyTree(t, filepath.Dir(s.dir), filepath.Join(r.dir, "newest"))
	return r
}

// submitMany submits datasets from many callers and keeps their receipts.
func (s *story) submitMany(t *testing.T, n int, dir string) {
	t.Helper()
	if err := s.dial("site-" + siteNorth); err != nil {
		t.Fatal(err)
	}
	c, who := s.clients["site-"+siteNorth], s.people["coordinator-"+siteNorth]
	var wait sync.WaitGroup
	for i := range n {
		files := 1
		if i == 1 {
			files = manyFiles
		}
		env := s.signFiles(t, who, fmt.Sprint(dir, "/", n, "/", i), files)
		wait.Go(func() {
			r, err := c.Submit(t.Context(), s.trust, env)
			if err != nil {
				t.Errorf("submitting: %v", err)
				return
			}
			name := filepath.Join(dir, fmt.Sprint("vs-", r.Index))
			writeFile(t, name+client.ReceiptSuffix, r.Bundle)
			writeFile(t, name+client.EvidenceSuffix, r.Evidence)
		})
	}
	wait.Wait()
}

// patient is a copy of a relic that is damaged and mended.
type patient struct {
	*relic
	t      *testing.T
	dir    string // holds n and mark
	config string
}

func (r *relic) patient(t *testing.T, from, mark string) *patient {
	t.Helper()
	p := &patient{relic: r, t: t, dir: t.TempDir()}
	copyTree(t, filepath.Join(r.dir, from), p.dir)
	p.config = p.path("notaryd.yaml")
	text := strings.ReplaceAll(string(readFile(t, p.config)), withMark, mark)
	writeFile(t, p.config, []byte(text))
	return p
}

func (p *patient) path(name string) string { return filepath.Join(p.dir, "n", name) }

// alter changes a file of the notary's folder.
func (p *patient) alter(name string, change func([]byte) []byte) {
	p.t.Helper()
	writeFile(p.t, p.path(name), change(readFile(p.t, p.path(name))))
}

// put replaces files or folders by those of another moment.
func (p *patient) put(from string, names ...string) {
	p.t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(p.path(name)); err != nil {
			p.t.Fatal(err)
		}
		copyTree(p.t, filepath.Join(p.relic.dir, from, "n", name), p.path(name))
	}
}

// sql changes rows behind the notary's back.
func (p *patient) sql(query string) {
	p.t.Helper()
	db, err := sql.Open("sqlite", p.path("notary.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	result, err := db.ExecContext(p.t.Context(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		p.t.Fatalf("%s: changed %d rows, %v", query, n, err)
	}
	if err := db.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// page overwrites the start of a table's or an index's first page.
func (p *patient) page(name string) {
	p.t.Helper()
	db, err := sql.Open("sqlite", p.path("notary.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	var number int
	err = db.QueryRowContext(p.t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = ?", name).Scan(&number)
	if err := errors.Join(err, db.Close()); err != nil {
		p.t.Fatal(err)
	}
	p.alter("notary.db", func(b []byte) []byte {
		size := int(binary.BigEndian.Uint16(b[16:]))
		copy(b[(number-1)*size:], bytes.Repeat([]byte{0xee}, 64))
		return b
	})
}

// pageOf overwrites the start of the page that holds a statement's signature.
func (p *patient) pageOf(n int) {
	p.t.Helper()
	db, err := sql.Open("sqlite", p.path("notary.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	var sig []byte
	err = db.QueryRowContext(p.t.Context(), "SELECT sig FROM statements WHERE n = ?", n).Scan(&sig)
	if err := errors.Join(err, db.Close()); err != nil {
		p.t.Fatal(err)
	}
	p.alter("notary.db", func(b []byte) []byte {
		size := int(binary.BigEndian.Uint16(b[16:]))
		page := bytes.LastIndex(b, sig) / size
		copy(b[page*size:], bytes.Repeat([]byte{0xee}, 64))
		return b
	})
}

// check runs `notaryd check` and returns what it says of the damage, or "".
func (p *patient) check() string {
	p.t.Helper()
	code, stdout, stderr := notaryd(p.t, "check", "--config", p.config)
	switch code {
	case exitOK:
		return ""
	case exitRefused:
		return stderr
	}
	p.t.Fatalf("check: exit status %d: %s%s", code, stdout, stderr)
	return ""
}

// twin returns the story of the patient's folder, to serve it.
func (p *patient) twin() *story {
	p.t.Helper()
	c, err := LoadConfig(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	return &story{dir: filepath.Join(p.dir, "n"), out: io.Discard, config: c, logger: zap.NewNop(),
		people: p.story.people, trust: p.story.trust, charter: p.story.charter}
}

// start serves the folder and returns what it is refused with, or nil.
func (p *patient) start() error {
	p.t.Helper()
	s := p.twin()
	err := s.serve(context.WithoutCancel(p.t.Context()))
	if err != nil {
		return err
	}
	return s.stop(context.WithoutCancel(p.t.Context()))
}

// well serves the folder and submits to it: the client has the newest checkpoint in
// its memory, and accepts no other history.
func (p *patient) well() {
	p.t.Helper()
	ctx := context.WithoutCancel(p.t.Context())
	if err := os.RemoveAll(p.path("state")); err != nil {
		p.t.Fatal(err)
	}
	copyTree(p.t, filepath.Join(p.relic.dir, "newest", "n", "state"), p.path("state"))
	s := p.twin()
	if err := s.serve(ctx); err != nil {
		p.t.Fatalf("after the recovery: %v", err)
	}
	s.submitMany(p.t, 1, p.t.TempDir())
	if size := s.server.parts.log.Size(); size < p.size+1 {
		p.t.Errorf("got a log of %d entries after the recovery, want more than %d", size, p.size)
	}
	if err := errors.Join(s.closeClients(), s.stop(ctx)); err != nil {
		p.t.Error(err)
	}
}

// checkpoint is the newest one that the client remembers.
func (p *patient) checkpoint() string {
	return filepath.Join(p.relic.dir, "newest", "n", "state", "site-"+siteNorth, "checkpoints", p.story.config.Origin)
}

// fork restores the older log and appends to it with Tessera alone, which signs
// without asking.
func (p *patient) fork() {
	p.t.Helper()
	p.put("older", "log")
	key, err := readLogKey(p.path("keys/log.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	signer, _, err := noteKeys(p.story.config.Origin, key)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: p.path("log")})
	if err != nil {
		p.t.Fatal(err)
	}
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(4096, 20*time.Millisecond).WithCheckpointInterval(100*time.Millisecond))
	if err != nil {
		p.t.Fatal(err)
	}
	futures := make([]tessera.IndexFuture, p.size-p.older+1)
	for i := range futures {
		futures[i] = appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "forked %d", i)))
	}
	for _, future := range futures {
		if _, err := future(); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := shutdown(ctx); err != nil {
		p.t.Fatal(err)
	}
}

func flipAt(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
}

func cutBy(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-n] }
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Error(err)
	}
}
