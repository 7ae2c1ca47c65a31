package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// watchFaults prepares a trial by script, and hands it to a function, which runs
// beside the real server and starts and ends real processes.
func watchFaults(t *testing.T, f func(w *watchRig)) {
	t.Helper()
	dir := t.TempDir()
	script := "server start\nsetup-trial\nmkdir inbox\nfaults\n"
	if err := os.WriteFile(filepath.Join(dir, "watch.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	p := params(dir)
	p.Cmds["faults"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		rig := &watchRig{
			t: t, dir: ts.MkAbs("."), server: boxOf(ts),
			env: append(os.Environ(), "XDG_STATE_HOME="+ts.Getenv("XDG_STATE_HOME"), "TZ=UTC"),
		}
		rig.proxy = newProxy(t, rig.server.server.grpc)
		f(rig)
	}
	testscript.Run(t, p)
}

type watchRig struct {
	t      *testing.T
	dir    string
	env    []string
	server *serverBox
	proxy  *proxy
}

// watch starts a real process that watches through the proxy.
func (r *watchRig) watch(args ...string) *watchProcess {
	r.t.Helper()
	cmd := r.command("watch", append([]string{
		"--config", "site.yaml", "--server", r.proxy.addr, "--settle", "20ms", "--poll", "20ms", "--attempts", "2",
	}, append(args, "inbox")...)...)
	p := &watchProcess{rig: r, cmd: cmd, out: filepath.Join(r.t.TempDir(), "out")}
	out, err := os.Create(p.out)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := errors.Join(startBound(cmd), out.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p
}

func (r *watchRig) command(what string, args ...string) *exec.Cmd {
	cmd := exec.Command("notary", append([]string{what}, args...)...)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

type watchProcess struct {
	rig *watchRig
	cmd *exec.Cmd
	out string
}

func (p *watchProcess) text() string {
	b, err := os.ReadFile(p.out)
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return string(b)
}

// await waits until the process said so, n times.
func (p *watchProcess) await(what string, n int) {
	p.rig.t.Helper()
	p.rig.eventually(func() bool { return strings.Count(p.text(), what) >= n }, func() string { return what + " in:\n" + p.text() })
}

// end stops the process by a signal and returns its exit status.
func (p *watchProcess) end(s os.Signal) int {
	p.rig.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.rig.t.Fatal(err)
	}
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		p.rig.t.Fatal(err)
	} else if ok {
		return exit.ExitCode()
	}
	return 0
}

func (r *watchRig) eventually(done func() bool, what func() string) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited two minutes for %s", what())
		}
	}
}

func (r *watchRig) path(rel string) string { return filepath.Join(r.dir, "inbox", rel) }

func (r *watchRig) write(rel, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(rel), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *watchRig) receipts() int {
	paths, err := filepath.Glob(r.path("*" + client.ReceiptSuffix))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(paths)
}

// statements are the dataset statements that the notary has, by the name of their
// file.
func (r *watchRig) statements() map[string][]string {
	r.t.Helper()
	cmd := r.command("list", "--config", "site.yaml", "--kind", "dataset")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	found := map[string][]string{}
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Fields(line); strings.Contains(line, " dataset ") {
			name := f[len(f)-2]
			found[name] = append(found[name], line)
		}
	}
	return found
}

// notarizedOnce fails unless there are n statements, and each of n files has a
// receipt.
func (r *watchRig) notarizedOnce(n int) {
	r.t.Helper()
	total := 0
	for _, s := range r.statements() {
		total += len(s)
	}
	if total != n || r.receipts() != n {
		r.t.Errorf("got %d statements and %d receipts, want %d of each", total, r.receipts(), n)
	}
}

// proxy stands between watcher and notary. It can withhold answers.
type proxy struct {
	addr string
	mute atomic.Bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &proxy{addr: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(in, to)
		}
	}()
	return p
}

func (p *proxy) serve(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := out.Read(buf)
		if err != nil {
			return
		}
		if p.mute.Load() {
			continue
		}
		if _, err := in.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Killed at any moment among many files, and started again: each file has one
// statement.
func TestWatchKilled(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		const n = 1000
		for i := range n {
			r.write(fmt.Sprintf("f%04d.csv", i), fmt.Sprintf("row %d\n", i))
		}
		for _, at := range []int{1, n / 3, 2 * n / 3} {
			p := r.watch()
			r.eventually(func() bool { return r.receipts() >= at }, p.text)
			p.end(os.Kill)
		}
		p := r.watch()
		r.eventually(func() bool { return r.receipts() >= n }, p.text)
		r.write("last.csv", "last\n")
		p.await("notarized: last.csv", 1)
		if code := p.end(os.Interrupt); code != 0 || !strings.Contains(p.text(), "stopped: ") {
			t.Errorf("got status %d:\n%s", code, p.text())
		}
		r.notarizedOnce(n + 1)
	})
}

