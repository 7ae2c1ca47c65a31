package tesseralog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
)

// The test binary runs itself as a server that is killed. These tell it how.
const (
	envDir  = "TESSERALOG_CRASH_DIR"  // of the log; the mark's file stands beside it
	envKey  = "TESSERALOG_CRASH_KEY"  // the signer's key
	envVkey = "TESSERALOG_CRASH_VKEY" // the verifier's
	envHang = "TESSERALOG_CRASH_HANG" // "before" or "after" moving the mark above 5 entries, or ""
)

func TestMain(m *testing.M) {
	if os.Getenv(envDir) != "" {
		if err := crashServer(); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashServer adds entries until it is killed. It prints "proven INDEX TEXT" for
// each entry that it has a proof of, and "hung" when it hangs in the mark's store.
func crashServer() error {
	signer, err := note.NewSigner(os.Getenv(envKey))
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(os.Getenv(envVkey))
	if err != nil {
		return err
	}
	ctx := context.Background()
	dir := os.Getenv(envDir)
	marks := &hangingMarks{fileMarks: fileMarks(dir + ".mark"), hang: os.Getenv(envHang)}
	l, err := Open(ctx, Config{Dir: dir, Signer: signer, Verifier: verifier, Marks: marks})
	if err != nil {
		return err
	}
	fmt.Println("open", l.Size())
	if marks.hang != "" {
		for _, n := range []int{5, 3} {
			if err := crashAdd(ctx, l, n); err != nil {
				return err
			}
		}
	}
	for {
		if err := crashAdd(ctx, l, 1+rand.IntN(400)); err != nil {
			return err
		}
	}
}

// crashAdd adds n entries at once and prints each proven one.
func crashAdd(ctx context.Context, l *Log, n int) error {
	var group sync.WaitGroup
	failed := make(chan error, n)
	for range n {
		text := strconv.FormatUint(rand.Uint64(), 36)
		wait := l.Add(ctx, []byte(text))
		group.Go(func() {
			index, err := wait(ctx)
			if err == nil {
				_, err = l.Prove(ctx, index)
			}
			if err != nil {
				failed <- err
				return
			}
			fmt.Println("proven", index, text)
		})
	}
	group.Wait()
	close(failed)
	return <-failed
}

// fileMarks keeps the mark in a file, durably.
type fileMarks string

func (f fileMarks) LoadMark(context.Context) (m notary.Mark, ok bool, err error) {
	raw, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err == nil {
		err = binary.Read(bytes.NewReader(raw), binary.BigEndian, &m)
	}
	return m, err == nil, err
}

func (f fileMarks) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	held, _, err := f.LoadMark(ctx)
	if err != nil {
		return err
	}
	if held != from {
		return notary.ErrMarkConflict
	}
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.BigEndian, to); err != nil {
		return err
	}
	if err := os.WriteFile(string(f)+".new", raw.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(string(f)+".new", string(f))
}

type hangingMarks struct {
	fileMarks
	hang string
}

func (h *hangingMarks) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	if h.hang == "after" {
		if err := h.fileMarks.AdvanceMark(ctx, from, to); err != nil {
			return err
		}
	}
	if h.hang != "" && to.Size > 5 {
		fmt.Println("hung")
		select {}
	}
	if h.hang == "after" {
		return nil
	}
	return h.fileMarks.AdvanceMark(ctx, from, to)
}

// crasher is a fixture whose log another process runs.
type crasher struct {
	*fixture
	skey, vkey string
	mark       fileMarks
	proven     map[uint64]string
}

