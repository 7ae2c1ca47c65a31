package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
)

// parts is an open notary without its listeners.
type parts struct {
	config  *Config
	lock    io.Closer // of the database
	store   *store.Store
	log     *tesseralog.Log
	service *notary.Service
	shown   instruments
}

// openParts opens database, log and service, in this order: the log is held
// against the database's high-water mark, and the service matches both. Whoever
// opened them calls close.
func openParts(ctx context.Context, c *Config, logger *zap.Logger, clock func() time.Time) (*parts, error) {
	shown, err := newInstruments(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	p := &parts{config: c, shown: shown}
	settings, err := p.openStorage(ctx, tesseralog.Config{
		Warn: func(message string) { logger.Warn("log", zap.String("message", message)) },
	})
	if err == nil {
		if o := p.shown.observer(); o != nil {
			settings.Observer = o
		}
		settings.Clock, settings.Elapsed = clock, sinceBoot
		settings.Confirmed, err = p.store.Moment(ctx, store.MomentConfirmed)
	}
	if err == nil {
		settings.Packs, err = readPacks(c.Rules.Packs)
	}
	if err == nil {
		p.service, err = notary.Open(ctx, settings)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the notary: %w", err), p.close(ctx))
	}
	return p, nil
}

// openStorage opens database and log and returns what a service over them is
// made of.
func (p *parts) openStorage(ctx context.Context, log tesseralog.Config) (notary.Config, error) {
	c := p.config
	settings, log, err := p.keys(log)
	if err != nil {
		return settings, err
	}
	lock, open := store.Lock, store.Open
	if log.ReadOnly {
		lock, open = store.LockShared, store.OpenReadOnly
	}
	if p.lock, err = lock(c.Store.Path); err != nil {
		return settings, err
	}
	if p.store, err = open(c.Store.Path); err != nil {
		return settings, err
	}
	if err := p.openLog(ctx, log); err != nil {
		return settings, err
	}
	settings.Store, settings.Log = p.store, p.log
	return settings, nil
}

// keys reads the keys, and adds them to the settings of log and service.
func (p *parts) keys(log tesseralog.Config) (notary.Config, tesseralog.Config, error) {
	c := p.config
	settings, err := readSettings(c)
	if err != nil {
		return settings, log, err
	}
	logKey, err := readLogKey(c.Keys.Log)
	if err != nil {
		return settings, log, err
	}
	signer, vkey, err := noteKeys(c.Origin, logKey)
	if err != nil {
		return settings, log, err
	}
	if settings.LogKey, err = receipt.ParseLogKey(vkey); err != nil {
		return settings, log, fmt.Errorf("log key: %w", err)
	}
	log.Signer, log.Verifier = signer, settings.LogKey.Verifier()
	return settings, log, nil
}

// readSettings reads what the service needs besides database and log.
func readSettings(c *Config) (notary.Config, error) {
	settings := notary.Config{
		MarkInterval: c.Times.Mark, ClockJump: c.Times.ClockJump, ClockGap: c.Times.ClockGap, MaxInFlight: c.Limits.InFlight,
		FreeSpace:  c.freeSpace,
		MinFree:    uint64(c.Limits.MinFreeBytes), // validated to be positive
		ViewMemory: c.Limits.ViewBytes,
	}
	key, err := readStatementKey(c.Keys.Statement)
	if err != nil {
		return settings, err
	}
	settings.Key = key
	if settings.Policy, err = os.ReadFile(c.Policy); err != nil {
		return settings, fmt.Errorf("reading the witness policy (\"quorum none\" is a choice, a missing file is not): %w", err)
	}
	return settings, nil
}

func (p *parts) openLog(ctx context.Context, log tesseralog.Config) error {
	log.Dir, log.Marks = p.config.Log.Dir, p.store
	log.CheckpointInterval = p.config.Times.Checkpoint
	if path := p.config.Store.MarkPath; path != "" {
		second, err := openSecondMark(ctx, p.store, path, !log.ReadOnly)
		if err != nil {
			return err
		}
		log.Marks = store.NewMarks(p.store, second)
		if log.ReadOnly {
			log.Marks = store.NewReadOnlyMarks(p.store, second)
		}
	}
	var err error
	if p.log, err = tesseralog.Open(ctx, log); err != nil {
		return fmt.Errorf("log in %s: %w", p.config.Log.Dir, err)
	}
	return nil
}

// openSecondMark opens the mark on the other volume. It is created with the
// first mark: once the log has entries, a missing file is an error, because a
// lost file must not be replaced unseen. `notaryd mark create` makes it later.
func openSecondMark(ctx context.Context, s *store.Store, path string, create bool) (*store.FileMark, error) {
	_, marked, err := s.LoadMark(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if marked || !create {
			return nil, fmt.Errorf("the second high-water mark %s is missing: restore it, or run notaryd mark create if it never existed", path)
		}
		if err := store.CreateFileMark(path, notary.Mark{}); err != nil {
			return nil, err
		}
	}
	return store.OpenFileMark(path)
}

// close closes what is open: the service, the log, the store, and last what shows
// them.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	if p.service != nil {
		errs = append(errs, p.service.Close(ctx))
	}
	if p.log != nil {
		errs = append(errs, p.log.Close(ctx))
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(append(errs, p.shown.close(ctx))...)
}

