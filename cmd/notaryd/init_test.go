package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// notaryd runs the program and returns its exit status and output.
func notaryd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(t.Context(), args, &out, &errOut)
	return code, out.String(), errOut.String()
}

// newNotary makes a notary in a fresh folder and returns its configuration file.
func newNotary(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "notary")
	if code, _, stderr := notaryd(t, "init", "--dir", dir, "--origin", "log.example", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"); code != exitOK {
		t.Fatalf("init: exit status %d: %s", code, stderr)
	}
	return filepath.Join(dir, "notaryd.yaml")
}

func TestInit(t *testing.T) {
	dir := filepath.Dir(newNotary(t))
	for _, key := range []string{"keys/log.key", "keys/notary.key", "keys/page.key", "tls/ca.key", "tls/server.key"} {
		info, err := os.Stat(filepath.Join(dir, key))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %04o, want 0600", key, info.Mode().Perm())
		}
	}
	if code, stdout, stderr := notaryd(t, "check", "--config", filepath.Join(dir, "notaryd.yaml")); code != exitOK {
		t.Errorf("check of a new notary: exit status %d: %s%s", code, stdout, stderr)
	}
}

func TestInitNeverTouchesWhatExists(t *testing.T) {
	dir := filepath.Dir(newNotary(t))
	before, err := os.ReadFile(filepath.Join(dir, "keys/log.key"))
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := notaryd(t, "init", "--dir", dir, "--origin", "log.example")
	if code != exitRefused || !strings.Contains(stderr, "not empty") {
		t.Errorf("got exit status %d and %q, want %d and what is in the way", code, stderr, exitRefused)
	}
	after, err := os.ReadFile(filepath.Join(dir, "keys/log.key"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the log's key was touched: %v", err)
	}
}

func TestInitLeavesNothingBehind(t *testing.T) {
	parent := t.TempDir()
	for _, args := range [][]string{
		{"init", "--dir", filepath.Join(parent, "n"), "--origin", "log.example/path"},
		{"init", "--dir", filepath.Join(parent, "n")},
		{"init", "--origin", "log.example"},
	} {
		if code, _, _ := notaryd(t, args...); code != exitUsage {
			t.Errorf("%v: got exit status %d, want %d", args, code, exitUsage)
		}
	}
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 0 {
		t.Errorf("a refused init left %v behind: %v", entries, err)
	}
}

func TestUsers(t *testing.T) {
	config := newNotary(t)
	charter := strings.Repeat("ab", 32)
	token := filepath.Join(t.TempDir(), "sponsor.token")
	for _, args := range [][]string{
		{"sponsor", "--role", "sponsor", "--organisation", "Example Pharma", "--token-out", token},
		{"site-701", "--role", "site", "--trial", charter, "--site", "701", "--cert-out", t.TempDir()},
		{"auditor", "--role", "auditor", "--trial", charter},
	} {
		args = append([]string{"user", "add", "--config", config}, args...)
		if code, _, stderr := notaryd(t, args...); code != exitOK {
			t.Errorf("%v: exit status %d: %s", args, code, stderr)
		}
	}
	if info, err := os.Stat(token); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v; want mode 0600", info, err)
	}
	_, stdout, _ := notaryd(t, "user", "list", "--config", config)
	for _, want := range []string{"sponsor", "trials of Example Pharma", "certificate", "sites 701", "auditor"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("user list does not say %q:\n%s", want, stdout)
		}
	}
	other := strings.Repeat("cd", 32)
	for range 2 { // twice is once
		if code, _, stderr := notaryd(t, "user", "grant", "--config", config, "auditor", "--role", "auditor", "--trial", other); code != exitOK {
			t.Errorf("user grant: %s", stderr)
		}
	}
	if code, _, _ := notaryd(t, "user", "grant", "--config", config, "nobody", "--role", "auditor", "--trial", other); code != exitRefused {
		t.Errorf("a grant to nobody: got exit status %d, want %d", code, exitRefused)
	}
	if _, stdout, _ = notaryd(t, "user", "list", "--config", config); strings.Count(stdout, "auditor  trial") != 2 || !strings.Contains(stdout, other) {
		t.Errorf("user list after a grant:\n%s", stdout)
	}
	if code, _, stderr := notaryd(t, "user", "remove", "--config", config, "auditor"); code != exitOK {
		t.Errorf("user remove: %s", stderr)
	}
	if code, _, _ := notaryd(t, "user", "remove", "--config", config, "auditor"); code != exitRefused {
		t.Errorf("removing a user twice: got exit status %d, want %d", code, exitRefused)
	}
}

