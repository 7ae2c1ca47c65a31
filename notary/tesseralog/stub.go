package tesseralog

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

var errStub = errors.New("not written yet")

// Log is a notary.Log in one folder.
type Log struct{}

// Create makes an empty log in dir, which must be missing or empty, and publishes
// the checkpoint of the empty tree.
func Create(ctx context.Context, dir string, signer note.Signer) error { return errStub }

// Open opens a log made by Create.
func Open(ctx context.Context, c Config) (*Log, error) { return nil, errStub }

func (l *Log) Origin() string                                      { return "" }
func (l *Log) Add(ctx context.Context, entry []byte) notary.Future { return nil }
func (l *Log) Prove(ctx context.Context, index uint64) (receipt.Inclusion, error) {
	return receipt.Inclusion{}, errStub
}
func (l *Log) Checkpoint() receipt.Checkpoint { return receipt.Checkpoint{} }
func (l *Log) Size() uint64                   { return 0 }
func (l *Log) Scan(ctx context.Context, from uint64, fn func(index uint64, entry []byte) error) error {
	return errStub
}
func (l *Log) Check(ctx context.Context) (uint64, error) { return 0, errStub }
func (l *Log) Err() error                                { return errStub }
func (l *Log) Close(ctx context.Context) error           { return errStub }

// ReadFile returns a file of the published tree by its C2SP tlog-tiles path.
func (l *Log) ReadFile(ctx context.Context, path string) (content []byte, immutable bool, err error) {
	return nil, false, errStub
}

var _ notary.Log = (*Log)(nil)
