package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// golden compares what a command prints, as text and as JSON, with the files of
// testdata/golden.
func golden(t *testing.T, name string, v any, text func(w io.Writer)) {
	t.Helper()
	for _, output := range []string{"text", "json"} {
		var out bytes.Buffer
		a := &app{stdout: &out, stderr: io.Discard, output: output}
		if err := a.print(v, text); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "golden", name+"."+output)
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", path, out.Bytes(), want)
		}
	}
}

func testResult() *verifyResult {
	index := uint64(12)
	return &verifyResult{
		Path: "data/adsl.xpt", Receipt: "data/adsl.xpt.receipt.json", Verified: true, Verdict: receipt.Identical,
		Summary: "verified", StatementID: strings.Repeat("ab", 32), Kind: trial.KindDataset, Site: "701", Version: "2",
		LogIndex: &index, LogTime: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC), KnownUpTo: 40,
		Signer: &receipt.Signer{
			KeyID: trial.KeyID{1, 2, 3}, Name: "Anna Berg", Organisation: "Charité", Roles: []trial.Role{trial.RoleSiteCoordinator},
		},
		Files:  []receipt.FileResult{{Name: "adsl.xpt", Outcome: receipt.Identical, Detail: "the same bytes"}},
		Checks: []receipt.Check{{Name: receipt.CheckFileDigest, Outcome: receipt.Passed, Detail: "the same bytes"}},
	}
}

func TestVerifyOutput(t *testing.T) {
	same := testResult()
	differs := testResult()
	differs.Verified, differs.Verdict, differs.Summary = false, receipt.NotComparable, "adsl.xpt differs"
	differs.Files = []receipt.FileResult{{Name: "adsl.xpt", Outcome: receipt.NotComparable, Detail: "its SHA-256 is another"}}
	differs.Checks = []receipt.Check{{Name: receipt.CheckFileDigest, Outcome: receipt.Failed, Detail: "its SHA-256 is another"}}
	unproven := testResult()
	unproven.Verified, unproven.Signer, unproven.Summary = false, nil, "signer unproven"
	unproven.Checks = []receipt.Check{{Name: receipt.CheckKeyEnrolled, Outcome: receipt.Failed, Detail: "signer unproven"}}
	folder := testResult()
	folder.Path = "data"
	folder.Files = append(folder.Files, receipt.FileResult{Name: "new.csv", Outcome: receipt.NotNotarized, Detail: "not listed"})
	folder.Verified, folder.Verdict = false, receipt.NotNotarized
	folder.wholeFolder([]string{"gone.csv"}, nil)
	results := []*verifyResult{
		same, differs, unproven, folder,
		{Path: "other.csv", Verdict: receipt.NotNotarized, Summary: "not notarized: there is no receipt other.csv.receipt.json"},
		{Path: "absent.csv", Summary: "the file cannot be read: no such file or directory", Unreadable: true},
	}
	golden(t, "verify", results, func(w io.Writer) {
		for _, r := range results {
			r.print(w, false)
		}
	})
}

func TestSubmitOutput(t *testing.T) {
	index := uint64(7)
	done := submitResult{
		Path: "big", Status: statusNotarized, StatementID: strings.Repeat("cd", 32), LogIndex: &index, Receipt: "big.receipt.json",
		Manifest: "big.manifest.json", Kind: trial.KindDataset, Continuity: client.ContinuityProven,
	}
	refused := submitResult{Path: "a.csv", Receipt: "a.csv.receipt.json"}
	refused.fail(&client.Refused{Code: codes.PermissionDenied, Reason: trial.ReasonKeyRevoked, Message: "the key was revoked"})
	silent := submitResult{Path: "b.csv", Receipt: "b.csv.receipt.json"}
	silent.fail(fmt.Errorf("after 10 attempts: %w", client.ErrUnanswered))
	failed := submitResult{Path: "c.csv"}
	failed.fail(errors.New("disk full"))
	results := []submitResult{done, refused, silent, failed, {Path: "d.csv"}}
	golden(t, "submit", results, func(w io.Writer) {
		for _, r := range results {
			r.print(w)
		}
	})
}

