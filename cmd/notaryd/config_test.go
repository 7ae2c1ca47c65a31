package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	c, err := parseConfig([]byte("origin: log.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen.GRPC != "127.0.0.1:7443" || c.Times.Checkpoint != 100*time.Millisecond || c.Limits.InFlight != 16384 {
		t.Errorf("got %+v, want the documented defaults", c)
	}
	c.resolve("/srv/notary")
	if c.Log.Dir != "/srv/notary/log" || c.Store.MarkPath != "" {
		t.Errorf("got log %q and mark %q, want /srv/notary/log and none", c.Log.Dir, c.Store.MarkPath)
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no origin":        {"logLevel: info\n", "origin: missing"},
		"unknown field":    {"origin: log.example\ntilesOpen: true\n", "tilesOpen"},
		"duplicate field":  {"origin: log.example\norigin: other.example\n", "origin"},
		"origin with path": {"origin: log.example/log1\n", "want a lowercase host name"},
		"origin with port": {"origin: log.example:443\n", "want a lowercase host name"},
		"upper case":       {"origin: Log.example\n", "want a lowercase host name"},
		"short interval":   {"origin: log.example\ntimes: {checkpoint: 50ms}\n", "at least 100ms"},
		"short mark":       {"origin: log.example\ntimes: {mark: 10ms}\n", "at least 1s"},
		"long memory":      {"origin: log.example\ntimes: {users: 1m}\n", "at most 10s"},
		"negative limit":   {"origin: log.example\nlimits: {inFlight: -1}\n", "at least 1"},
		"check share":      {"origin: log.example\nlimits: {checkShare: 101}\n", "limits.checkShare"},
		"no check share":   {"origin: log.example\nlimits: {checkShare: -1}\n", "limits.checkShare"},
		"negative reserve": {"origin: log.example\nlimits: {minFreeBytes: -1}\n", "limits.minFreeBytes"},
		"negative views":   {"origin: log.example\nlimits: {viewBytes: -1}\n", "limits.viewBytes"},
		"negative wait":    {"origin: log.example\ntimes: {shutdown: -1s}\n", "times.shutdown"},
		"not a time":       {"origin: log.example\ntimes: {clockJump: 5}\n", "line 2"},
		"open plaintext":   {"origin: log.example\ntls: {insecure: true}\nlisten: {grpc: \"0.0.0.0:7443\"}\n", "not a loopback address"},
		"no port":          {"origin: log.example\nlisten: {grpc: localhost}\n", "listen.grpc"},
		"metrics port":     {"origin: log.example\nlisten: {metrics: localhost}\n", "listen.metrics"},
		"ratio alone":      {"origin: log.example\ntracing: {sampleRatio: 0.1}\n", "no endpoint"},
		"no ratio":         {"origin: log.example\ntracing: {endpoint: \"http://c:4317\"}\n", "sampleRatio"},
		"ratio above 1":    {"origin: log.example\ntracing: {endpoint: \"http://c:4317\", sampleRatio: 1.5}\n", "sampleRatio"},
		"ratio not number": {"origin: log.example\ntracing: {endpoint: \"http://c:4317\", sampleRatio: .nan}\n", "sampleRatio"},
		"endpoint":         {"origin: log.example\ntracing: {endpoint: \"c:4317\", sampleRatio: 1}\n", "want http://HOST:PORT"},
		"endpoint path":    {"origin: log.example\ntracing: {endpoint: \"http://c:4317/v1\", sampleRatio: 1}\n", "want http://HOST:PORT"},
		"endpoint user":    {"origin: log.example\ntracing: {endpoint: \"http://u:p@c:4317\", sampleRatio: 1}\n", "want http://HOST:PORT"},
		"CA without TLS":   {"origin: log.example\ntracing: {endpoint: \"http://c:4317\", sampleRatio: 1, ca: ca.crt}\n", "tracing.ca"},
		"pack's path":      {"origin: log.example\nrules: {packs: [\"\"]}\n", "rules.packs"},
		"log level":        {"origin: log.example\nlogLevel: loud\n", "logLevel"},
		"not YAML":         {"origin: [\n", ""},
		"two documents":    {"origin: log.example\n---\norigin: log.example\n", ""},
		"too large":        {"origin: log.example\n#" + strings.Repeat("x", maxConfig), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestConfigIsDocumented holds docs/operations.md against the fields and their
// defaults.
func TestConfigIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{}
	c.setDefaults()
	walkConfig(reflect.ValueOf(*c), "", func(path, value string) {
		want := "| `" + path + "` | `" + value + "` |"
		switch {
		case path == "origin":
			want = "| `origin` | required |"
		case value == "":
			want = "| `" + path + "` | none |"
		}
		if !strings.Contains(string(doc), want) {
			t.Errorf("docs/operations.md has no row %s", want)
		}
	})
}

func walkConfig(v reflect.Value, prefix string, do func(path, value string)) {
	for i := range v.NumField() {
		path := prefix + v.Type().Field(i).Tag.Get("yaml")
		field := v.Field(i)
		if d, ok := reflect.TypeAssert[time.Duration](field); ok {
			do(path, shortDuration(d))
			continue
		}
		if field.Kind() == reflect.Struct {
			walkConfig(field, path+".", do)
			continue
		}
		do(path, strings.TrimSpace(fmt.Sprint(field.Interface())))
	}
}

// shortDuration writes 1m0s as 1m and 24h0m0s as 24h.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("origin: log.example\n"))
	f.Add([]byte("origin: log.example\nlog: {dir: /x}\ntimes: {mark: 2m}\n"))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err == nil && c.validate() != nil {
			t.Error("an accepted configuration is not valid")
		}
	})
}
