package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/rpc"
)

// TestLimitsReachTheServer gives every limit a value of its own, and finds it
// where calls are limited.
func TestLimitsReachTheServer(t *testing.T) {
	c, err := parseConfig([]byte(`origin: log.example
limits: {connections: 1, addressConnections: 2, userRate: 3, userBytes: 10, userInFlight: 4, userAuthority: 5, userReads: 6,
  userStreams: 7, addressRate: 8, addressInFlight: 9, failureRate: -1}
times: {users: 10s}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := rpc.Limits{
		MaxConnections: 1, MaxAddressConnections: 2, UserRate: 3, UserBytes: 10, UserInFlight: 4, UserAuthority: 5, UserReads: 6,
		UserStreams: 7, AddressRate: 8, AddressInFlight: 9, FailureRate: -1, UserAge: 10 * time.Second,
	}
	if got := c.callLimits(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A user's share stays below the whole, whatever that is.
	for text, want := range map[string]int{"": 12288, "limits: {inFlight: 400}\n": 300, "limits: {inFlight: 1}\n": 1} {
		c, err := parseConfig([]byte("origin: log.example\n" + text))
		if err != nil || c.Limits.UserInFlight != want {
			t.Errorf("%q: got %d (%v), want %d", text, c.Limits.UserInFlight, err, want)
		}
	}
	// What is left out gets a default, so that nothing is unlimited by mistake.
	c, err = parseConfig([]byte("origin: log.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	limits := reflect.ValueOf(c.Limits)
	for i := range limits.NumField() {
		if limits.Field(i).Int() <= 0 {
			t.Errorf("limits.%s has no default", limits.Type().Field(i).Tag.Get("yaml"))
		}
	}
}

func TestPageKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.key")
	if key, err := readPageKey(path); key != nil || err != nil {
		t.Errorf("got %v (%v) without a file, want none", key, err)
	}
	if err := writePageKey(path); err != nil {
		t.Fatal(err)
	}
	key, err := readPageKey(path)
	if err != nil || len(key) != pageKeySize {
		t.Fatalf("got %d bytes (%v), want %d", len(key), err, pageKeySize)
	}
	if again, err := readPageKey(path); err != nil || string(again) != string(key) {
		t.Errorf("got another key (%v) from the same file", err)
	}
	if err := writePageKey(path); err == nil {
		t.Error("a page key was replaced")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "short": "AAAA\n", "not base64": strings.Repeat("?", 44), "two lines": string(text) + string(text), "spaces": " " + string(text),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := readPageKey(path); err == nil || strings.Contains(err.Error(), strings.TrimSpace(string(text))) {
			t.Errorf("%s: got %v (%v), want an error", name, key, err)
		}
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readPageKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v for a file that everybody reads", err)
	}
}
