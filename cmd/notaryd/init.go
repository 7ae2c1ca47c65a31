package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
)

// configTemplate is the file that `init` writes. What is left out has its
// default; docs/operations.md lists every field.
const configTemplate = `# Trial Notary configuration. Every field and its default: docs/operations.md.
origin: %s
listen:
  grpc: %s
  http: %s
`

// policyNone is the witness policy of a log without witnesses: a choice, made
// in writing.
const policyNone = "# C2SP tlog-policy: no witness is required.\nlog %s\nquorum none\n"

type initOptions struct {
	dir, origin string
	hosts       []string
	grpc, http  string
	now         time.Time
}

func initCommand(stdout io.Writer) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init --dir DIR --origin HOST",
		Short: "create keys, certificates, configuration and an empty log",
		Long: "init creates a notary in an empty or missing folder: the log's key, the\n" +
			"notary's statement key, a private CA with a server certificate, the database,\n" +
			"an empty log and notaryd.yaml. It never touches a notary that exists.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.now = time.Now()
			if err := initNotary(cmd.Context(), o); err != nil {
				return err
			}
			_, err := fmt.Fprintf(stdout, "created a notary for %s in %s\nserve it with: notaryd serve --config %s\n",
				o.origin, o.dir, filepath.Join(o.dir, "notaryd.yaml"))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "folder to create the notary in (required)")
	f.StringVar(&o.origin, "origin", "", "the log's name: a host name that is never used for another log (required)")
	f.StringSliceVar(&o.hosts, "host", nil, "further host names and IP addresses of the server certificate")
	f.StringVar(&o.grpc, "grpc", "127.0.0.1:7443", "gRPC address for the configuration")
	f.StringVar(&o.http, "http", "127.0.0.1:7444", "HTTP address for the configuration")
	must(cmd.MarkFlagRequired("dir"), cmd.MarkFlagRequired("origin"))
	return cmd
}

// initNotary creates a notary. It makes everything in a folder beside the
// target and renames it at the end, so that a failure leaves no half notary.
func initNotary(ctx context.Context, o initOptions) (err error) {
	if err := checkOrigin(o.origin); err != nil {
		return usageError{fmt.Errorf("--origin: %w", err)}
	}
	if err := checkEmpty(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(o.dir)), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(o.dir)), ".notaryd-init-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := fillNotary(ctx, tmp, o); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o750); err != nil {
		return err
	}
	if err := os.Remove(o.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(tmp, o.dir)
}

// checkEmpty refuses a folder that holds anything.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty (it holds %s): init never touches what exists; give another --dir", dir, entries[0].Name())
	}
	return nil
}

func fillNotary(ctx context.Context, dir string, o initOptions) error {
	for _, sub := range []string{"keys", "tls"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o750); err != nil {
			return err
		}
	}
	logKey, err := newLogKey()
	if err != nil {
		return err
	}
	statementKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writePrivateKey(filepath.Join(dir, "keys/log.key"), logKey); err != nil {
		return err
	}
	if err := writePrivateKey(filepath.Join(dir, "keys/notary.key"), statementKey); err != nil {
		return err
	}
	if err := writePageKey(filepath.Join(dir, "keys/page.key")); err != nil {
		return err
	}
	signer, vkey, err := noteKeys(o.origin, logKey)
	if err != nil {
		return err
	}
	files := map[string]string{
		"notaryd.yaml": fmt.Sprintf(configTemplate, o.origin, o.grpc, o.http),
		"policy":       fmt.Sprintf(policyNone, vkey),
		"log.vkey":     vkey + "\n",
	}
	for name, content := range files {
		if err := writeNew(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	ca, err := createAuthority(filepath.Join(dir, "tls"), o.origin, o.now)
	if err != nil {
		return err
	}
	hosts := append([]string{o.origin, "localhost", "127.0.0.1", "::1"}, o.hosts...)
	server, err := ca.issueServer(hosts, o.now)
	if err != nil {
		return err
	}
	if err := server.write(filepath.Join(dir, "tls"), "server"); err != nil {
		return err
	}
	if err := store.Create(filepath.Join(dir, "notary.db")); err != nil {
		return err
	}
	return tesseralog.Create(ctx, filepath.Join(dir, "log"), signer)
}