// freeSpace returns the free bytes where log and database live.
func (c *Config) freeSpace() (uint64, error) {
	return freeSpace(c.Log.Dir, filepath.Dir(c.Store.Path))
}

// freeSpace returns the smallest free space of several volumes, in bytes that
// an ordinary user may use.
func freeSpace(dirs ...string) (uint64, error) {
	least := ^uint64(0)
	for _, dir := range dirs {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return 0, fmt.Errorf("reading free space of %s: %w", dir, err)
		}
		least = min(least, fs.Bavail*uint64(fs.Bsize))
	}
	return least, nil
}

// users lets rpc find its callers in the store. The two packages have types of
// their own, because neither may import the other.
type users struct{ *store.Store }

func (u users) UserByToken(ctx context.Context, hash [32]byte) (*rpc.User, error) {
	return toUser(u.Store.UserByToken(ctx, hash))
}

func (u users) UserByCert(ctx context.Context, name string) (*rpc.User, error) {
	return toUser(u.Store.UserByCert(ctx, name))
}

func (u users) Grant(ctx context.Context, user string, charter trial.ID) error {
	return u.GrantTrial(ctx, user, charter)
}

func toUser(u *store.User, err error) (*rpc.User, error) {
	if err != nil {
		return nil, err
	}
	out := &rpc.User{Name: u.Name}
	for _, g := range u.Grants {
		out.Grants = append(out.Grants, rpc.Grant{
			Role: rpc.Role(g.Role), Organisation: g.Organisation, Trial: g.Trial, Sites: g.Sites,
		})
	}
	return out, nil
}

// callLimits are the limits of calls and connections.
func (c *Config) callLimits() rpc.Limits {
	l := c.Limits
	return rpc.Limits{
		MaxConnections: l.Connections, MaxAddressConnections: l.AddressConnections,
		UserRate: l.UserRate, UserBytes: l.UserBytes, UserInFlight: l.UserInFlight, UserAuthority: l.UserAuthority,
		UserReads: l.UserReads, UserStreams: l.UserStreams, UserAge: c.Times.Users,
		AddressRate: l.AddressRate, AddressInFlight: l.AddressInFlight, FailureRate: l.FailureRate,
	}
}

// refusals keeps refused calls in the store.
type refusals struct{ *store.Store }

func (r refusals) RecordRefusals(ctx context.Context, refused []rpc.Refused) error {
	out := make([]store.Refusal, len(refused))
	for i, one := range refused {
		out[i] = store.Refusal(one)
	}
	return r.RecordRefusal(ctx, out...)
}