// The statement is logged and the answer is lost; the watcher is killed, and the
// file is another one when it comes back.
func TestWatchKilledBeforeTheAnswer(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		p := r.watch()
		p.await("watching: ", 1)
		r.write("first.csv", "first\n")
		p.await("notarized: first.csv", 1)
		r.proxy.mute.Store(true)
		r.write("a.csv", "a\n")
		r.write("b.csv", "b\n")
		r.eventually(func() bool {
			n := 0
			for _, s := range r.statements() {
				n += len(s)
			}
			return n == 3
		}, p.text)
		p.end(os.Kill)
		if r.receipts() != 1 {
			t.Fatalf("got %d receipts, want that of the first file alone", r.receipts())
		}
		r.write("b.csv", "b, changed\n")
		r.proxy.mute.Store(false)
		p = r.watch("--once")
		if err := p.cmd.Wait(); err != nil {
			t.Fatalf("%v:\n%s", err, p.text())
		}
		// a once; b as it was and as it is.
		if text := p.text(); strings.Count(text, " notarized: a.csv") != 1 || strings.Count(text, " notarized: b.csv") != 2 {
			t.Errorf("got\n%s", text)
		}
		r.notarizedOnce(4)
		r.verifies("a.csv")
		r.verifies("b.csv")
	})
}

// The notary is away for a while: files that appear meanwhile are notarized when
// it is back, and that it is away is told once.
func TestWatchOutage(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		p := r.watch()
		r.write("a.csv", "a\n")
		p.await("notarized: a.csv", 1)
		if err := r.server.server.stop(); err != nil {
			t.Fatal(err)
		}
		r.server.up = false
		r.write("b.csv", "b\n")
		p.await("no answer: ", 1)
		r.write("c.csv", "c\n")
		if err := r.server.server.start(); err != nil {
			t.Fatal(err)
		}
		r.server.up = true
		p.await("notarized: b.csv", 1)
		p.await("notarized: c.csv", 1)
		p.end(os.Interrupt)
		if text := p.text(); strings.Count(text, "no answer: ") != 1 || strings.Count(text, "going on\n") != 1 {
			t.Errorf("got\n%s", text)
		}
		r.notarizedOnce(3)
	})
}

