package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// A test that needs another process runs this binary again with the name of a
// child and the path of a store in the environment.
const (
	childVar = "STORE_TEST_CHILD"
	pathVar  = "STORE_TEST_PATH"
)

var children = map[string]func(*Store) error{
	"writer": writeForEver,
	"user": func(s *Store) error {
		return s.AddUser(context.Background(), User{Name: "new", TokenHash: token("new")})
	},
}

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childVar)]
	if !ok {
		os.Exit(m.Run())
	}
	s, err := Open(os.Getenv(pathVar))
	if err == nil {
		err = errors.Join(child(s), s.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childProcess(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+name, pathVar+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// writeForEver stores, places and advances until it is killed, and prints what
// each call returned for: "put ID", "place ID INDEX", "mark SIZE".
func writeForEver(s *Store) error {
	ctx := context.Background()
	s.maxInRow = 2000 // of five statements the last two are in the file of payloads
	var mu sync.Mutex // of the output and the next index
	var index uint64
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	round := func(worker, i int) error {
		var records []*notary.Record
		for j := range 5 {
			records = append(records, newRecord(fmt.Sprint(os.Getpid(), " ", worker, " ", i, " ", j), func(r *notary.Record) {
				r.Envelope.Payload = fmt.Appendf(nil, "%d %d %d %d %s", os.Getpid(), worker, i, j, strings.Repeat("x", 600*(j+1)))
			}))
		}
		if _, err := s.Put(ctx, records); err != nil {
			return err
		}
		for _, r := range records {
			say("put %s", r.ID)
		}
		mu.Lock()
		at := index
		index++
		mu.Unlock()
		if err := s.Place(ctx, []notary.Placed{{ID: records[0].ID, Index: at}}); err != nil {
			return err
		}
		say("place %s %d", records[0].ID, at)
		return nil
	}
	failed := make(chan error)
	for worker := range 3 {
		go func() {
			for i := 0; ; i++ {
				if err := round(worker, i); err != nil {
					failed <- err
				}
			}
		}()
	}
	go func() {
		for size := uint64(0); ; size++ {
			from := notary.Mark{}
			if size > 0 {
				from = mark(size - 1)
			}
			if err := s.AdvanceMark(ctx, from, mark(size)); err != nil {
				failed <- err
			}
			say("mark %d", size)
		}
	}()
	return <-failed
}

// TestKill kills a writer in the middle of its load, at moments that vary by
// what it had said: what a call returned for must be there, and the file whole.
func TestKill(t *testing.T) {
	for _, lines := range []int{1, 40, 333, 1500} {
		t.Run(fmt.Sprint(lines, " lines"), func(t *testing.T) {
			empty := newStore(t)
			if err := empty.Close(); err != nil {
				t.Fatal(err)
			}
			cmd := childProcess(t, "writer", empty.Path())
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said []string
			for scan := bufio.NewScanner(out); scan.Scan(); {
				said = append(said, scan.Text())
				if len(said) == lines {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait()
			if len(said) < lines {
				t.Fatalf("the writer ended after %d lines", len(said))
			}
			// A line may have been cut by the kill.
			s := openStore(t, empty.Path())
			verifySaid(t, s, said[:len(said)-1])
			// What the kill left behind the last payload is in nobody's way.
			s.maxInRow = 0
			if _, err := s.Put(t.Context(), []*notary.Record{newRecord("after the kill")}); err != nil {
				t.Error(err)
			}
			verifySaid(t, s, said[:len(said)-1])
		})
	}
}

// verifySaid compares a store with what its killed writer had said.
func verifySaid(t *testing.T, s *Store, said []string) {
	t.Helper()
	var largest uint64
	marked := false
	for _, line := range said {
		var what, name string
		var n uint64
		if _, err := fmt.Sscan(line, &what, &name); err != nil {
			t.Fatal(line, err)
		}
		if what == "mark" {
			if _, err := fmt.Sscan(name, &n); err != nil {
				t.Fatal(line, err)
			}
			largest, marked = max(largest, n), true
			continue
		}
		id, err := trial.ParseID(name)
		if err != nil {
			t.Fatal(line, err)
		}
		r, err := s.Get(t.Context(), id)
		if err != nil {
			t.Errorf("lost: %s: %v", line, err)
			continue
		}
		if what == "place" {
			if _, err := fmt.Sscan(line, &what, &name, &n); err != nil || !r.Logged || r.Index != n {
				t.Errorf("lost: %s: got %v at %d", line, r.Logged, r.Index)
			}
		}
	}
	if m, ok, err := s.LoadMark(t.Context()); err != nil || ok && m != mark(m.Size) || marked && m.Size < largest {
		t.Errorf("got mark %v, %v, %v, want at least %d", m, ok, err, largest)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUserOfAnotherProcess adds a user beside an open store, as the command line
// does while the server runs.
func TestUserOfAnotherProcess(t *testing.T) {
	s := newStore(t)
	if _, err := s.UserByToken(t.Context(), token("new")); !errors.Is(err, notary.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	if err := childProcess(t, "user", s.Path()).Run(); err != nil {
		t.Fatal(err)
	}
	if u, err := s.UserByToken(t.Context(), token("new")); err != nil || u.Name != "new" {
		t.Errorf("got %v, %v, want the new user", u, err)
	}
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("after")}); err != nil {
		t.Error(err)
	}
}
