package store

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

func TestFileMarkText(t *testing.T) {
	f := newFileMark(t, notary.Mark{})
	root := [32]byte{1, 2, 3}
	if err := f.AdvanceMark(t.Context(), notary.Mark{}, notary.Mark{Size: 1024, Root: root}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(f.Path())
	if want := "1024 " + base64.StdEncoding.EncodeToString(root[:]) + "\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestCreateFileMarkRefuses(t *testing.T) {
	f := newFileMark(t, mark(4))
	if err := CreateFileMark(f.Path(), notary.Mark{}); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), f.Path()) {
		t.Errorf("got %v, want fs.ErrExist naming the file", err)
	}
	if got, ok, err := f.LoadMark(t.Context()); err != nil || !ok || got != mark(4) {
		t.Errorf("got %v, %v, %v, want the mark that was there", got, ok, err)
	}
	if err := CreateFileMark(filepath.Join(t.TempDir(), "no", "mark"), notary.Mark{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestFileMarkRefusesDamage(t *testing.T) {
	good := string(formatMark(mark(1024)))
	for name, text := range map[string]string{
		"empty":              "",
		"no line end":        strings.TrimSuffix(good, "\n"),
		"two line ends":      good + "\n",
		"carriage return":    strings.TrimSuffix(good, "\n") + "\r\n",
		"second line":        good + good,
		"leading zero":       "0" + good,
		"plus":               "+" + good,
		"minus":              "-" + good,
		"two spaces":         strings.Replace(good, " ", "  ", 1),
		"no root":            "1024\n",
		"short root":         "1024 AAAA\n",
		"second spelling":    strings.Replace(good, "A=", "B=", 1),
		"unpadded":           strings.Replace(good, "=", "", 1),
		"size too large":     "9223372036854775808" + good[4:],
		"the zero mark":      "0 " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n",
		"none without end":   "none",
		"none with a suffix": "none\n\n",
		"very long":          strings.Repeat("1", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFileMark(t, notary.Mark{})
			if err := os.WriteFile(f.Path(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenFileMark(f.Path()); !errors.Is(err, ErrMarkDamaged) || !strings.Contains(err.Error(), f.Path()) {
				t.Errorf("open: got %v, want ErrMarkDamaged naming the file", err)
			}
			if err := f.AdvanceMark(t.Context(), notary.Mark{}, mark(1)); !errors.Is(err, ErrMarkDamaged) {
				t.Errorf("advance: got %v, want ErrMarkDamaged", err)
			}
			if got, _ := os.ReadFile(f.Path()); string(got) != text {
				t.Errorf("the file was changed to %q", got)
			}
		})
	}
	if _, err := OpenFileMark(filepath.Join(t.TempDir(), "mark")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want fs.ErrNotExist", err)
	}
}

func FuzzParseMark(f *testing.F) {
	for _, text := range []string{"none\n", "", "0 \n", string(formatMark(mark(0))), string(formatMark(mark(1 << 40)))} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMark(text)
		if err == nil && string(formatMark(m)) != string(text) {
			t.Errorf("got %q for %q", formatMark(m), text)
		}
	})
}

// TestFileMarkLock holds the lock as another process would, and leaves the file
// of an interrupted write.
func TestFileMarkLock(t *testing.T) {
	f := newFileMark(t, mark(1))
	if err := os.WriteFile(f.Path()+".new", []byte("999 half a ma"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := &FileMark{path: f.Path()}
	unlock, err := other.lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AdvanceMark(t.Context(), mark(1), mark(2)); !errors.Is(err, notary.ErrMarkConflict) {
		t.Errorf("got %v, want ErrMarkConflict", err)
	}
	unlock()
	if err := f.AdvanceMark(t.Context(), mark(1), mark(2)); err != nil {
		t.Error(err)
	}
}
