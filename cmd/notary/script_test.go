package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

// TestScripts runs testdata/script: the real command against a real notary.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[boxKey{}] = &serverBox{}
			env.Setenv("TZ", "Europe/Berlin")
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, ".state"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server":  cmdServer,
			"user":    cmdUser,
			"config":  cmdConfig,
			"capture": cmdCapture,
			"bigdir":  cmdBigDir,
			"flip":    cmdFlip,
			"forge":   cmdForge,
			"status":  cmdStatus,
			"sum":     cmdSum,
			"mode":    cmdMode,
			"table":   cmdTable,
			"count":   cmdCount,

			"setup-trial": cmdSetupTrial,
			"signed":      cmdSigned,
		},
	}
}

// signed RECEIPT prints the statement that was signed.
func cmdSigned(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signed RECEIPT")
	}
	r, _, err := client.ReadReceipt(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = ts.Stdout().Write(r.Envelope.Payload)
	ts.Check(err)
}

// server start | stop | save NAME | restore NAME: the notary of this script.
// start sets $SERVER and $TILES.
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	box := boxOf(ts)
	dir := ts.MkAbs("server")
	switch {
	case args[0] == "start" && box.server == nil:
		srv, err := newServer(dir)
		ts.Check(err)
		box.server, box.up = srv, true
		ts.Defer(func() {
			if box.up {
				ts.Check(box.server.stop())
			}
		})
		ts.Setenv("SERVER", srv.grpc)
		ts.Setenv("TILES", "http://"+srv.http)
	case args[0] == "start":
		ts.Check(box.server.start())
		box.up = true
	case args[0] == "stop":
		ts.Check(box.server.stop())
		box.up = false
	case args[0] == "save":
		ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(dir)))
	case args[0] == "restore":
		ts.Check(os.RemoveAll(dir))
		ts.Check(os.CopyFS(dir, os.DirFS(ts.MkAbs(args[1]))))
	default:
		ts.Fatalf("server: got %v", args)
	}
}

type serverBox struct {
	server *server
	up     bool
}

// boxKey finds a script's server in its environment.
type boxKey struct{}

func boxOf(ts *testscript.TestScript) *serverBox { return ts.Value(boxKey{}).(*serverBox) }

// user NAME sponsor ORGANISATION | user NAME site TRIAL SITE | user NAME auditor
// TRIAL: a user whose token is in NAME.token.
func cmdUser(ts *testscript.TestScript, _ bool, args []string) {
	g := store.Grant{Role: store.Role(args[1])}
	switch args[1] {
	case "sponsor":
		g.Organisation = args[2]
	default:
		id, err := trial.ParseID(args[2])
		ts.Check(err)
		g.Trial, g.Sites = id, args[3:]
	}
	ts.Check(boxOf(ts).server.addUser(args[0], ts.MkAbs(args[0]+".token"), g))
}

// config FILE FIELD=VALUE…: a notary.yaml for this script's server.
func cmdConfig(ts *testscript.TestScript, _ bool, args []string) {
	text := fmt.Sprintf("server: %s\ninsecure: true\n", boxOf(ts).server.grpc)
	for _, f := range args[1:] {
		name, value, _ := strings.Cut(f, "=")
		text += fmt.Sprintf("%s: %q\n", name, value)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// capture NAME PREFIX: sets $NAME to the word after the prefix in the
// last command's output.
func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	_, rest, ok := strings.Cut(text, args[1])
	if !ok {
		ts.Fatalf("capture: no %q in:\n%s", args[1], text)
	}
	word := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(" \n\t,\"'", r) })[0]
	ts.Setenv(args[0], word)
}

// bigdir DIR N: a folder of N small files.
func cmdBigDir(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	for i := range n {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), fmt.Sprintf("f%04d.csv", i)), fmt.Appendf(nil, "row %d\n", i), 0o644))
	}
}

// flip FILE: changes one bit in the middle of a file.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o644))
}

// forge RECEIPT: changes what was signed, so that the signature does not stand.
func cmdForge(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	text, err := os.ReadFile(path)
	ts.Check(err)
	_, rest, ok := strings.Cut(string(text), `"payload":"`)
	payload, _, found := strings.Cut(rest, `"`)
	if !ok || !found {
		ts.Fatalf("forge: %s has no payload", args[0])
	}
	plain, err := base64.StdEncoding.DecodeString(payload)
	ts.Check(err)
	forged := base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(plain), "routine", "interim", 1)))
	ts.Check(os.WriteFile(path, []byte(strings.Replace(string(text), payload, forged, 1)), 0o644))
}

// status N COMMAND ARG…: the command's exit status is N. Scripts know only zero
// and not zero by themselves.
func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("status: %v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("status: got %d, want %s\nstdout:\n%s\nstderr:\n%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// mode FILE OCTAL: the file has these permissions.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("mode of %s: got %s, want %s", args[0], got, args[1])
	}
}

// count N GLOB: so many files match.
func cmdCount(ts *testscript.TestScript, _ bool, args []string) {
	paths, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if fmt.Sprint(len(paths)) != args[0] {
		ts.Fatalf("count %s: got %d, want %s: %v", args[1], len(paths), args[0], paths)
	}
}

// setup-trial [SITE…]: a trial with site 701 and others, 701's investigator and its
// coordinator, and the configurations sponsor.yaml, site.yaml and pinned.yaml. It sets $TRIAL.
func cmdSetupTrial(ts *testscript.TestScript, _ bool, sites []string) {
	notary := func(args ...string) {
		ts.Check(ts.Exec("notary", args...))
	}
	cmdUser(ts, false, []string{"sponsor", "sponsor", "Example Pharma"})
	for _, name := range []string{"sponsor", "recovery", "investigator", "coordinator"} {
		notary("keygen", "-o", name)
	}
	cmdConfig(ts, false, []string{"sponsor.yaml", "token=sponsor.token", "key=sponsor.key", "trust=trust"})
	create := []string{
		"trial", "create", "--config", "sponsor.yaml", "--recovery-key", "recovery.key", "--organisation", "Example Pharma",
		"--signer-name", "Dr. Ada Sponsor", "--site", "701=Charité Berlin,DE", "--registry", "nct=NCT04573309", "-o", "charter",
	}
	for _, site := range sites {
		create = append(create, "--site", site+"=Site "+site)
	}
	notary(create...)
	cmdCapture(ts, false, []string{"TRIAL", "statement "})
	person := func(key, id, name, role string) {
		notary("enrol", "--config", "sponsor.yaml", "--holder-key", key+".key", "--holder", id, "--name", name,
			"--organisation", "Charité", "--organisation-type", "site", "--role", role, "--site", "701", "--receipts", "receipts")
	}
	person("investigator", "weber", "Prof. Karl Weber", "investigator")
	person("coordinator", "berg", "Anna Berg", "site-coordinator")
	cmdCapture(ts, false, []string{"ENROLMENT", "statement "})
	cmdUser(ts, false, []string{"site", "site", ts.Getenv("TRIAL"), "701"})
	site := []string{"token=site.token", "key=coordinator.key", "trial=" + ts.Getenv("TRIAL"), "site=701"}
	cmdConfig(ts, false, append([]string{"pinned.yaml"}, site...))
	cmdConfig(ts, false, append([]string{"site.yaml", "trust=trust"}, site...))
	notary("endorse", "--config", "site.yaml", "--key", "investigator.key", "--receipts", "receipts", ts.Getenv("ENROLMENT"))
}

// sum NAME FILE: sets $NAME to the SHA-256 of a file.
func cmdSum(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[1]))
	ts.Check(err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprintf("%x", h.Sum(nil)))
}
