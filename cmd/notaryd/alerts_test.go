package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// ruleFile is a Prometheus rule file, as far as alerts need it.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// TestAlerts holds docs/alerts.yaml and docs/operations.md against what a scrape of
// the running server says: every metric, label and value that they name is there,
// and every metric that is there has its meaning on the page.
func TestAlerts(t *testing.T) {
	s := shownTrial(t, func(c *Config) { c.Times.FullCheck = 10 * time.Millisecond })
	var seen *scraped
	waitUntil(t, func() bool {
		seen = s.families(t)
		return len(seen.labels["trialnotary_full_check_success_timestamp_seconds"]) > 0
	})
	page := readDoc(t, "operations.md")
	rows := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(Notary[A-Za-z]+)` \\|").FindAllStringSubmatch(page, -1) {
		rows[row[1]] = true
	}
	var rules ruleFile
	if err := yaml.Load([]byte(readDoc(t, "alerts.yaml")), &rules, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		t.Fatal(err)
	}
	alerts := make(map[string]bool)
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if alerts[r.Alert] || !rows[r.Alert] {
				t.Errorf("alert %q stands twice in the rules, or not in docs/operations.md", r.Alert)
			}
			alerts[r.Alert] = true
			r.check(t)
			for _, p := range seen.problems(r.Expr) {
				t.Errorf("alert %s: %s", r.Alert, p)
			}
		}
	}
	if !maps.Equal(alerts, rows) {
		t.Errorf("docs/operations.md has alerts %v, the rules have %v", slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(alerts)))
	}
	// What the page quotes: names, names with labels, and whole queries.
	quoted := make(map[string]bool)
	for _, q := range regexp.MustCompile("`([^`\n]*(?:trialnotary|process)_[^`\n]*)`").FindAllStringSubmatch(page, -1) {
		for _, p := range seen.problems(q[1]) {
			t.Errorf("docs/operations.md: %s: %s", q[1], p)
		}
		quoted[metricName.FindString(q[1])] = true
	}
	for name := range seen.labels {
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "trialnotary_") && !quoted[name] {
			t.Errorf("docs/operations.md does not say what %s means", name)
		}
	}
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (r *rule) check(t *testing.T) {
	t.Helper()
	if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
		t.Errorf("alert %s: for: %v", r.Alert, err)
	}
	if severity := r.Labels["severity"]; len(r.Labels) != 1 || severity != "critical" && severity != "warning" {
		t.Errorf("alert %s: got labels %v, want a severity", r.Alert, r.Labels)
	}
	if summary := r.Annotations["summary"]; len(r.Annotations) != 1 || !strings.HasSuffix(summary, ".") {
		t.Errorf("alert %s: got annotations %v, want a summary", r.Alert, r.Annotations)
	}
}

// scraped are the samples of a scrape: for each name the labels of its samples.
type scraped struct {
	labels map[string][]map[string]string
}

var (
	metricName = regexp.MustCompile(`\b(?:trialnotary|process|go)_[a-z0-9_]*[a-z0-9]`)
	selector   = regexp.MustCompile(`(\b(?:trialnotary|process|go)_[a-z0-9_]*[a-z0-9])(?:\{([^}]*)\})?`)
	matcher    = regexp.MustCompile(`([a-z]+)(?:(=~|!=|=)"([^"]*)")?`)
	label      = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

func (s *story) families(t *testing.T) *scraped {
	t.Helper()
	samples, _ := s.scrape(t)
	out := &scraped{labels: make(map[string][]map[string]string)}
	for name := range samples {
		name, rest, _ := strings.Cut(name, "{")
		labels := make(map[string]string)
		for _, l := range label.FindAllStringSubmatch(rest, -1) {
			labels[l[1]] = l[2]
		}
		out.labels[name] = append(out.labels[name], labels)
	}
	return out
}

// problems tells what a query names that there is not, and which brackets do not
// close. It is no parser of queries.
func (s *scraped) problems(query string) (out []string) {
	if strings.HasSuffix(query, "_*") {
		return nil // the names of a library, as a whole
	}
	for _, pair := range []string{"()", "[]", "{}"} {
		if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
			out = append(out, pair+" do not close")
		}
	}
	for _, found := range selector.FindAllStringSubmatch(query, -1) {
		samples := s.labels[found[1]]
		if samples == nil { // a histogram by its name
			samples = s.labels[found[1]+"_bucket"]
		}
		if samples == nil {
			out = append(out, "there is no metric "+found[1])
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			if m[1] == "job" { // Prometheus adds it
				continue
			}
			for want := range strings.SplitSeq(m[3], "|") {
				if !slices.ContainsFunc(samples, func(labels map[string]string) bool {
					got, ok := labels[m[1]]
					return ok && (m[2] == "" || got == want)
				}) {
					out = append(out, fmt.Sprintf("%s has no label %s %q", found[1], m[1], want))
				}
			}
		}
	}
	return out
}

// TestAlertsAreChecked holds the check itself against wrong queries.
func TestAlertsAreChecked(t *testing.T) {
	seen := &scraped{labels: map[string][]map[string]string{"trialnotary_x_total": {{"reason": "A"}, {"reason": "B"}}}}
	for query, good := range map[string]bool{
		`rate(trialnotary_x_total{reason="A"}[5m]) > 0`: true, `trialnotary_x_total{reason=~"A|B"}`: true, "trialnotary_x_total{reason}": true,
		`trialnotary_y_total`: false, `trialnotary_x_total{reason="C"}`: false, `trialnotary_x_total{code="A"}`: false,
		`rate(trialnotary_x_total[5m]`: false, `trialnotary_x_total{reason=~"A|C"}`: false, "trialnotary_x_total{code}": false,
	} {
		if found := seen.problems(query); len(found) == 0 != good {
			t.Errorf("%s: got %v, want good: %v", query, found, good)
		}
	}
}
