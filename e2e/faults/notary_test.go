package faults

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// built is a folder with the program and the notary of one run of `notaryd demo`,
// which every test copies.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "notary-faults-")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "notaryd"), "./cmd/notaryd"},
		{filepath.Join(dir, "notaryd"), "demo", "--once", "--dir", filepath.Join(dir, "demo")},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// notary is a notary's folder with one trial, and a site that submits to it.
type notary struct {
	program, dir string
	token        string
	trust        *receipt.Trust
	draft        *client.Draft
	key          crypto.Signer
	made         int
}

// newNotary makes a notary in dir, whose log, database and second mark may lie
// elsewhere: settings are further lines of the configuration.
func newNotary(t *testing.T, dir, settings string) *notary {
	t.Helper()
	made, err := built()
	must(t, err)
	must(t, exec.Command("cp", "-a", filepath.Join(made, "demo"), dir).Run()) // with the modes of the keys
	n := &notary{program: filepath.Join(made, "notaryd"), dir: dir}
	n.set(t, settings)
	token, err := os.ReadFile(filepath.Join(dir, "tokens/site-701"))
	must(t, err)
	n.token = strings.TrimSpace(string(token))
	n.trust, err = client.ReadTrust(filepath.Join(dir, "trust"))
	must(t, err)
	pem, err := os.ReadFile(filepath.Join(dir, "keys/people/coordinator-701.key"))
	must(t, err)
	n.key, err = trial.ParsePrivateKeyPEM(pem)
	must(t, err)
	public, err := trial.NewPublicKey(n.key.Public())
	must(t, err)
	n.draft, err = client.NewDraft(n.trust, nil, public, trial.RoleSiteCoordinator)
	must(t, err)
	return n
}

// sign signs a statement about a dataset that nobody has.
func (n *notary) sign(t *testing.T) *trial.Envelope {
	t.Helper()
	return n.signFiles(t, 1)
}

// signFiles signs a statement about so many files.
func (n *notary) signFiles(t *testing.T, files int) *trial.Envelope {
	t.Helper()
	n.made++
	d := *n.draft
	d.Subjects = nil
	for i := range files {
		digest := sha256.Sum256(fmt.Append(nil, n.made, " ", i))
		d.Subjects = append(d.Subjects, trial.Subject{
			Name: fmt.Sprintf("vs-%d.json", i), Digests: trial.SHA256(digest),
		})
	}
	d.Predicate.Kind, d.Predicate.Site, d.Predicate.Meaning = trial.KindDataset, "701", trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}
	env, err := d.Sign(n.key, time.Now(), "UTC")
	must(t, err)
	return env
}

// signLarge signs statements about a thousand files each, which are kept beside
// the database.
func (n *notary) signLarge(t *testing.T, count int) []*trial.Envelope {
	t.Helper()
	return n.signAbout(t, count, 1000)
}

// signMedium signs statements that are nearly as large as the database itself
// keeps them.
func (n *notary) signMedium(t *testing.T, count int) []*trial.Envelope {
	t.Helper()
	return n.signAbout(t, count, 100)
}

func (n *notary) signAbout(t *testing.T, count, files int) []*trial.Envelope {
	t.Helper()
	envs := make([]*trial.Envelope, count)
	for i := range envs {
		envs[i] = n.signFiles(t, files)
	}
	return envs
}

func (n *notary) signMany(t *testing.T, count int) []*trial.Envelope {
	t.Helper()
	envs := make([]*trial.Envelope, count)
	for i := range envs {
		envs[i] = n.sign(t)
	}
	return envs
}

// server is a running notaryd.
type server struct {
	cmd    *exec.Cmd
	addr   string // of gRPC
	stderr *bytes.Buffer
	kill   func()
}

var servingLine = regexp.MustCompile(`gRPC on (\S+), HTTP on`)

// start starts the server and waits until it serves.
func (n *notary) start(t *testing.T) *server {
	t.Helper()
	s, line := n.launch(t)
	m := servingLine.FindStringSubmatch(line)
	if m == nil {
		s.kill()
		t.Fatalf("the server did not start: %s", s.stderr)
	}
	s.addr = m[1]
	return s
}

func (n *notary) launch(t *testing.T) (s *server, firstLine string) {
	t.Helper()
	cmd := exec.Command(n.program, "serve", "--config", filepath.Join(n.dir, "notaryd.yaml"))
	s = &server{cmd: cmd, stderr: &bytes.Buffer{}}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed" is what was wanted
	})
	t.Cleanup(s.kill)
	firstLine, _ = bufio.NewReader(out).ReadString('\n')
	return s, firstLine
}

// wantRefused demands that the server refuses to start, by words of which all are
// in what it says.
func (n *notary) wantRefused(t *testing.T, words ...string) {
	t.Helper()
	s, line := n.launch(t)
	s.kill()
	if line != "" {
		t.Fatalf("the server started: %s", line)
	}
	for _, w := range words {
		if !strings.Contains(s.stderr.String(), w) {
			t.Errorf("the server said %q, want %q in it", s.stderr, w)
		}
	}
	t.Logf("refused: %s", strings.TrimSpace(s.stderr.String()))
}

// check is the operator's full check.
func (n *notary) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, n.program, "check", "--config", filepath.Join(n.dir, "notaryd.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("notaryd check: %v: %s", err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until reached returns true.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// useSecondMark adds the second copy of the high-water mark, as an operator does.
func (n *notary) useSecondMark(t *testing.T) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(n.dir, "mark"), 0o700))
	n.set(t, "store: {markPath: mark/notary.mark}\n")
	out, err := exec.Command(n.program, "mark", "create", "--config", filepath.Join(n.dir, "notaryd.yaml")).CombinedOutput()
	if err != nil {
		t.Fatalf("notaryd mark create: %v: %s", err, out)
	}
}

// set adds lines to the configuration.
func (n *notary) set(t *testing.T, lines string) {
	t.Helper()
	path := filepath.Join(n.dir, "notaryd.yaml")
	config, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(config, lines...), 0o600))
}
