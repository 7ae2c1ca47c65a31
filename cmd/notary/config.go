package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

// configName is looked for in the working folder.
const configName = "notary.yaml"

// maxConfig bounds notary.yaml, in bytes.
const maxConfig = 64 << 10

// config is notary.yaml. Every field may be left out; a flag
// wins over it. Paths are relative to the file's folder. Unknown fields are refused.
//
//	server: notary.example:7443
//	token: site701.token
//	ca: ca.pem
//	trial: NCT04573309
//	site: "701"
//	key: coordinator.key
//	trust: trust
type config struct {
	// Server is the notary's gRPC address, host:port.
	Server string `yaml:"server"`
	// Token is a file with a bearer token.
	Token string `yaml:"token"`
	// CA is a PEM file with the authorities that may vouch for the server.
	CA string `yaml:"ca"`
	// Cert and CertKey are PEM files of a client certificate.
	Cert    string `yaml:"cert"`
	CertKey string `yaml:"certKey"`
	// ServerName is the name in the server's certificate, if not the host.
	ServerName string `yaml:"serverName"`
	// Insecure turns TLS off; loopback only.
	Insecure bool `yaml:"insecure"`
	// Tiles is the URL of the log's public files.
	Tiles string `yaml:"tiles"`
	// Trial is a charter's id or a registry number.
	Trial string `yaml:"trial"`
	// Site is the site that statements are about.
	Site string `yaml:"site"`
	// Key is the signing key, PEM (PKCS #8).
	Key string `yaml:"key"`
	// Trust is the trial's trust folder.
	Trust string `yaml:"trust"`
	// State is the folder for unanswered statements and checkpoints.
	State string `yaml:"state"`
	// Receipts is the folder for receipts; empty means beside each input.
	Receipts string `yaml:"receipts"`
}

// readConfig reads the named file, or notary.yaml in the working folder if
// there is one.
func readConfig(path string) (config, error) {
	implicit := path == ""
	if implicit {
		path = configName
	}
	f, err := os.Open(path)
	if implicit && errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, fmt.Errorf("%s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	return c, nil
}

// parseConfig reads one strict YAML document.
func parseConfig(text []byte) (config, error) {
	var c config
	if len(text) > maxConfig {
		return c, fmt.Errorf("invalid configuration: got more than %d bytes, want at most that", maxConfig)
	}
	if noFields(text) {
		return c, nil
	}
	err := yaml.Load(text, &c, yaml.WithKnownFields(), yaml.WithUniqueKeys())
	if err != nil {
		return config{}, fmt.Errorf("invalid configuration: %w", err)
	}
	return c, nil
}

// noFields tells whether there is nothing but blank lines and comments.
func noFields(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// resolve makes paths relative to the file's folder.
func (c *config) resolve(dir string) {
	for _, p := range []*string{&c.Token, &c.CA, &c.Cert, &c.CertKey, &c.Key, &c.Trust, &c.State, &c.Receipts} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}
