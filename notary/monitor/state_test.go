package monitor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	someID = "0f00000000000000000000000000000000000000000000000000000000000001"
	aNote  = "log.example\\n8\\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\\n\\n— log.example Az3grlgtzPICa5OS8npVmf1My2E=\\n"
)

// TestBadStates refuses what is no state, or a damaged one: never is it "nothing
// seen".
func TestBadStates(t *testing.T) {
	good := `{"format":"` + stateFormat + `","seq":3,"trial":"` + someID + `","fingerprint":"x","checkpoint":"` + aNote + `","scanned":8,"marks":2}`
	if _, err := parseState([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another format":             {"state v1", "state v2"},
		"an unknown field":           {`"seq"`, `"more":1,"seq"`},
		"a field twice":              {`"seq":3`, `"seq":3,"seq":4`},
		"no trial":                   {someID, "x"},
		"a damaged checkpoint":       {"log.example\\n8", "log.example\\n08"},
		"more scanned than there is": {`"scanned":8`, `"scanned":9`},
		"no checkpoint":              {`"checkpoint":"` + aNote + `",`, ""},
		"more marks than entries":    {`"marks":2`, `"marks":9`},
		"a status":                   {`"marks":2`, `"marks":2,"alarms":[{"id":"1","kind":"log-forked","detail":"","since":"2026-01-01T00:00:00Z","seen":"2026-01-01T00:00:00Z","status":"gone"}]`},
		"no end":                     {`"marks":2}`, `"marks":2`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if d, err := parseState([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, stateFile), []byte(good[:40]), 0o600))
	m := &Monitor{cfg: Config{Dir: dir}}
	if _, err := m.load(); err == nil {
		t.Error("got no error from a damaged state")
	}
}

func TestBadJournals(t *testing.T) {
	line := `{"logIndex":7,"statementId":"` + someID + `","logTime":"2026-01-01T00:00:00Z"}` + "\n"
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"none": {"", 0}, "one": {line, 1}, "a torn line": {line + line[:20], 1}, "twice": {line + line, 1},
	} {
		if got, err := parseJournal([]byte(c.text)); err != nil || len(got) != c.want {
			t.Errorf("%s: got %d (%v), want %d", name, len(got), err, c.want)
		}
	}
	for name, bad := range map[string]string{
		"no JSON": "x\n", "no id": strings.Replace(line, someID, "x", 1), "an unknown field": strings.Replace(line, "{", `{"a":1,`, 1),
		"a negative index": strings.Replace(line, "7", "-7", 1), "an empty line": "\n" + line,
	} {
		if _, err := parseJournal([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestMarkList finds the marks before an index, and drops what does not count.
func TestMarkList(t *testing.T) {
	path := filepath.Join(t.TempDir(), marksFile)
	l, err := openMarks(path, 0)
	must(t, err)
	must(t, l.add([]uint64{0, 5}))
	must(t, l.add([]uint64{9, 1 << 40}))
	for index, want := range map[uint64]uint64{0: 0, 1: 1, 5: 1, 6: 2, 9: 2, 10: 3, 1 << 41: 4} {
		if got, err := l.below(index); err != nil || got != want {
			t.Errorf("below %d: got %d (%v), want %d", index, got, err, want)
		}
	}
	must(t, l.close())
	l, err = openMarks(path, 2)
	must(t, err)
	if got, err := l.below(100); err != nil || got != 2 {
		t.Errorf("got %d (%v), want 2", got, err)
	}
	must(t, l.close())
	if _, err := openMarks(path, 3); err == nil {
		t.Error("got no error from a list that is too short")
	}
}

// FuzzState reads any bytes as a state; what it takes it writes and reads again.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format":"` + stateFormat + `","seq":3,"trial":"` + someID + `","fingerprint":"x","checkpoint":"` + aNote + `","scanned":8,"marks":2}`))
	f.Add([]byte(`{"format":"` + stateFormat + `","seq":1,"trial":"` + someID + `","fingerprint":"x","scanned":0,"marks":0,"alarms":[{"id":"1","kind":"log-forked","logIndex":3,"detail":"d","since":"2026-01-01T00:00:00Z","seen":"2026-01-01T00:00:00Z","status":"open"}],"queue":[{"alarm":"1","since":"2026-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseState(text)
		if err != nil {
			return
		}
		again, err := d.marshal()
		must(t, err)
		e, err := parseState(again)
		must(t, err)
		twice, err := e.marshal()
		must(t, err)
		if !bytes.Equal(again, twice) {
			t.Errorf("got %s, want %s", twice, again)
		}
	})
}

// FuzzJournal reads any bytes as a journal.
func FuzzJournal(f *testing.F) {
	line := `{"logIndex":7,"statementId":"` + someID + `","logTime":"2026-01-01T00:00:00Z"}` + "\n"
	f.Add([]byte(line))
	f.Add([]byte(line + line[:30]))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseJournal(text)
		if err == nil && len(all) > bytes.Count(text, []byte{'\n'}) {
			t.Errorf("got %d statements of %d lines", len(all), bytes.Count(text, []byte{'\n'}))
		}
	})
}