func newCrasher(t *testing.T) *crasher {
	t.Helper()
	c := &crasher{proven: make(map[uint64]string)}
	var err error
	if c.skey, c.vkey, err = note.GenerateKey(nil, origin); err != nil {
		t.Fatal(err)
	}
	c.fixture = &fixture{tb: t, dir: filepath.Join(t.TempDir(), "log")}
	if c.signer, err = note.NewSigner(c.skey); err != nil {
		t.Fatal(err)
	}
	if c.verifier, err = note.NewVerifier(c.vkey); err != nil {
		t.Fatal(err)
	}
	c.mark = fileMarks(c.dir + ".mark")
	if err := Create(t.Context(), c.dir, c.signer); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs the server until stop says so of a line, kills it, and reads what it
// had printed.
func (c *crasher) run(t *testing.T, hang string, stop func(line string) bool) {
	t.Helper()
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), envDir+"="+c.dir, envKey+"="+c.skey, envVkey+"="+c.vkey, envHang+"="+hang)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = server.Process.Kill() })
	defer guard.Stop()
	killed := false
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSpace(line)
		if text, failed := strings.CutPrefix(line, "error "); failed {
			t.Fatalf("server: %s", text)
		}
		var index uint64
		var text string
		if n, _ := fmt.Sscanf(line, "proven %d %s", &index, &text); n == 2 {
			c.proven[index] = text
		}
		if !killed && stop(line) {
			killed = true
			if err := server.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	server.Wait() //nolint:errcheck // It was killed.
	if !killed {
		t.Fatal("server ended by itself")
	}
}

// reopen opens the log here and wants every proven entry in it.
func (c *crasher) reopen(t *testing.T) *Log {
	t.Helper()
	l, err := Open(t.Context(), Config{Dir: c.dir, Signer: c.signer, Verifier: c.verifier, Marks: c.mark})
	if err != nil {
		t.Fatalf("Open after a crash: %v", err)
	}
	if l.Checkpoint().Size != l.Size() {
		t.Errorf("got checkpoint of %d entries of %d", l.Checkpoint().Size, l.Size())
	}
	for index, text := range c.proven {
		mustProve(t, l, index, []byte(text))
	}
	if n, err := l.Check(t.Context()); n != l.Size() || err != nil {
		t.Errorf("Check: got %d, %v, want %d", n, err, l.Size())
	}
	return l
}

func TestKilled(t *testing.T) {
	c := newCrasher(t)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		proofs := 1 + rand.IntN(1500)
		c.run(t, "", func(line string) bool {
			if strings.HasPrefix(line, "proven ") {
				proofs--
			}
			return proofs == 0
		})
		l := c.reopen(t)
		closeLog(t, l)
	}
	fsckPasses(c.fixture)
}

// TestKilledBeforePublishing kills the server between writing 3 more entries and
// signing them, before or after the mark was moved.
func TestKilledBeforePublishing(t *testing.T) {
	for hang, mark := range map[string]uint64{"before": 5, "after": 8} {
		t.Run(hang, func(t *testing.T) {
			c := newCrasher(t)
			c.run(t, hang, func(line string) bool { return line == "hung" })
			if m, _, err := c.mark.LoadMark(t.Context()); m.Size != mark || err != nil {
				t.Fatalf("got mark %d, %v, want %d", m.Size, err, mark)
			}
			crashed := c.copyOf()
			published, err := folder(c.dir).readCheckpoint(c.verifier)
			if err != nil || published.Size != 5 {
				t.Fatalf("got checkpoint of %d entries, %v, want 5", published.Size, err)
			}

			// What nobody signed yet is checked as closely.
			for name, parts := range map[string][]string{
				"tile/entries/000.p/8": {"entry 7"},
				"tile/0/000.p/8":       {"tile/0/000.p/8"},
			} {
				c.damage(name, flip(-1))
				_, err := Open(t.Context(), Config{Dir: c.dir, Signer: c.signer, Verifier: c.verifier, Marks: c.mark})
				wantError(t, err, new(*FileError), append(parts, name)...)
				c.restore(crashed, name)
			}

			l := c.reopen(t)
			if l.Size() != 8 {
				t.Errorf("got %d entries, want 8", l.Size())
			}
			c.entries = 8
			c.add(l, 300)
			closeLog(t, l)
			fsckPasses(c.fixture)
		})
	}
}

// TestAnotherProcess: the folder is refused while another process has it.
func TestAnotherProcess(t *testing.T) {
	c := newCrasher(t)
	c.run(t, "", func(line string) bool {
		if !strings.HasPrefix(line, "open ") {
			return false
		}
		_, err := Open(t.Context(), Config{Dir: c.dir, Signer: c.signer, Verifier: c.verifier, Marks: c.mark})
		wantError(t, err, ErrInUse, c.dir)
		return true
	})
	closeLog(t, c.reopen(t))
}