// A file that grows is not taken until it is whole; one that cannot be read stops
// no other; the folder goes and comes back.
func TestWatchFolder(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		p := r.watch("--settle", "1s")
		f, err := os.Create(r.path("grows.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if _, err := fmt.Fprintf(f, "row %d\n", i); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // a slow writer, slower altogether than the settling
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		r.write("other.csv", "other\n")
		p.await("notarized: grows.csv", 1)
		p.await("notarized: other.csv", 1)
		if err := os.Rename(r.path(""), filepath.Join(r.dir, "away")); err != nil {
			t.Fatal(err)
		}
		p.await("folder gone: ", 1)
		if err := os.Rename(filepath.Join(r.dir, "away"), r.path("")); err != nil {
			t.Fatal(err)
		}
		p.await("folder back: ", 1)
		r.write("more.csv", "more\n")
		p.await("notarized: more.csv", 1)
		r.write(".secret", "secret\n")
		if err := errors.Join(os.Chmod(r.path(".secret"), 0), os.Rename(r.path(".secret"), r.path("secret.csv"))); err != nil {
			t.Fatal(err)
		}
		p.await("failed: secret.csv: ", 1)
		if err := os.Chmod(r.path("secret.csv"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.await("notarized: secret.csv", 1)
		// A second watcher of the folder is refused, whatever state folder it has.
		for _, state := range []string{".", t.TempDir()} {
			q := r.watch("--state", state)
			if err := q.cmd.Wait(); err == nil || !strings.Contains(q.text(), "is watched already") {
				t.Errorf("got %v:\n%s", err, q.text())
			}
		}
		p.end(os.Interrupt)
		for _, s := range r.statements() {
			if len(s) != 1 {
				t.Errorf("got %d statements about one file:\n%s", len(s), strings.Join(s, "\n"))
			}
		}
	})
}

// A file that is another one when it is hashed than when it was looked at is left
// for later; so is one that went away.
func TestWatchReplacedWhileHashed(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: io.Discard, output: "text", now: time.Now}
	x, err := openWatchIndex(filepath.Join(dir, "index.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{app: a, o: &watchOptions{poll: time.Second}, root: dir, receipts: dir, seen: map[string]*sighting{}, index: x}
	ready := make([]*sighting, 3)
	for i, name := range []string{"replaced.csv", "gone.csv", "stays.csv"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		ready[i] = w.sight(name, info)
	}
	if err := os.WriteFile(filepath.Join(dir, "replaced.csv"), []byte("one and two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "gone.csv")); err != nil {
		t.Fatal(err)
	}
	hashes, errs := w.hash(context.Background(), ready, dataset.Options{})
	if hashes[0].Size != 12 || w.still(ready[0]) || !w.still(ready[2]) {
		t.Errorf("got %d bytes, want those of the other file, and that it changed", hashes[0].Size)
	}
	w.unhashed(ready[1], errs[1])
	if w.seen["gone.csv"] != nil || errs[1] == nil || errs[2] != nil || out.Len() > 0 {
		t.Errorf("got %v, %v, %q", w.seen, errs, out.String())
	}
	w.unhashed(ready[0], nil)
	if s := w.seen["replaced.csv"]; s == nil || s.size != 12 {
		t.Errorf("got %+v, want it to be looked at anew", s)
	}
}

func TestWatchNames(t *testing.T) {
	for _, name := range []string{
		".x", "~$a.docx", "a.csv~", "a.PART", "a.csv.crdownload", "a.filepart", "a.tmp", "a.swp", "a.receipt.json", "a.evidence.json",
		"a.manifest.json", "a.proof.json", ".notary-watch.lock",
	} {
		if !left(name) {
			t.Errorf("%s is taken", name)
		}
	}
	for _, name := range []string{"a.csv", "a", "part", "tmp.csv", "a.json", "receipt.json", "a~b.csv"} {
		if left(name) {
			t.Errorf("%s is left out", name)
		}
	}
	for _, tc := range []struct {
		glob, rel string
		want      bool
	}{
		{"*.csv", "a.csv", true},
		{"*.csv", "sub/a.csv", true},
		{"sub/*.csv", "sub/a.csv", true},
		{"sub/*.csv", "a.csv", false},
		{"*.csv", "a.xpt", false},
	} {
		if got := matches([]string{tc.glob}, tc.rel); got != tc.want {
			t.Errorf("%s, %s: got %v", tc.glob, tc.rel, got)
		}
	}
}

// What was noted is there again, and a damaged line costs no more than itself.
func TestWatchIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.jsonl")
	x, err := openWatchIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	k := watched{size: 4, modified: time.Date(2026, 1, 31, 9, 0, 0, 123456789, time.UTC), sha256: [32]byte{1}, status: watchNotarized, id: trial.ID{2}}
	for i := range 3000 {
		k.size = int64(i + 1)
		if err := errors.Join(x.put("a.csv", k), x.put(fmt.Sprintf("sub/%d \"x\".csv", i%3), k), x.sync()); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n > 2000 {
		t.Errorf("got %d lines for 4 files", n)
	}
	if err := os.WriteFile(path, append(append([]byte("{\"path\":\n"), text...), `{"path":"cut.csv","si`...), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if x, err = openWatchIndex(path); err != nil {
			t.Fatal(err)
		}
		if len(x.files) != 4 || x.files["a.csv"] != k {
			t.Errorf("got %d files, and %+v, want 4 and %+v", len(x.files), x.files["a.csv"], k)
		}
		if err := x.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseWatchLine(f *testing.F) {
	k := watched{size: 4, modified: time.Unix(1700000000, 5).UTC(), sha256: [32]byte{1}, status: watchRefused, id: trial.ID{2}}
	line, err := marshalWatchLine("sub/a.csv", k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(bytes.Replace(line, []byte("sub/"), []byte("../"), 1))
	f.Add([]byte(`{"path":"a","path":"b"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		rel, k, ok := parseWatchLine(text)
		if !ok {
			return
		}
		if !filepath.IsLocal(rel) || k.size <= 0 {
			t.Fatalf("got %q, %+v", rel, k)
		}
		again, err := marshalWatchLine(rel, k)
		if err != nil {
			t.Fatal(err)
		}
		if rel2, k2, ok := parseWatchLine(again); !ok || rel2 != rel || !k2.modified.Equal(k.modified) || k2.sha256 != k.sha256 || k2.id != k.id {
			t.Fatalf("got %q, %+v, want %q, %+v", rel2, k2, rel, k)
		}
	})
}
