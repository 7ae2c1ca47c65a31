package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

func (a *app) keygenCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "keygen -o NAME",
		Short: "Make a signing key: NAME.key and NAME.pub",
		Long: `keygen makes a P-256 key. NAME.key is secret (PKCS #8 PEM, mode 0600): whoever has it can
sign in your name. NAME.pub is public. Neither file is ever overwritten.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.keygen(name) },
	}
	cmd.Flags().StringVarP(&name, "out", "o", "", "write `NAME`.key and NAME.pub")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

type keygenResult struct {
	KeyID string `json:"keyId"`
	Key   string `json:"key"`
	Pub   string `json:"pub"`
}

func (a *app) keygen(name string) error {
	r := keygenResult{Key: name + ".key", Pub: name + ".pub"}
	for _, path := range []string{r.Key, r.Pub} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot make a key: %s exists, and a key is never overwritten", path)
		}
	}
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	secret, err := trial.MarshalPrivateKeyPEM(priv)
	if err != nil {
		return err
	}
	pub, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		return err
	}
	r.KeyID = pub.ID.String()
	if err := client.WriteNew(r.Key, secret, 0o600); err != nil {
		return err
	}
	if err := client.WriteNew(r.Pub, pub.PEM(), 0o644); err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "key id %s\nsecret %s\npublic %s\n", r.KeyID, r.Key, r.Pub)
	})
}

// signer is a private key with its public half.
type signer struct {
	priv crypto.Signer
	pub  *trial.PublicKey
}

// readKey reads a NAME.key.
func (a *app) readKey(path, flag string) (*signer, error) {
	if path == "" {
		return nil, fmt.Errorf("missing %s: want the file of a signing key", flag)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	priv, err := trial.ParsePrivateKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && isPosix {
		a.notef("warning: %s is readable by others; run: chmod 600 %s", path, path)
	}
	pub, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	return &signer{priv: priv, pub: pub}, nil
}

// readPublicKey reads a NAME.pub, or takes the public half of a NAME.key.
func readPublicKey(path string) (*trial.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	pub, err := trial.ParsePublicKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("reading the public key %s: %w", path, err)
	}
	return pub, nil
}