func TestCA(t *testing.T) {
	config := newNotary(t)
	if code, stdout, _ := notaryd(t, "ca", "show", "--config", config); code != exitOK || !strings.HasPrefix(stdout, "-----BEGIN CERTIFICATE") {
		t.Errorf("ca show: exit status %d: %s", code, stdout)
	}
	code, stdout, stderr := notaryd(t, "ca", "client", "--config", config, "--out", "-", "site-701")
	if code != exitOK || !strings.Contains(stdout, "PRIVATE KEY") || !strings.Contains(stdout, "CERTIFICATE") {
		t.Errorf("ca client: exit status %d: %s%s", code, stdout, stderr)
	}
	out := t.TempDir()
	for range 2 { // the second must not replace the first
		code, _, stderr = notaryd(t, "ca", "server", "--config", config, "--out", out, "second", "notary.example", "10.0.0.1")
	}
	if code != exitRefused || !strings.Contains(stderr, "exists") {
		t.Errorf("a second certificate of one name: exit status %d: %s", code, stderr)
	}
	if code, _, _ := notaryd(t, "ca", "client", "--config", config, "../x"); code != exitUsage {
		t.Errorf("a name that is a path: got exit status %d, want %d", code, exitUsage)
	}
}

// TestSecondMark keeps the mark on another volume: made with a new notary, on
// purpose for an old one, and never in place of a lost one.
func TestSecondMark(t *testing.T) {
	config := newNotary(t)
	mark := filepath.Join(t.TempDir(), "mark")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append(text, "store: {markPath: "+mark+"}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := notaryd(t, "check", "--config", config); code != exitRefused || !strings.Contains(stderr, "mark") {
		t.Errorf("check without the second mark: got exit status %d and %q", code, stderr)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("check made the second mark")
	}
	if code, _, stderr := notaryd(t, "mark", "create", "--config", config); code != exitOK {
		t.Errorf("mark create: %s", stderr)
	}
	if code, _, stderr := notaryd(t, "mark", "create", "--config", config); code != exitRefused || !strings.Contains(stderr, "exist") {
		t.Errorf("mark create twice: got exit status %d and %q", code, stderr)
	}
	if code, _, stderr := notaryd(t, "check", "--config", config); code != exitOK {
		t.Errorf("check with both marks: %s", stderr)
	}
}

func TestUserRefusals(t *testing.T) {
	config := newNotary(t)
	charter := strings.Repeat("ab", 32)
	for _, args := range [][]string{
		{"bad name", "--role", "operator"},
		{"../x", "--role", "operator"},
		{"u", "--role", "admin"},
		{"u"},
		{"u", "--role", "site", "--trial", charter},
		{"u", "--role", "site", "--site", "701"},
		{"u", "--role", "auditor"},
		{"u", "--role", "auditor", "--trial", "12"},
		{"u", "--role", "sponsor"},
		{"u", "--role", "sponsor", "--organisation", "X", "--trial", charter},
		{"u", "--role", "operator", "--site", "701"},
		{"u", "--role", "operator", "--token-out", "a", "--cert-out", "b"},
	} {
		args = append([]string{"user", "add", "--config", config}, args...)
		if code, _, stderr := notaryd(t, args...); code != exitUsage {
			t.Errorf("%v: got exit status %d, want %d: %s", args, code, exitUsage, stderr)
		}
	}
	_, stdout, _ := notaryd(t, "user", "list", "--config", config)
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("a refused user was stored:\n%s", stdout)
	}
}

func TestKeyRefusals(t *testing.T) {
	config := newNotary(t)
	dir := filepath.Dir(config)
	if err := os.Chmod(filepath.Join(dir, "keys/log.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := notaryd(t, "check", "--config", config)
	if code != exitRefused || !strings.Contains(stderr, "chmod 600") {
		t.Errorf("a key that everybody reads: got exit status %d and %q", code, stderr)
	}
	other, err := os.ReadFile(filepath.Join(dir, "keys/notary.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "keys/log.key")), os.WriteFile(filepath.Join(dir, "keys/log.key"), other, 0o600)); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = notaryd(t, "check", "--config", config)
	if code != exitRefused || !strings.Contains(stderr, "want Ed25519") {
		t.Errorf("a key of another type: got exit status %d and %q", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"serve", "--colour"}, {"serve", "--config", "missing.yaml"}, {"check", "x"}, {"ca", "client"}} {
		if code, _, stderr := notaryd(t, args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: got exit status %d and %q, want %d and a reason", args, code, stderr, exitUsage)
		}
	}
}
