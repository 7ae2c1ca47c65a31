package tesseralog

import (
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

func verifyInclusion(inc receipt.Inclusion, e []byte) error {
	path := make([][]byte, len(inc.Path))
	for i := range inc.Path {
		path[i] = inc.Path[i][:]
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, inc.Index, inc.Checkpoint.Size,
		rfc6962.DefaultHasher.HashLeaf(e), path, inc.Checkpoint.Root[:])
}

// runFsck runs Tessera's own check. The library is used because its command exits
// with status 0 whatever it finds.
func runFsck(f *fixture) error {
	tb := f.tb
	tb.Helper()
	hashes := func(raw []byte) ([][]byte, error) {
		var bundle api.EntryBundle
		if err := bundle.UnmarshalText(raw); err != nil {
			return nil, err
		}
		leaves := make([][]byte, len(bundle.Entries))
		for i, e := range bundle.Entries {
			leaves[i] = rfc6962.DefaultHasher.HashLeaf(e)
		}
		return leaves, nil
	}
	return fsck.New(origin, f.verifier, client.FileFetcher{Root: f.dir}, hashes, fsck.Opts{N: 2}).Check(tb.Context())
}

func fsckPasses(f *fixture) {
	tb := f.tb
	tb.Helper()
	if err := runFsck(f); err != nil {
		tb.Errorf("Tessera's fsck: %v", err)
	}
}

func TestFsck(t *testing.T) {
	f := newFixture(t)
	f.fill(5, 251, 1, 300)
	fsckPasses(f)
	f.damage("tile/0/000", flip(40))
	if runFsck(f) == nil {
		t.Error("Tessera's fsck passes a damaged tile")
	}
}