func TestWho(t *testing.T) {
	for want, s := range map[string]receipt.Signer{
		"Anna Berg (site-coordinator), Charité (site)": {Name: "Anna Berg", Organisation: "Charité", OrganisationType: trial.OrganisationSite, Roles: []trial.Role{trial.RoleSiteCoordinator}},
		"Example Pharma (sponsor)":                     {Name: "Example Pharma", Organisation: "Example Pharma", OrganisationType: trial.OrganisationSponsor},
		"the notary itself":                            {},
	} {
		if got := who(&s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for n, want := range map[int]string{0: "0 statements", 1: "1 statement", 2: "2 statements"} {
		if got := count(n, "statement", "statements"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCheckZone(t *testing.T) {
	for _, good := range []string{"Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires"} {
		if err := checkZone(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "Local", "Europe/Berlyn", "Berlin", "../UTC", "CEST"} {
		if err := checkZone(bad); err == nil {
			t.Errorf("%q passes for a time zone", bad)
		}
	}
}

// What a user reads never speaks of leaves and trees.
func TestWordsForUsers(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d golden files, %v", len(files), err)
	}
	var text strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	for _, args := range [][]string{{"--help"}, {"submit", "--help"}, {"verify", "--help"}, {"trust", "fetch", "--help"}, {"receipt", "prove", "--help"}, {"enrol", "--help"}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("%v: got status %d", args, code)
		}
		text.Write(out.Bytes())
	}
	for _, word := range []string{"leaf", "Merkle", "blockchain", "tamper-proof", "compliant"} {
		if strings.Contains(strings.ToLower(text.String()), strings.ToLower(word)) {
			t.Errorf("a user reads the word %q", word)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{&client.Refused{}, 1}, {fmt.Errorf("x: %w", client.ErrReceipt), 1}, {client.ErrRolledBack, 1}, {client.ErrForked, 1},
		{client.ErrUnanswered, 1}, {client.ErrOtherAnchors, 1}, {client.ErrFile, 2}, {errors.New("usage"), 2}, {os.ErrNotExist, 2},
	} {
		if got := exitStatus(tc.err); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.err, got, tc.want)
		}
	}
	var status verifyStatus
	if err := status.err(); err != nil {
		t.Errorf("got %v, want none", err)
	}
	status.add(&verifyResult{Verified: true})
	status.add(&verifyResult{Unreadable: true})
	if err := status.err(); !errors.Is(err, errUnreadable) {
		t.Errorf("got %v, want the unreadable input to count", err)
	}
	status.add(&verifyResult{})
	status.add(&verifyResult{Unreadable: true})
	if err := status.err(); !errors.Is(err, errNegative) {
		t.Errorf("got %v, want the negative verdict to weigh more", err)
	}
}

// TestListOutput: a statement that the notary cannot read is not taken for one about
// no file.
func TestListOutput(t *testing.T) {
	file := &notaryv1.Subject{Name: "dm.xpt", Digests: map[string]string{"sha256": strings.Repeat("ab", 32)}}
	var out []listed
	for i, s := range []*client.Statement{
		{Kind: "dataset", Site: "701", Version: "2", Subjects: []*notaryv1.Subject{file, file}, LogTime: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))},
		{Kind: "dataset", Site: "701", Unreadable: true},
	} {
		s.LogIndex, s.StatementId, s.KeyId = uint64(i), strings.Repeat(fmt.Sprint(i), 64), strings.Repeat("c", 64)
		out = append(out, newListed(s))
	}
	golden(t, "list", struct {
		Statements []listed `json:"statements"`
	}{out}, func(w io.Writer) { printListed(w, out) })
}
