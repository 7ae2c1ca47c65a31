package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// testEnvelope is well-formed; nothing here looks into its payload.
func testEnvelope(tb testing.TB, payload string) *trial.Envelope {
	tb.Helper()
	key := newTestKey(tb)
	env, err := trial.Sign(key.priv, []byte(payload))
	must(tb, err)
	return env
}

func TestBatchSurvives(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir)
	must(t, err)
	items := []Item{
		{Envelope: testEnvelope(t, "one"), Note: "out/one"}, {Envelope: testEnvelope(t, "two"), Note: "ü \"quoted\"\n"},
		{Envelope: testEnvelope(t, "three")},
	}
	b, err := s.Begin(items)
	must(t, err)
	must(t, b.Done(statementID(items[1].Envelope)))
	// A process that died: the lock goes with its file, the batch stays.
	must(t, b.file.Close())
	batches, err := s.Pending()
	must(t, err)
	if len(batches) != 1 {
		t.Fatalf("got %d batches, want 1", len(batches))
	}
	left := batches[0].Unanswered()
	if len(left) != 2 || !bytes.Equal(left[0].Envelope.Marshal(), items[0].Envelope.Marshal()) || left[0].Note != "out/one" ||
		!bytes.Equal(left[1].Envelope.Marshal(), items[2].Envelope.Marshal()) {
		t.Errorf("got %+v, want the first and the third as they were", left)
	}
	for _, it := range left {
		must(t, batches[0].Done(statementID(it.Envelope)))
	}
	must(t, batches[0].Release())
	must(t, batches[0].Release())
	if files, _ := filepath.Glob(filepath.Join(dir, "batches", "*")); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// A crash while an answer is noted costs one statement sent again, no more.
func TestBatchWithAHalfNotedAnswer(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir)
	must(t, err)
	items := []Item{{Envelope: testEnvelope(t, "one")}, {Envelope: testEnvelope(t, "two")}}
	b, err := s.Begin(items)
	must(t, err)
	must(t, b.Done(statementID(items[0].Envelope)))
	if _, err := b.file.WriteString(statementID(items[1].Envelope).String()[:30]); err != nil {
		t.Fatal(err)
	}
	must(t, b.file.Close())
	batches, err := s.Pending()
	must(t, err)
	if left := batches[0].Unanswered(); len(left) != 1 || statementID(left[0].Envelope) != statementID(items[1].Envelope) {
		t.Fatalf("got %d left, want the second", len(left))
	}
	must(t, batches[0].Done(statementID(items[1].Envelope)))
	must(t, batches[0].Release())
	if again, err := s.Pending(); err != nil || len(again) != 0 {
		t.Errorf("got %d batches, %v, want none", len(again), err)
	}
}

func TestDamagedBatchIsAnError(t *testing.T) {
	for what, change := range map[string]func(string) string{
		"cut":      func(s string) string { return s[:len(s)/2] },
		"empty":    func(string) string { return "" },
		"version":  func(s string) string { return strings.Replace(s, `"version":1`, `"version":2`, 1) },
		"unknown":  func(s string) string { return strings.Replace(s, `"version":1`, `"version":1,"x":1`, 1) },
		"twice":    func(s string) string { return strings.Replace(s, `"version":1`, `"version":1,"version":1`, 1) },
		"spelling": func(s string) string { return strings.Replace(s, `"version":1`, `"version": 1`, 1) },
		"no items": func(string) string { return `{"version":1,"items":[]}` + "\n" },
	} {
		dir := t.TempDir()
		s, err := OpenState(dir)
		must(t, err)
		b, err := s.Begin([]Item{{Envelope: testEnvelope(t, "one")}})
		must(t, err)
		must(t, b.file.Close())
		text, err := os.ReadFile(b.path)
		must(t, err)
		must(t, os.WriteFile(b.path, []byte(change(string(text))), 0o600))
		if _, err := s.Pending(); err == nil || !strings.Contains(err.Error(), b.path) {
			t.Errorf("%s: got %v, want an error that names the file", what, err)
		}
		// It stays: whoever repairs it finds it.
		if _, err := os.Stat(b.path); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestBeginRefuses(t *testing.T) {
	s := testState(t)
	for what, items := range map[string][]Item{
		"nothing": nil, "no envelope": {{}}, "long note": {{Envelope: testEnvelope(t, "x"), Note: strings.Repeat("x", maxNote+1)}},
	} {
		if _, err := s.Begin(items); err == nil {
			t.Errorf("%s: got no error, want one", what)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(s.Dir(), "batches", "*")); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestDiscard(t *testing.T) {
	s := testState(t)
	b, err := s.Begin([]Item{{Envelope: testEnvelope(t, "one")}})
	must(t, err)
	must(t, b.Discard())
	if again, err := s.Pending(); err != nil || len(again) != 0 {
		t.Errorf("got %d batches, %v, want none", len(again), err)
	}
}

// The folder is private: it holds statements that are not public.
func TestStateIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := OpenState(dir)
	must(t, err)
	b, err := s.Begin([]Item{{Envelope: testEnvelope(t, "one")}})
	must(t, err)
	for path, want := range map[string]os.FileMode{dir: 0o700, b.path: 0o600, b.donePath(): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %o", path, info.Mode(), err, want)
		}
	}
	if _, err := OpenState(filepath.Join(b.path, "inside a file")); err == nil {
		t.Error("got no error for a state folder inside a file, want one")
	}
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`{"version":1,"items":[]}`))
	f.Add([]byte(`{"version":1,"items":[{"note":"","envelope":{}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := parseBatch(text)
		if err != nil {
			return
		}
		again, err := marshalBatch(items)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("accepted %q and wrote %q, %v", text, again, err)
		}
	})
}

func FuzzParseDone(f *testing.F) {
	id := strings.Repeat("ab", 32)
	f.Add([]byte(id + "\n" + id[:10]))
	f.Add([]byte("x\n" + id + "\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, id := range parseDone(text) {
			if !bytes.Contains(text, []byte(id.String()+"\n")) {
				t.Errorf("got %s, which is no line of %q", id, text)
			}
		}
	})
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	a, b := open(), open()
	if got, err := lockFile(a, false); err != nil || !got {
		t.Fatalf("first: got %v, %v", got, err)
	}
	if got, err := lockFile(b, false); err != nil || got {
		t.Fatalf("second: got %v, %v, want it taken", got, err)
	}
	must(t, a.Close())
	if got, err := lockFile(b, true); err != nil || !got {
		t.Fatalf("after: got %v, %v", got, err)
	}
}
