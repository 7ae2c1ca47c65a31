package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// connection is a client with its state folder and the trial's trust folder.
type connection struct {
	*client.Client
	state *client.State
	trust *receipt.Trust
	// trustDir is where trust was read or written.
	trustDir string
}

// dial opens the state folder and prepares the connection.
func (a *app) dial() (*connection, error) {
	if a.cfg.Server == "" {
		return nil, errors.New("missing --server: want the notary's address, host:port")
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	state, err := client.OpenState(dir)
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(a.cfg.Server, client.Options{
		TokenFile: a.cfg.Token, CertFile: a.cfg.Cert, KeyFile: a.cfg.CertKey, CAFile: a.cfg.CA,
		ServerName: a.cfg.ServerName, Insecure: a.cfg.Insecure, State: state, Tiles: a.cfg.Tiles, Attempts: a.attempts,
	})
	if err != nil {
		return nil, err
	}
	return &connection{Client: c, state: state}, nil
}

// stateDir is --state, or the user's folder for state.
func (a *app) stateDir() (string, error) {
	if a.cfg.State != "" {
		return a.cfg.State, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "trialnotary"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("missing --state: %w", err)
	}
	return filepath.Join(home, ".local", "state", "trialnotary"), nil
}

// dialTrial is dial with the trust folder of --trial.
func (a *app) dialTrial(ctx context.Context) (*connection, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	if err := a.openTrust(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openTrust reads the trust folder that --trust names. Without one it uses the
// folder that was pinned for the trial when it was first used, and pins it on
// that first use.
func (a *app) openTrust(ctx context.Context, c *connection) error {
	if a.cfg.Trust != "" {
		t, err := client.ReadTrust(a.cfg.Trust)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; fetch it first: notary trust fetch --trial T --trust %s", err, a.cfg.Trust)
		}
		if err != nil {
			return err
		}
		c.trust, c.trustDir = t, a.cfg.Trust
		return a.checkTrial(t)
	}
	if a.cfg.Trial == "" {
		return errors.New("missing --trial: want a charter's id or a registry number")
	}
	if id, err := trial.ParseID(a.cfg.Trial); err == nil {
		dir := pinnedTrust(c.state, id)
		t, err := client.ReadTrust(dir)
		if err == nil {
			c.trust, c.trustDir = t, dir
			return a.checkTrial(t)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return a.pinTrust(ctx, c)
}

// pinTrust fetches a trust folder and keeps it in the state folder. On its
// first use nobody has compared it: the user is told to.
func (a *app) pinTrust(ctx context.Context, c *connection) error {
	t, err := c.FetchTrust(ctx, a.cfg.Trial)
	if err != nil {
		return err
	}
	dir := pinnedTrust(c.state, t.Charter)
	_, statErr := os.Stat(dir)
	if err := client.WriteTrust(dir, t); err != nil {
		return err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		a.notef("first use of trial %s; compare this fingerprint with the sponsor by another channel:\n  %s", t.Charter, t.Fingerprint())
	}
	c.trust, c.trustDir = t, dir
	return a.checkTrial(t)
}

func pinnedTrust(s *client.State, charter trial.ID) string {
	return filepath.Join(s.Dir(), "trust", charter.String())
}

// checkTrial refuses a trust folder of another trial than --trial.
func (a *app) checkTrial(t *receipt.Trust) error {
	if a.cfg.Trial == "" {
		return nil
	}
	if id, err := trial.ParseID(a.cfg.Trial); err == nil {
		if id != t.Charter {
			return fmt.Errorf("invalid trust folder: got the trial %s, want %s", t.Charter, id)
		}
		return nil
	}
	book, err := client.ReadAuthority(t)
	if err != nil {
		return err
	}
	if !book.HasNumber(a.cfg.Trial) {
		return fmt.Errorf("invalid trust folder: its trial %s does not claim the number %s", t.Charter, a.cfg.Trial)
	}
	return nil
}

// refreshTrust fetches the trial's trust folder again: someone may have been
// enrolled since.
func (a *app) refreshTrust(ctx context.Context, c *connection) (*client.Book, error) {
	t, err := c.FetchTrust(ctx, c.trust.Charter.String())
	if err != nil {
		return nil, err
	}
	if err := client.WriteTrust(c.trustDir, t); err != nil {
		return nil, err
	}
	c.trust = t
	return client.ReadAuthority(t)
}
